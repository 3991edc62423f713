//go:build opamp023

package main

import (
	"context"
	"io"

	"github.com/open-telemetry/opamp-go/client/types"
	"github.com/open-telemetry/opamp-go/protobufs"
	"google.golang.org/protobuf/reflect/protoreflect"
)

func protocol() []protoreflect.FileDescriptor {
	return []protoreflect.FileDescriptor{protobufs.File_opamp_proto, protobufs.File_anyvalue_proto}
}

// libraryReports is whether the library itself says how an offer of connection settings ended.
const libraryReports = true

type configObject = protobufs.AgentConfigFile

// role is not known to this version's messages.
func role(*configObject) string { return "" }

// UpdateContent is the syncer's call, in the form of this version: it doesn't say where the bytes are from.
func (s *store) UpdateContent(_ context.Context, name string, data io.Reader, want, _ []byte) error {
	return s.update(name, "", data, want)
}

// reportConnection has nothing to do: this version's library reports by itself, and offers no call.
func (a *agent) reportConnection(*protobufs.ConnectionSettingsStatus) error { return nil }

// declare says the capabilities with the settings: before a start, this version's own call refuses packages.
func (a *agent) declare(settings *types.StartSettings) error {
	settings.Capabilities = *a.capabilities()
	return nil
}
