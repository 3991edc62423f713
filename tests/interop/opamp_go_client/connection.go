package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"sync"

	"github.com/open-telemetry/opamp-go/protobufs"
)

// connection is what became of the last offer of connection settings, which has one hash for all its parts.
type connection struct {
	mutex    sync.Mutex
	hash     []byte
	status   *protobufs.ConnectionSettingsStatus
	refusals int
	refusing bool
}

// offered notes an offer before its parts arrive, and decides whether it will be refused.
func (c *connection) offered(hash []byte) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.hash, c.refusing = hash, c.refusals > 0
	if c.refusing {
		c.refusals--
	}
	say("connection_offer", event{"hash": hex.EncodeToString(hash), "refusing": c.refusing})
}

func (c *connection) last() *protobufs.ConnectionSettingsStatus {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.status
}

// settle keeps how the offer ended; the first failure of a part stands for the whole.
func (a *agent) settle(part string, err error) error {
	c := &a.connection
	c.mutex.Lock()
	if c.refusing && err == nil {
		err = fmt.Errorf("told to refuse %s", part)
	}
	status := &protobufs.ConnectionSettingsStatus{
		LastConnectionSettingsHash: c.hash,
		Status:                     protobufs.ConnectionSettingsStatuses_ConnectionSettingsStatuses_APPLIED,
	}
	if err != nil {
		status.Status = protobufs.ConnectionSettingsStatuses_ConnectionSettingsStatuses_FAILED
		status.ErrorMessage = err.Error()
	}
	c.status = status
	c.mutex.Unlock()
	say("connection_status", event{"part": part, "status": status.Status.String()})
	if libraryReports {
		return err
	}
	return a.reportConnection(status)
}

func (a *agent) onOpampSettings(_ context.Context, offered *protobufs.OpAMPConnectionSettings) error {
	certificate := offered.GetCertificate()
	headers := map[string]string{}
	for _, header := range offered.GetHeaders().GetHeaders() {
		headers[header.Key] = header.Value
	}
	say("connection_settings", event{
		"endpoint":    offered.DestinationEndpoint,
		"heartbeat":   offered.HeartbeatIntervalSeconds,
		"headers":     headers,
		"certificate": len(certificate.GetCert()) > 0,
		"private_key": len(certificate.GetPrivateKey()) > 0,
		"ca_cert":     len(certificate.GetCaCert()) > 0,
		"tls_ca":      offered.GetTls().GetCaPemContents() != "",
	})
	fresh, err := false, error(nil)
	if len(certificate.GetCert()) > 0 && !a.connection.refusing {
		fresh, err = a.certify(certificate.Cert)
	}
	if err := a.settle("opamp", err); err != nil {
		return err
	}
	if fresh {
		a.taken()
	}
	return nil
}

func destination(one *protobufs.TelemetryConnectionSettings) event {
	if one == nil {
		return nil
	}
	headers := map[string]string{}
	for _, header := range one.GetHeaders().GetHeaders() {
		headers[header.Key] = header.Value
	}
	return event{"endpoint": one.DestinationEndpoint, "headers": headers, "ca": one.GetTls().GetCaPemContents() != ""}
}

func (a *agent) onOtherSettings(_ context.Context, offered *protobufs.ConnectionSettingsOffers) error {
	others := map[string]event{}
	for name, one := range offered.OtherConnections {
		others[name] = event{"endpoint": one.DestinationEndpoint, "other": one.OtherSettings}
	}
	say("telemetry_settings", event{
		"metrics": destination(offered.OwnMetrics),
		"traces":  destination(offered.OwnTraces),
		"logs":    destination(offered.OwnLogs),
		"other":   others,
	})
	return a.settle("telemetry", nil)
}
