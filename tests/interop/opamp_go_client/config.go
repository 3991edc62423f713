package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"

	"github.com/open-telemetry/opamp-go/protobufs"
	"google.golang.org/protobuf/proto"
)

// A configuration tells this agent how to take it, in comments that a test writes into it.
const (
	refuseOnce = "# agent: refuse once"
	refuse     = "# agent: refuse"
	pretend    = "# agent: pretend"
)

// config is what the agent was told to run by, what it says it runs by, and what it last said of an offer.
type config struct {
	mutex   sync.Mutex
	running *protobufs.AgentConfigMap
	status  *protobufs.RemoteConfigStatus
	refused map[string]bool
}

func (c *config) directive(offered *protobufs.AgentConfigMap) string {
	for _, object := range offered.GetConfigMap() {
		for _, line := range strings.Split(string(object.Body), "\n") {
			if line == refuse || line == pretend || line == refuseOnce {
				return line
			}
		}
	}
	return ""
}

// take runs by an offered configuration, or returns why it does not.
func (c *config) take(offered *protobufs.AgentConfigMap) error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(offered)
	if err != nil {
		return err
	}
	switch c.directive(offered) {
	case refuse:
		return fmt.Errorf("told to refuse this configuration")
	case refuseOnce:
		if !c.refused[string(text)] {
			c.refused = map[string]bool{string(text): true}
			return fmt.Errorf("told to refuse this configuration once")
		}
	case pretend:
		return nil
	}
	c.running = offered
	return nil
}

// effective is called by the library for a first message, after our own change, and when the server asks.
func (a *agent) effective(context.Context) (*protobufs.EffectiveConfig, error) {
	say("effective_asked", nil)
	a.config.mutex.Lock()
	defer a.config.mutex.Unlock()
	running := a.config.running
	if running == nil {
		running = &protobufs.AgentConfigMap{ConfigMap: map[string]*configObject{
			"": {Body: []byte("receivers: {nop: }\ntoken: hunter2\n"), ContentType: "text/yaml"},
		}}
	}
	if a.pad > 0 {
		running = proto.Clone(running).(*protobufs.AgentConfigMap)
		running.ConfigMap["padding"] = &configObject{Body: []byte("# " + strings.Repeat("x", a.pad)), ContentType: "text/yaml"}
	}
	return &protobufs.EffectiveConfig{ConfigMap: running}, nil
}

// configure takes or refuses an offered configuration and reports APPLYING, then what became of it.
func (a *agent) configure(ctx context.Context, offered *protobufs.AgentRemoteConfig) {
	objects := map[string]event{}
	for name, object := range offered.GetConfig().GetConfigMap() {
		objects[name] = event{"body": string(object.Body), "content_type": object.ContentType, "role": role(object)}
	}
	hash := hex.EncodeToString(offered.ConfigHash)
	say("remote_config", event{"hash": hash, "objects": objects})
	status := &protobufs.RemoteConfigStatus{
		LastRemoteConfigHash: offered.ConfigHash,
		Status:               protobufs.RemoteConfigStatuses_RemoteConfigStatuses_APPLIED,
	}
	if err := a.config.take(offered.Config); err != nil {
		status.Status = protobufs.RemoteConfigStatuses_RemoteConfigStatuses_FAILED
		status.ErrorMessage = err.Error()
	}
	a.config.status = status
	say("remote_config_status", event{"hash": hash, "status": status.Status.String()})
	if err := a.client.SetRemoteConfigStatus(status); err != nil {
		say("failed", event{"error": err.Error()})
	}
	if err := a.client.UpdateEffectiveConfig(ctx); err != nil {
		say("failed", event{"error": err.Error()})
	}
}
