package main

import (
	"runtime"
	"time"

	"github.com/open-telemetry/opamp-go/protobufs"
)

func attribute(key, value string) *protobufs.KeyValue {
	text := &protobufs.AnyValue_StringValue{StringValue: value}
	return &protobufs.KeyValue{Key: key, Value: &protobufs.AnyValue{Value: text}}
}

func (a *agent) describe() *protobufs.AgentDescription {
	return &protobufs.AgentDescription{
		IdentifyingAttributes: []*protobufs.KeyValue{
			attribute("service.name", "opamp-go-client"),
			attribute("service.instance.id", a.uid),
		},
		NonIdentifyingAttributes: []*protobufs.KeyValue{
			attribute("os.type", runtime.GOOS),
			attribute("host.arch", runtime.GOARCH),
		},
	}
}

func (a *agent) capabilities() *protobufs.AgentCapabilities {
	all := protobufs.AgentCapabilities_AgentCapabilities_ReportsStatus |
		protobufs.AgentCapabilities_AgentCapabilities_ReportsHealth |
		protobufs.AgentCapabilities_AgentCapabilities_ReportsHeartbeat |
		protobufs.AgentCapabilities_AgentCapabilities_AcceptsOpAMPConnectionSettings |
		protobufs.AgentCapabilities_AgentCapabilities_ReportsConnectionSettingsStatus
	if a.enroll == "" {
		all |= protobufs.AgentCapabilities_AgentCapabilities_AcceptsPackages |
			protobufs.AgentCapabilities_AgentCapabilities_ReportsPackageStatuses |
			protobufs.AgentCapabilities_AgentCapabilities_AcceptsRemoteConfig |
			protobufs.AgentCapabilities_AgentCapabilities_ReportsRemoteConfig |
			protobufs.AgentCapabilities_AgentCapabilities_ReportsEffectiveConfig |
			protobufs.AgentCapabilities_AgentCapabilities_ReportsOwnTraces |
			protobufs.AgentCapabilities_AgentCapabilities_ReportsOwnMetrics |
			protobufs.AgentCapabilities_AgentCapabilities_ReportsOwnLogs |
			protobufs.AgentCapabilities_AgentCapabilities_AcceptsOtherConnectionSettings |
			protobufs.AgentCapabilities_AgentCapabilities_AcceptsRestartCommand |
			protobufs.AgentCapabilities_AgentCapabilities_ReportsAvailableComponents
	}
	return &all
}

func (a *agent) health() *protobufs.ComponentHealth {
	now := uint64(time.Now().UnixNano())
	health := &protobufs.ComponentHealth{
		Healthy:            !a.unhealthy,
		StartTimeUnixNano:  now,
		StatusTimeUnixNano: now,
		Status:             "running",
		ComponentHealthMap: map[string]*protobufs.ComponentHealth{"pipeline": {Healthy: !a.unhealthy}},
	}
	if a.unhealthy {
		health.Status, health.LastError = "degraded", "told to be unwell"
	}
	return health
}

func (a *agent) components() *protobufs.AvailableComponents {
	return &protobufs.AvailableComponents{
		Hash: []byte("components of opamp-go-client"),
		Components: map[string]*protobufs.ComponentDetails{
			"receivers": {SubComponentMap: map[string]*protobufs.ComponentDetails{
				"nop": {Metadata: []*protobufs.KeyValue{attribute("module", "receiver/nop")}},
			}},
		},
	}
}
