package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

const (
	dialTimeout  = 120 * time.Second
	sysEpollWait = 441 // epoll_pwait2, whose time is in nanoseconds; the same number on every architecture
)

// engine owns the connections and the one loop that reads them.
type engine struct {
	crowd    *fleet
	plain    bool
	visits   int // how often the fleet connected
	epoll    int
	lock     sync.Mutex
	byFD     map[int]*conn
	conns    []*conn
	events   []syscall.EpollEvent
	inbox    []byte
	frame    []byte
	sealed   []byte
	onAnswer func(c *conn, offer bool, now int64)
}

func newEngine(crowd *fleet, plain bool) (*engine, error) {
	epoll, err := syscall.EpollCreate1(0)
	if err != nil {
		return nil, err
	}
	return &engine{
		crowd: crowd, plain: plain, epoll: epoll,
		byFD:     map[int]*conn{},
		visits:   int(time.Now().UnixMilli() / 100),
		events:   make([]syscall.EpollEvent, 1024),
		inbox:    make([]byte, 1<<16),
		frame:    make([]byte, 0, 1<<14),
		sealed:   make([]byte, 0, 1<<15),
		onAnswer: func(*conn, bool, int64) {},
	}, nil
}

// step waits at most so long and hears every connection that has something.
func (e *engine) step(wait time.Duration) error {
	spec := syscall.NsecToTimespec(max(0, wait.Nanoseconds()))
	n, _, errno := syscall.Syscall6(sysEpollWait, uintptr(e.epoll), uintptr(unsafe.Pointer(&e.events[0])),
		uintptr(len(e.events)), uintptr(unsafe.Pointer(&spec)), 0, 0)
	if errno == syscall.EINTR {
		return nil
	}
	if errno != 0 {
		return errno
	}
	now := time.Now().UnixNano()
	for _, event := range e.events[:n] {
		e.lock.Lock()
		c := e.byFD[int(event.Fd)]
		e.lock.Unlock()
		if c == nil {
			continue
		}
		c.hear(now)
		if c.broken != nil {
			e.drop(c)
		}
	}
	return nil
}

func (e *engine) drop(c *conn) {
	e.lock.Lock()
	delete(e.byFD, c.fd)
	e.lock.Unlock()
	_ = syscall.Close(c.fd)
}

// reusable lets a port be taken again whose last connection is over.
func reusable(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	})
	return errors.Join(err, failed)
}

// shaken dials and makes the handshake; it returns the connection as a bare socket.
func (e *engine) shaken(address string, number int) (*conn, error) {
	one := e.crowd.agents[number]
	// Each agent has an address of its own, as each has a host of its own. Its port is below those that the system
	// gives away, so that no listener finds its own port taken.
	from := &net.TCPAddr{IP: net.IPv4(127, 1, byte(number>>8), byte(number)), Port: 10_000 + e.visits%20_000}
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	dialed, err := (&net.Dialer{LocalAddr: from, KeepAlive: -1, Control: reusable}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer dialed.Close()
	c := &conn{of: e, uid: one.uid}
	if !e.plain {
		var log bytes.Buffer
		client := tls.Client(dialed, &tls.Config{
			Certificates:       []tls.Certificate{*one.pair},
			InsecureSkipVerify: true, // the client's own checks are not what is measured
			MinVersion:         tls.VersionTLS13,
			CurvePreferences:   []tls.CurveID{tls.X25519},
			NextProtos:         []string{"http/1.1"},
			KeyLogWriter:       &log,
		})
		if err := client.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		if c.send, c.receive, err = halves(client.ConnectionState().CipherSuite, log.String()); err != nil {
			return nil, err
		}
	}
	raw, err := dialed.(*net.TCPConn).SyscallConn()
	if err != nil {
		return nil, err
	}
	var duplicated error
	if err := raw.Control(func(fd uintptr) { c.fd, duplicated = syscall.Dup(int(fd)) }); err != nil {
		return nil, err
	}
	return c, duplicated
}

// connect opens connections, at most so many handshakes at once; with `websocket` up to the first answer.
func (e *engine) connect(address string, first, count, atOnce int, websocket bool) (answer, error) {
	if first+count > len(e.crowd.agents) {
		return nil, fmt.Errorf("there are %d agents", len(e.crowd.agents))
	}
	if atOnce == 0 {
		atOnce = count
	}
	e.visits++
	begun := time.Now()
	numbers := make(chan int, count)
	ready := make(chan *conn, count)
	for number := first; number < first+count; number++ {
		numbers <- number
	}
	close(numbers)
	for range atOnce {
		go func() {
			for number := range numbers {
				c, err := e.shaken(address, number)
				if err != nil {
					c = &conn{broken: err}
				}
				ready <- c
			}
		}()
	}
	failed, why, served, pending := 0, "", 0, count
	var last time.Duration
	times := make([]int64, 0, count)
	e.onAnswer = func(c *conn, _ bool, now int64) {
		if len(c.sent) > 0 {
			c.sent = nil
			served++
			last = time.Since(begun)
			times = append(times, last.Nanoseconds())
		}
	}
	opened := []*conn{}
	for pending > 0 || (websocket && served+failed < count && time.Since(begun) < dialTimeout) {
		select {
		case c := <-ready:
			pending--
			if c.broken != nil {
				failed, why = failed+1, c.broken.Error()
				continue
			}
			opened = append(opened, c)
			c.sent = []int64{1}
			if err := e.add(c, websocket); err != nil {
				return nil, err
			}
			continue
		default:
		}
		if err := e.step(time.Millisecond); err != nil {
			return nil, err
		}
		if pending == 0 && served+failed < count {
			for _, c := range opened {
				if c.broken != nil && c.fd >= 0 {
					failed, why, c.fd = failed+1, c.broken.Error(), -1
				}
			}
		}
	}
	if !websocket {
		served, last = len(opened), time.Since(begun)
	}
	return answer{"seconds": last.Seconds(), "served": served, "failed": count - served, "why": why,
		"p50": quantile(times, 0.5), "p99": quantile(times, 0.99)}, nil
}

func (e *engine) add(c *conn, websocket bool) error {
	e.lock.Lock()
	e.byFD[c.fd] = c
	e.lock.Unlock()
	e.conns = append(e.conns, c)
	if websocket {
		c.write(upgrade)
	} else {
		c.phase, c.sent = polling, nil
	}
	return syscall.EpollCtl(e.epoll, syscall.EPOLL_CTL_ADD, c.fd,
		&syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(c.fd)})
}

func (e *engine) closeAll() answer {
	broken := 0
	for _, c := range e.conns {
		if c.broken != nil {
			broken++
			continue
		}
		e.drop(c)
	}
	e.conns, e.byFD = nil, map[int]*conn{}
	return answer{"broken": broken}
}
