package main

import (
	"encoding/json"
	"os"

	"google.golang.org/protobuf/reflect/protoreflect"
)

type field struct {
	Number   int32  `json:"number"`
	Kind     string `json:"kind"`
	Repeated bool   `json:"repeated"`
	OneOf    string `json:"oneof"`
}

type descriptor struct {
	Messages map[string]map[string]field `json:"messages"`
	Enums    map[string]map[string]int32 `json:"enums"`
}

func local(name protoreflect.FullName, file protoreflect.FileDescriptor) string {
	return string(name)[len(file.Package())+1:]
}

func (d *descriptor) enums(all protoreflect.EnumDescriptors, file protoreflect.FileDescriptor) {
	for i := range all.Len() {
		values := map[string]int32{}
		for j := range all.Get(i).Values().Len() {
			value := all.Get(i).Values().Get(j)
			values[string(value.Name())] = int32(value.Number())
		}
		d.Enums[local(all.Get(i).FullName(), file)] = values
	}
}

func (d *descriptor) messages(all protoreflect.MessageDescriptors, file protoreflect.FileDescriptor) {
	for i := range all.Len() {
		message, fields := all.Get(i), map[string]field{}
		for j := range message.Fields().Len() {
			one := message.Fields().Get(j)
			described := field{Number: int32(one.Number()), Kind: one.Kind().String(), Repeated: one.IsList() || one.IsMap()}
			if one.ContainingOneof() != nil {
				described.OneOf = string(one.ContainingOneof().Name())
			}
			fields[string(one.Name())] = described
		}
		d.Messages[local(message.FullName(), file)] = fields
		d.enums(message.Enums(), file)
		d.messages(message.Messages(), file)
	}
}

// printDescriptor prints every message and enum of the library as one JSON object.
func printDescriptor() error {
	d := descriptor{Messages: map[string]map[string]field{}, Enums: map[string]map[string]int32{}}
	for _, file := range protocol() {
		d.messages(file.Messages(), file)
		d.enums(file.Enums(), file)
	}
	return json.NewEncoder(os.Stdout).Encode(d)
}
