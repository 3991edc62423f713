package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
	"syscall"
)

type phase int

const (
	upgrading phase = iota // the request to upgrade is sent
	greeting               // the first message is sent
	talking                // the first answer came
	polling                // plain HTTP
)

const (
	frameBinary = 0x82
	frameMasked = 0x80
	maskBytes   = 4

	tagError    = 2<<3 | 2
	tagPackages = 5<<3 | 2
	tagFlags    = 6 << 3

	flagReportFullState = 1
)

var upgrade = []byte("GET /v1/opamp HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: load\r\nUpgrade: websocket\r\n" +
	"Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n")

// conn is one agent's connection after its handshake.
type conn struct {
	fd            int
	of            *engine
	uid           []byte
	send, receive *half // nil without TLS
	raw, plain    []byte
	phase         phase
	sequence      uint64
	sent          []int64 // when the messages that are not answered yet were due, oldest first
	offered       int64
	asked         bool // whether the server asked for the full state
	broken        error
}

func (c *conn) fail(err error) {
	if c.broken == nil {
		c.broken = err
	}
}

// write sends bytes; the socket's buffer holds whatever one agent sends.
func (c *conn) write(data []byte) {
	out := data
	if c.send != nil {
		out = c.send.seal(c.of.sealed[:0], data)
	}
	n, err := syscall.Write(c.fd, out)
	if err == nil && n < len(out) {
		err = errors.New("socket took a part of a message")
	}
	if err != nil {
		c.fail(err)
	}
}

// message returns an AgentToServer: uid, the next sequence number, and what follows them.
func (c *conn) message(out, tail []byte) []byte {
	c.sequence++
	out = append(append(out, 1<<3|2, 16), c.uid...)
	out = binary.AppendUvarint(append(out, 2<<3), c.sequence)
	return append(out, tail...)
}

// say sends one message in a masked binary frame.
func (c *conn) say(tail []byte) {
	size := 1 + 2 + 16 + 1 + uvarintLen(c.sequence+1) + len(tail)
	out := append(c.of.frame[:0], frameBinary)
	if size < 126 {
		out = append(out, frameMasked|byte(size))
	} else {
		out = append(out, frameMasked|126, byte(size>>8), byte(size))
	}
	out = append(out, c.uid[12:16]...)
	start := len(out)
	out = c.message(append(out, 0), tail)
	for i := start; i < len(out); i++ {
		out[i] ^= c.uid[12+(i-start)&3]
	}
	c.write(out)
}

func uvarintLen(value uint64) int {
	var space [binary.MaxVarintLen64]byte
	return binary.PutUvarint(space[:], value)
}

// tail returns what the next message says after uid and number: the full state at first and when it was asked
// for, else what a heartbeat says.
func (c *conn) tail() []byte {
	if c.sequence == 0 || c.asked {
		c.asked = false
		return c.of.crowd.full
	}
	return c.of.crowd.beat
}

func (c *conn) beat() { c.say(c.tail()) }

// poll sends one message by POST.
func (c *conn) poll() {
	tail := c.tail()
	size := 2 + 16 + 1 + uvarintLen(c.sequence+1) + len(tail)
	out := append(c.of.frame[:0], "POST /v1/opamp HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: load\r\n"+
		"Content-Type: application/x-protobuf\r\nContent-Length: "...)
	out = append(strconv.AppendInt(out, int64(size), 10), "\r\n\r\n"...)
	c.write(c.message(out, tail))
}

// hear takes what the kernel has for this connection.
func (c *conn) hear(now int64) {
	n, err := syscall.Read(c.fd, c.of.inbox)
	if err == syscall.EAGAIN || err == syscall.EINTR {
		return
	}
	if err == nil && n == 0 {
		err = errors.New("server closed the connection")
	}
	if err != nil {
		c.fail(err)
		return
	}
	data := c.of.inbox[:n]
	if c.receive == nil {
		c.take(data, now)
		return
	}
	if len(c.raw) > 0 {
		data = append(c.raw, data...)
		c.raw = nil
	}
	for {
		content, rest, err := c.receive.open(data)
		if err != nil {
			c.fail(err)
			return
		}
		if content == nil {
			if len(rest) > 0 {
				c.raw = bytes.Clone(rest)
			}
			return
		}
		c.take(content, now)
		data = rest
	}
}

func (c *conn) take(data []byte, now int64) {
	if len(c.plain) > 0 {
		data = append(c.plain, data...)
		c.plain = nil
	}
	for len(data) > 0 && c.broken == nil {
		used := 0
		if c.phase == upgrading || c.phase == polling {
			used = c.takeHTTP(data, now)
		} else {
			used = c.takeFrame(data, now)
		}
		if used == 0 {
			c.plain = bytes.Clone(data)
			return
		}
		data = data[used:]
	}
}

var (
	endOfHead = []byte("\r\n\r\n")
)

// takeHTTP reads one answer; it returns how many bytes that took, 0 if it is not whole.
func (c *conn) takeHTTP(data []byte, now int64) int {
	head := bytes.Index(data, endOfHead)
	if head < 0 {
		return 0
	}
	body := head + len(endOfHead)
	status := string(data[9:12])
	if c.phase == upgrading {
		if status != "101" {
			c.fail(errors.New("upgrade was answered with " + string(data[:min(head, 200)])))
			return len(data)
		}
		c.phase = greeting
		c.say(c.of.crowd.full)
		return body
	}
	length := lengthOf(data[:head])
	if length < 0 || status != "200" {
		c.fail(errors.New("poll was answered with " + string(data[:min(head, 200)])))
		return len(data)
	}
	if len(data) < body+length {
		return 0
	}
	c.read(data[body:body+length], now)
	return body + length
}

func lengthOf(head []byte) int {
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if len(name) == 14 && bytes.EqualFold(name, []byte("content-length")) {
			if length, err := strconv.Atoi(string(bytes.TrimSpace(value))); err == nil {
				return length
			}
		}
	}
	return -1
}

// takeFrame reads one frame; it returns how many bytes that took, 0 if it is not whole.
func (c *conn) takeFrame(data []byte, now int64) int {
	if len(data) < 2 {
		return 0
	}
	length, start := int(data[1]), 2
	if length == 126 {
		if len(data) < 4 {
			return 0
		}
		length, start = int(binary.BigEndian.Uint16(data[2:])), 4
	}
	if len(data) < start+length {
		return 0
	}
	if data[0] != frameBinary || length < 1 || data[1] > 126 {
		c.fail(errors.New("server sent another frame than a whole binary one: " + strconv.Quote(string(data[:start+length]))))
		return len(data)
	}
	c.read(data[start+1:start+length], now) // without the header byte
	return start + length
}

// read looks at the fields of a ServerToAgent: an error, an offer, or an answer.
func (c *conn) read(message []byte, now int64) {
	offer := false
	for len(message) > 0 {
		tag, n := binary.Uvarint(message)
		message = message[max(n, 1):]
		size, n := binary.Uvarint(message)
		message = message[max(n, 1):]
		c.asked = c.asked || tag == tagFlags && size&flagReportFullState != 0
		if tag&7 == 2 {
			if tag == tagError {
				c.fail(errors.New("server answered with an error: " + strconv.Quote(string(message))))
				return
			}
			offer = offer || tag == tagPackages
			message = message[min(int(size), len(message)):]
		}
	}
	if offer && c.offered == 0 {
		c.offered = now
	}
	if c.phase == greeting {
		c.phase = talking
	}
	c.of.onAnswer(c, offer, now)
}
