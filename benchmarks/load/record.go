package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
)

const (
	recordHeader    = 5
	applicationData = 23
	alert           = 21
)

// half is one direction of a TLS 1.3 connection after the handshake (RFC 8446 5.2).
type half struct {
	aead     cipher.AEAD
	iv       [12]byte
	sequence uint64
}

// halves returns both directions from what the handshake wrote to its key log.
func halves(suite uint16, log string) (send, receive *half, err error) {
	var newHash func() hash.Hash
	size := 16
	switch suite {
	case tls.TLS_AES_128_GCM_SHA256:
		newHash = sha256.New
	case tls.TLS_AES_256_GCM_SHA384:
		newHash, size = sha512.New384, 32
	default:
		return nil, nil, fmt.Errorf("cipher suite %s is not read here", tls.CipherSuiteName(suite))
	}
	secrets := map[string]string{}
	for line := range strings.Lines(log) {
		if words := strings.Fields(line); len(words) == 3 {
			secrets[words[0]] = words[2]
		}
	}
	if send, err = newHalf(newHash, size, secrets["CLIENT_TRAFFIC_SECRET_0"]); err != nil {
		return nil, nil, err
	}
	receive, err = newHalf(newHash, size, secrets["SERVER_TRAFFIC_SECRET_0"])
	return send, receive, err
}

func newHalf(newHash func() hash.Hash, size int, secret string) (*half, error) {
	raw, err := hex.DecodeString(secret)
	if err != nil || len(raw) == 0 {
		return nil, errors.New("handshake logged no secret")
	}
	key, err := hkdf.Expand(newHash, raw, label("key", size), size)
	if err != nil {
		return nil, err
	}
	iv, err := hkdf.Expand(newHash, raw, label("iv", 12), 12)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &half{aead: aead, iv: [12]byte(iv)}, nil
}

// label is HkdfLabel of RFC 8446 7.1 with an empty context.
func label(name string, length int) string {
	full := "tls13 " + name
	return string([]byte{byte(length >> 8), byte(length), byte(len(full))}) + full + "\x00"
}

func (h *half) nonce(into *[12]byte) {
	*into = h.iv
	binary.BigEndian.PutUint64(into[4:], binary.BigEndian.Uint64(into[4:])^h.sequence)
	h.sequence++
}

// seal appends one record that carries `plain` to `out`. `plain` is written to.
func (h *half) seal(out, plain []byte) []byte {
	var nonce [12]byte
	h.nonce(&nonce)
	plain = append(plain, applicationData)
	length := len(plain) + h.aead.Overhead()
	start := len(out)
	out = append(out, applicationData, 3, 3, byte(length>>8), byte(length))
	return h.aead.Seal(out, nonce[:], plain, out[start:start+recordHeader])
}

// open decrypts the first record of `data` in place; what is left is returned. Content is nil if none is whole.
func (h *half) open(data []byte) (content, rest []byte, err error) {
	if len(data) < recordHeader {
		return nil, data, nil
	}
	end := recordHeader + int(binary.BigEndian.Uint16(data[3:]))
	if len(data) < end {
		return nil, data, nil
	}
	var nonce [12]byte
	h.nonce(&nonce)
	body := data[recordHeader:end]
	plain, err := h.aead.Open(body[:0], nonce[:], body, data[:recordHeader])
	if err != nil {
		return nil, nil, err
	}
	last := len(plain) - 1
	for last >= 0 && plain[last] == 0 {
		last--
	}
	if last < 0 || plain[last] != applicationData {
		kind := byte(0)
		if last >= 0 {
			kind = plain[last]
		}
		if kind == alert {
			return nil, nil, errors.New("server closed by an alert")
		}
		return nil, nil, fmt.Errorf("record of type %d is not read here", kind)
	}
	return plain[:last], data[end:], nil
}
