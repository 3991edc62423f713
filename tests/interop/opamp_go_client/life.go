package main

import (
	"context"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/open-telemetry/opamp-go/client"
	"github.com/open-telemetry/opamp-go/client/types"
	"github.com/open-telemetry/opamp-go/protobufs"
)

func (a *agent) prepare() error {
	if err := a.client.SetAgentDescription(a.describe()); err != nil {
		return err
	}
	if err := a.client.SetHealth(a.health()); err != nil {
		return err
	}
	if err := a.client.SetAvailableComponents(a.components()); err != nil {
		return err
	}
	if a.ask != "" {
		known := &protobufs.CustomCapabilities{Capabilities: []string{a.ask}}
		if err := a.client.SetCustomCapabilities(known); err != nil {
			return err
		}
	}
	if a.anonymous {
		a.client.SetFlags(protobufs.AgentToServerFlags_AgentToServerFlags_RequestInstanceUid)
	}
	return nil
}

func (a *agent) settings() (types.StartSettings, error) {
	uid, err := uuid.Parse(a.uid)
	if err != nil {
		return types.StartSettings{}, err
	}
	settings := types.StartSettings{
		OpAMPServerURL:               a.url,
		InstanceUid:                  types.InstanceUid(uid),
		Callbacks:                    a.callbacks(),
		HeartbeatInterval:            &a.heartbeat,
		EnableCompression:            a.compress,
		TLSConfig:                    a.tls,
		RemoteConfigStatus:           a.config.status,
		LastConnectionSettingsStatus: a.connection.last(),
	}
	if a.enroll != "" {
		settings.Header = http.Header{"Authorization": []string{"Enrollment " + a.enroll}}
		return settings, nil
	}
	settings.PackagesStateProvider = a.store
	settings.TLSConfig, err = identify(a.tls, a.options)
	return settings, err
}

// life is one client from start to stop; it returns whether another one is wanted.
func (a *agent) life(ctx context.Context) (bool, error) {
	if a.transport == "http" {
		a.client = client.NewHTTP(logger{})
	} else {
		a.client = client.NewWebSocket(logger{})
	}
	settings, err := a.settings()
	if err != nil {
		return false, err
	}
	if a.enroll != "" {
		if err := a.request(a.key); err != nil {
			return false, err
		}
	}
	if err := a.prepare(); err != nil {
		return false, err
	}
	if err := a.declare(&settings); err != nil {
		return false, err
	}
	if err := a.client.Start(ctx, settings); err != nil {
		return false, err
	}
	if a.ask != "" {
		question := &protobufs.CustomMessage{Capability: a.ask, Type: "ask"}
		if _, err := a.client.SendCustomMessage(question); err != nil {
			return false, err
		}
	}
	more := a.follow(ctx)
	stopping, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return more, a.client.Stop(stopping)
}

// follow obeys signals until this client's life is over; it returns whether another one is wanted.
func (a *agent) follow(ctx context.Context) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-a.done:
			return false
		case reason := <-a.again:
			say("starting_again", event{"reason": reason})
			return true
		case which := <-a.told:
			if err := a.obey(which); err != nil {
				say("failed", event{"error": err.Error()})
			}
		}
	}
}

func (a *agent) obey(which os.Signal) error {
	if which == syscall.SIGUSR1 {
		return a.request(a.key + ".next")
	}
	a.unhealthy = !a.unhealthy
	return a.client.SetHealth(a.health())
}

func (a *agent) run(ctx context.Context) error {
	for {
		if more, err := a.life(ctx); !more || err != nil {
			return err
		}
	}
}
