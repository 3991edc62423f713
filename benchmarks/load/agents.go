package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
)

// agent is one line of the file: who it is, and what it presents.
type agent struct {
	uid  []byte
	pair *tls.Certificate
}

// fleet is the file: what follows uid and sequence number in a first message and in a heartbeat, and the agents.
type fleet struct {
	full, beat []byte
	agents     []agent
}

// read parses the file: a line "full HEX", "beat HEX" and "issuer BASE64", then "UID_HEX CERT KEY" (DER, base64).
func read(path string) (*fleet, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	found := &fleet{}
	var issuer []byte
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, 1<<20), 1<<20)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		switch {
		case len(words) == 2 && words[0] == "full":
			found.full, err = hex.DecodeString(words[1])
		case len(words) == 2 && words[0] == "beat":
			found.beat, err = hex.DecodeString(words[1])
		case len(words) == 2 && words[0] == "issuer":
			issuer, err = base64.StdEncoding.DecodeString(words[1])
		case len(words) == 3:
			var one agent
			one, err = parseAgent(words, issuer)
			found.agents = append(found.agents, one)
		default:
			err = fmt.Errorf("line of %d words in %s", len(words), path)
		}
		if err != nil {
			return nil, err
		}
	}
	return found, lines.Err()
}

func parseAgent(words []string, issuer []byte) (agent, error) {
	uid, err := hex.DecodeString(words[0])
	if err != nil {
		return agent{}, err
	}
	leaf, err := base64.StdEncoding.DecodeString(words[1])
	if err != nil {
		return agent{}, err
	}
	der, err := base64.StdEncoding.DecodeString(words[2])
	if err != nil {
		return agent{}, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return agent{}, err
	}
	return agent{uid, &tls.Certificate{Certificate: [][]byte{leaf, issuer}, PrivateKey: key}}, nil
}
