// Command opamp-go-client is an agent of ours on the published opamp-go client library. It connects to a
// server over WebSocket or HTTP with mutual TLS, syncs the packages it is offered into a folder and prints one
// JSON object a line for everything that happens, so that a test in another language can follow it.
//
//	opamp-go-client -descriptor                      names and numbers of the library's protocol messages
//	opamp-go-client -enroll ID.SECRET ...            ask for a certificate by CSR, write -cert and -key, end
//	opamp-go-client -transport ws|http -url ... -cert ... -key ... -ca ... -uid ... -state-dir ...
//
// SIGUSR1 has it ask for a new certificate over the connection it holds; SIGUSR2 turns its health over.
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
	refuse, refusePackages, pad                       int
	ask                                               string
	descriptor, anonymous, compress                   bool
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
	flag.IntVar(&o.refuse, "refuse", 0, "how many offers of connection settings to refuse before one is taken")
	flag.IntVar(&o.refusePackages, "refuse-packages", 0, "how many downloaded packages to refuse before one is taken")
	flag.IntVar(&o.pad, "pad", 0, "bytes by which the effective configuration is longer than it need be")
	flag.BoolVar(&o.compress, "compress", false, "have the library compress what it sends")
	flag.StringVar(&o.ask, "ask", "", "custom capability to know, and to send a message of type ask with")
	flag.BoolVar(&o.anonymous, "anonymous", false, "ask the server for an instance uid")
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
	// again holds the reason why the client is to be ended and started anew.
	again chan string
	// told are the signals that ask for something, heard through all lives of the client.
	told       chan os.Signal
	config     config
	connection connection
	unhealthy  bool
}

func (a *agent) onMessage(ctx context.Context, message *types.MessageData) {
	if message.OfferedConnectionsSettingsHash != nil {
		a.connection.offered(message.OfferedConnectionsSettingsHash)
	}
	if message.RemoteConfig != nil {
		a.configure(ctx, message.RemoteConfig)
	}
	if message.CustomMessage != nil {
		say("custom", event{
			"capability": message.CustomMessage.Capability,
			"type":       message.CustomMessage.Type,
			"data":       string(message.CustomMessage.Data),
		})
	}
	if message.CustomCapabilities != nil {
		say("custom_capabilities", event{"capabilities": message.CustomCapabilities.Capabilities})
	}
	if message.AgentIdentification != nil {
		id, err := uuid.FromBytes(message.AgentIdentification.NewInstanceUid)
		say("identified", event{"uid": id.String(), "error": fmt.Sprint(err)})
	}
	if message.PackagesAvailable != nil {
		a.install(ctx, message)
	}
}

func (a *agent) install(ctx context.Context, message *types.MessageData) {
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

func (a *agent) onCommand(_ context.Context, command *protobufs.ServerToAgentCommand) error {
	say("command", event{"type": command.Type.String()})
	a.startAgain("command")
	return nil
}

// startAgain asks for the end of this client and the start of another; a second reason changes nothing.
func (a *agent) startAgain(reason string) {
	select {
	case a.again <- reason:
	default:
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
		OnMessage:                 a.onMessage,
		OnCommand:                 a.onCommand,
		OnOpampConnectionSettings: a.onOpampSettings,
		OnConnectionSettings:      a.onOtherSettings,
		GetEffectiveConfig:        a.effective,
		DownloadHTTPClient: func(context.Context, *protobufs.DownloadableFile) (*http.Client, error) {
			return download, nil
		},
	}
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
	kept.refusals = o.refusePackages
	if o.transport != "ws" && o.transport != "http" {
		return fmt.Errorf("transport is %q, not ws or http", o.transport)
	}
	a := &agent{options: o, store: kept, tls: config, done: make(chan struct{}), again: make(chan string, 1)}
	a.connection.refusals = o.refuse
	a.told = make(chan os.Signal, 4) // before anybody can learn that we are there
	signal.Notify(a.told, syscall.SIGUSR1, syscall.SIGUSR2)
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
