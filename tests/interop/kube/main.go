// Command kube-apiserver is the Kubernetes API server with its etcd inside, for tests on one machine.
//
//	kube-apiserver DATA-FOLDER FLAGS-OF-THE-API-SERVER...
package main

import (
	"fmt"
	"net/url"
	"os"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

const etcdPatience = time.Minute

// startStore starts etcd on a loopback port that the kernel chooses, and returns its address.
func startStore(folder string) (*embed.Etcd, string, error) {
	config := embed.NewConfig()
	config.Dir = folder
	config.LogLevel = "error"
	config.UnsafeNoFsync = true
	config.EnableGRPCGateway = false
	any := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	config.ListenClientUrls, config.AdvertiseClientUrls = any, any
	config.ListenPeerUrls, config.AdvertisePeerUrls = any, any
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	store, err := embed.StartEtcd(config)
	if err != nil {
		return nil, "", err
	}
	select {
	case <-store.Server.ReadyNotify():
		return store, "http://" + store.Clients[0].Addr().String(), nil
	case <-time.After(etcdPatience):
		store.Close()
		return nil, "", fmt.Errorf("etcd was not ready in %s", etcdPatience)
	}
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: kube-apiserver DATA-FOLDER FLAGS...")
		os.Exit(2)
	}
	store, address, err := startStore(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "etcd:", err)
		os.Exit(1)
	}
	command := app.NewAPIServerCommand()
	command.SetArgs(append([]string{"--etcd-servers=" + address}, os.Args[2:]...))
	code := cli.Run(command)
	store.Close()
	os.Exit(code)
}
