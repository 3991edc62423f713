// Command opamp-go-client is an agent of ours on the published opamp-go client library. It connects to a
// server over WebSocket or HTTP with mutual TLS, syncs the packages it is offered into a folder and prints one
// JSON object a line for everything that happens, so that a test in another language can follow it.
//
//	opamp-go-client -descriptor                      names and numbers of the library's protocol messages
//	opamp-go-client -enroll ID.SECRET ...            ask for a certificate by CSR, write -cert and -key, end
//	opamp-go-client -transport ws|http -url ... -cert ... -key ... -ca ... -uid ... -state-dir ...
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/open-telemetry/opamp-go/client"
	"github.com/open-telemetry/opamp-go/client/types"
	"github.com/open-telemetry/opamp-go/protobufs"
)

type options struct {
	transport, url, cert, key, ca, uid, state, enroll string
	heartbeat                                         time.Duration
	descriptor                                        bool
}

type event map[string]any

var stdout sync.Mutex

// say prints one event as a line of JSON.
func say(kind string, fields event) {
	line := event{"event": kind}
	for name, value := range fields {
		line[name] = value
	}
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	stdout.Lock()
	defer stdout.Unlock()
	fmt.Println(string(text))
}

func parse() options {
	var o options
	flag.StringVar(&o.transport, "transport", "ws", "ws or http")
	flag.StringVar(&o.url, "url", "", "the server's OpAMP endpoint")
	flag.StringVar(&o.cert, "cert", "", "client certificate chain, PEM")
	flag.StringVar(&o.key, "key", "", "client private key, PEM")
	flag.StringVar(&o.ca, "ca", "", "CA that the server's certificates are verified against, PEM")
	flag.StringVar(&o.uid, "uid", "", "instance uid, a UUID")
	flag.StringVar(&o.state, "state-dir", "", "folder that keeps packages between runs")
	flag.StringVar(&o.enroll, "enroll", "", "enrollment token, ID.SECRET: ask for a certificate and end")
	flag.DurationVar(&o.heartbeat, "heartbeat", time.Second, "heartbeat, and polling interval over HTTP")
	flag.BoolVar(&o.descriptor, "descriptor", false, "print the protocol's names and numbers and end")
	flag.Parse()
	return o
}

// trust returns a TLS configuration that verifies the server against our CA alone.
func trust(o options) (*tls.Config, error) {
	pem, err := os.ReadFile(o.ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", o.ca)
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}, nil
}

// identify adds the client's certificate, freshly read, to a TLS configuration.
func identify(config *tls.Config, o options) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(o.cert, o.key)
	if err != nil {
		return nil, err
	}
	with := config.Clone()
	with.Certificates = []tls.Certificate{pair}
	return with, nil
}

type agent struct {
	options
	client client.OpAMPClient
	store  *store
	tls    *tls.Config
	done   chan struct{}
	once   sync.Once
}

func (a *agent) onMessage(ctx context.Context, message *types.MessageData) {
	if message.PackagesAvailable == nil {
		return
	}
	packages := map[string]event{}
	for name, offered := range message.PackagesAvailable.Packages {
		packages[name] = event{
			"type":         offered.Type.String(),
			"version":      offered.Version,
			"hash":         hex.EncodeToString(offered.Hash),
			"content_hash": hex.EncodeToString(offered.GetFile().GetContentHash()),
			"url":          offered.GetFile().GetDownloadUrl(),
		}
	}
	all := hex.EncodeToString(message.PackagesAvailable.AllPackagesHash)
	say("offer", event{"all_packages_hash": all, "packages": packages})
	if err := message.PackageSyncer.Sync(ctx); err != nil {
		say("sync_failed", event{"error": err.Error()})
	}
}

func (a *agent) callbacks() types.Callbacks {
	download := &http.Client{
		Transport: &http.Transport{TLSClientConfig: a.tls.Clone(), ForceAttemptHTTP2: true},
		Timeout:   5 * time.Minute,
	}
	return types.Callbacks{
		OnConnect: func(context.Context) { say("connected", nil) },
		OnConnectFailed: func(_ context.Context, err error) {
			say("connect_failed", event{"error": err.Error()})
		},
		OnError: func(_ context.Context, answer *protobufs.ServerErrorResponse) {
			say("server_error", event{"type": answer.Type.String(), "error": answer.ErrorMessage})
		},
		OnMessage: a.onMessage,
		OnOpampConnectionSettings: func(_ context.Context, offered *protobufs.OpAMPConnectionSettings) error {
			return a.onConnectionSettings(offered)
		},
		DownloadHTTPClient: func(context.Context, *protobufs.DownloadableFile) (*http.Client, error) {
			return download, nil
		},
	}
}

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
		protobufs.AgentCapabilities_AgentCapabilities_ReportsHeartbeat
	if a.enroll != "" {
		all |= protobufs.AgentCapabilities_AgentCapabilities_AcceptsOpAMPConnectionSettings |
			protobufs.AgentCapabilities_AgentCapabilities_ReportsConnectionSettingsStatus
	} else {
		all |= protobufs.AgentCapabilities_AgentCapabilities_AcceptsPackages |
			protobufs.AgentCapabilities_AgentCapabilities_ReportsPackageStatuses
	}
	return &all
}

func (a *agent) prepare() error {
	if err := a.client.SetAgentDescription(a.describe()); err != nil {
		return err
	}
	if err := a.client.SetCapabilities(a.capabilities()); err != nil {
		return err
	}
	now := uint64(time.Now().UnixNano())
	health := &protobufs.ComponentHealth{Healthy: true, StartTimeUnixNano: now, StatusTimeUnixNano: now}
	return a.client.SetHealth(health)
}

func (a *agent) run(ctx context.Context) error {
	uid, err := uuid.Parse(a.uid)
	if err != nil {
		return err
	}
	settings := types.StartSettings{
		OpAMPServerURL:    a.url,
		InstanceUid:       types.InstanceUid(uid),
		Callbacks:         a.callbacks(),
		HeartbeatInterval: &a.heartbeat,
		TLSConfig:         a.tls,
	}
	if a.enroll != "" {
		settings.Header = http.Header{"Authorization": []string{"Enrollment " + a.enroll}}
		if err := a.request(); err != nil {
			return err
		}
	} else {
		settings.PackagesStateProvider = a.store
		if settings.TLSConfig, err = identify(a.tls, a.options); err != nil {
			return err
		}
	}
	if err := a.prepare(); err != nil {
		return err
	}
	if err := a.client.Start(ctx, settings); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-a.done:
	}
	stopping, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return a.client.Stop(stopping)
}

func start(o options) error {
	config, err := trust(o)
	if err != nil {
		return err
	}
	kept, err := open(o.state)
	if err != nil {
		return err
	}
	a := &agent{options: o, store: kept, tls: config, done: make(chan struct{})}
	switch o.transport {
	case "ws":
		a.client = client.NewWebSocket(logger{})
	case "http":
		a.client = client.NewHTTP(logger{})
	default:
		return fmt.Errorf("transport is %q, not ws or http", o.transport)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	return a.run(ctx)
}

// logger hands the library's own words to stderr.
type logger struct{}

func (logger) Debugf(context.Context, string, ...any) {}

func (logger) Errorf(_ context.Context, format string, v ...any) {
	fmt.Fprintln(os.Stderr, strings.TrimSpace(fmt.Sprintf(format, v...)))
}

func main() {
	o := parse()
	err := error(nil)
	if o.descriptor {
		err = printDescriptor()
	} else {
		err = start(o)
	}
	if err != nil {
		say("failed", event{"error": err.Error()})
		os.Exit(1)
	}
	say("stopped", nil)
}
