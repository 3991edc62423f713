// Command load is the fleet that the benchmarks bring: thousands of agents in one process, as cheap as we could
// make them, so that the server is what is measured.
//
// crypto/tls makes the handshakes. After that a connection is a file descriptor, two AES-GCM keys and a few
// counters: one epoll loop seals, sends, receives, opens and cuts frames. Frames and HTTP answers are read by
// hand, no further than a client must to tell an answer, an offer and an error apart.
//
//	load -agents FILE [-plain]
//
// Orders come on standard input, a line each, and are answered by a line of JSON each:
//
//	connect ADDRESS FIRST COUNT AT_ONCE   WebSocket, first message, first answer; AT_ONCE 0: all at once
//	dial ADDRESS FIRST COUNT              connections for polling
//	closed SECONDS                        one heartbeat outstanding a connection
//	polled SECONDS                        the same by POST
//	open RATE SECONDS                     heartbeats at fixed times, whatever the server does
//	await SECONDS                         until every connection was told an offer; armed by `arm`
//	arm                                   forget the offers told so far
//	close                                 drop all connections
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type answer map[string]any

func processCPU() float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
}

func obey(e *engine, words []string) (answer, error) {
	number := func(i int) float64 {
		value, err := strconv.ParseFloat(words[i], 64)
		if err != nil {
			panic(err)
		}
		return value
	}
	seconds := func(i int) time.Duration { return time.Duration(number(i) * float64(time.Second)) }
	switch words[0] {
	case "connect":
		return e.connect(words[1], int(number(2)), int(number(3)), int(number(4)), true)
	case "dial":
		return e.connect(words[1], int(number(2)), int(number(3)), 16, false)
	case "closed":
		return e.closedLoop(seconds(1), (*conn).beat)
	case "polled":
		return e.closedLoop(seconds(1), (*conn).poll)
	case "open":
		return e.openLoop(number(1), seconds(2))
	case "arm":
		return e.arm(), nil
	case "await":
		return e.await(seconds(1))
	case "close":
		return e.closeAll(), nil
	}
	return nil, fmt.Errorf("unknown order %q", words[0])
}

func run() error {
	file := flag.String("agents", "", "the agents: what they say, their certificates and keys")
	plain := flag.Bool("plain", false, "no TLS")
	flag.Parse()
	limit := syscall.Rlimit{}
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err == nil {
		limit.Cur = limit.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	}
	runtime.LockOSThread()
	crowd, err := read(*file)
	if err != nil {
		return err
	}
	e, err := newEngine(crowd, *plain)
	if err != nil {
		return err
	}
	orders := bufio.NewScanner(os.Stdin)
	for orders.Scan() {
		before := processCPU()
		begun := time.Now()
		found, err := obey(e, strings.Fields(orders.Text()))
		if err != nil {
			found = answer{"error": err.Error()}
		}
		found["load_cpu"] = processCPU() - before
		found["load_wall"] = time.Since(begun).Seconds()
		text, err := json.Marshal(found)
		if err != nil {
			return err
		}
		fmt.Println(string(text))
	}
	return orders.Err()
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
