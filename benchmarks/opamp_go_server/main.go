// Command opamp-go-server is a server of ours on the published opamp-go server library: what the benchmarks
// compare with. It does the work that ours does and no more: it verifies client certificates, decodes, keeps
// each agent's last status in a map, answers with its capabilities, and offers one set of packages to everybody
// when told to on its standard input.
//
//	opamp-go-server -listen 127.0.0.1:0 [-cert server.pem -key server.key -ca clients.pem]
//
// Orders, a line each, answered by a line each: "offer VERSION" sends the offer to every connection, "collect"
// gives memory back to the system.
package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/open-telemetry/opamp-go/protobufs"
	"github.com/open-telemetry/opamp-go/server"
	"github.com/open-telemetry/opamp-go/server/types"
)

const capabilities = uint64(protobufs.ServerCapabilities_ServerCapabilities_AcceptsStatus |
	protobufs.ServerCapabilities_ServerCapabilities_OffersPackages |
	protobufs.ServerCapabilities_ServerCapabilities_AcceptsPackagesStatus)

type status struct {
	sequence     uint64
	capabilities uint64
	description  *protobufs.AgentDescription
	health       *protobufs.ComponentHealth
	packages     *protobufs.PackageStatuses
	seen         time.Time
}

// fleet is what is known of every agent, and who is connected.
type fleet struct {
	lock      sync.Mutex
	agents    map[[16]byte]*status
	connected map[types.Connection][]byte
}

func (f *fleet) hear(conn types.Connection, message *protobufs.AgentToServer) *protobufs.ServerToAgent {
	var uid [16]byte
	copy(uid[:], message.InstanceUid)
	answer := &protobufs.ServerToAgent{InstanceUid: message.InstanceUid}
	f.lock.Lock()
	defer f.lock.Unlock()
	known := f.agents[uid]
	if known == nil {
		known = &status{}
		f.agents[uid] = known
	}
	if _, greeted := f.connected[conn]; !greeted {
		f.connected[conn] = message.InstanceUid
		answer.Capabilities = capabilities
	}
	if message.SequenceNum != known.sequence+1 && message.AgentDescription == nil {
		answer.Flags = uint64(protobufs.ServerToAgentFlags_ServerToAgentFlags_ReportFullState)
	}
	known.sequence, known.seen = message.SequenceNum, time.Now()
	if message.Capabilities != 0 {
		known.capabilities = message.Capabilities
	}
	if message.AgentDescription != nil {
		known.description = message.AgentDescription
	}
	if message.Health != nil {
		known.health = message.Health
	}
	if message.PackageStatuses != nil {
		known.packages = message.PackageStatuses
	}
	return answer
}

func (f *fleet) forget(conn types.Connection) {
	f.lock.Lock()
	defer f.lock.Unlock()
	delete(f.connected, conn)
}

// offer sends one set of packages to every connection.
func (f *fleet) offer(version string) int {
	file := sha256.Sum256([]byte(version))
	all := sha256.Sum256(file[:])
	offered := &protobufs.PackagesAvailable{
		Packages: map[string]*protobufs.PackageAvailable{"collector": {
			Type:    protobufs.PackageType_PackageType_TopLevel,
			Version: version,
			Hash:    file[:],
			File: &protobufs.DownloadableFile{
				DownloadUrl: fmt.Sprintf("https://127.0.0.1:4321/targets/acme/collector/%s/linux-amd64/%x.collector", version, file),
				ContentHash: file[:],
			},
		}},
		AllPackagesHash: all[:],
	}
	f.lock.Lock()
	told := make(map[types.Connection][]byte, len(f.connected))
	for conn, uid := range f.connected {
		told[conn] = uid
	}
	f.lock.Unlock()
	for conn, uid := range told {
		_ = conn.Send(context.Background(), &protobufs.ServerToAgent{InstanceUid: uid, PackagesAvailable: offered})
	}
	return len(told)
}

func secured(cert, key, ca string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	clients := x509.NewCertPool()
	if !clients.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate in " + ca)
	}
	return &tls.Config{
		Certificates:           []tls.Certificate{pair},
		ClientCAs:              clients,
		ClientAuth:             tls.RequireAndVerifyClientCert,
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{"http/1.1"},
		SessionTicketsDisabled: true,
	}, nil
}

func run() error {
	listen := flag.String("listen", "127.0.0.1:0", "address")
	cert := flag.String("cert", "", "chain, PEM; without it TLS is off")
	key := flag.String("key", "", "its key, PEM")
	ca := flag.String("ca", "", "what clients are verified with, PEM")
	flag.Parse()
	known := &fleet{agents: map[[16]byte]*status{}, connected: map[types.Connection][]byte{}}
	callbacks := types.ConnectionCallbacks{
		OnMessage: func(_ context.Context, conn types.Connection, message *protobufs.AgentToServer) *protobufs.ServerToAgent {
			return known.hear(conn, message)
		},
		OnConnectionClose: known.forget,
	}
	settings := server.StartSettings{ListenEndpoint: *listen}
	settings.Callbacks = types.Callbacks{OnConnecting: func(*http.Request) types.ConnectionResponse {
		return types.ConnectionResponse{Accept: true, ConnectionCallbacks: callbacks}
	}}
	if *cert != "" {
		config, err := secured(*cert, *key, *ca)
		if err != nil {
			return err
		}
		settings.TLSConfig = config
	}
	serving := server.New(nil)
	if err := serving.Start(settings); err != nil {
		return err
	}
	fmt.Println("serving", serving.Addr())
	orders := bufio.NewScanner(os.Stdin)
	for orders.Scan() {
		order, rest, _ := strings.Cut(orders.Text(), " ")
		switch order {
		case "offer":
			fmt.Println("offered", known.offer(rest))
		case "collect":
			debug.FreeOSMemory()
			fmt.Println("collected")
		}
	}
	return orders.Err()
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
