//go:build !opamp023

package main

import (
	"context"
	"io"

	"github.com/open-telemetry/opamp-go/client/types"
	"github.com/open-telemetry/opamp-go/protobufs"
	"google.golang.org/protobuf/reflect/protoreflect"
)

func protocol() []protoreflect.FileDescriptor {
	return []protoreflect.FileDescriptor{protobufs.File_opamp_v1_opamp_proto, protobufs.File_opamp_v1_anyvalue_proto}
}

// libraryReports is whether the library itself says how an offer of connection settings ended.
const libraryReports = false

type configObject = protobufs.AgentConfigObject

func role(object *configObject) string { return object.Role }

// UpdateContent is the syncer's call, in the form of this version.
func (s *store) UpdateContent(_ context.Context, name, url string, data io.Reader, want, _ []byte) error {
	return s.update(name, url, data, want)
}

func (a *agent) reportConnection(status *protobufs.ConnectionSettingsStatus) error {
	return a.client.SetConnectionSettingsStatus(status)
}

func (a *agent) declare(*types.StartSettings) error {
	return a.client.SetCapabilities(a.capabilities())
}
