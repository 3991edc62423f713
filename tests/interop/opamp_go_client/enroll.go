package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"os"

	"github.com/open-telemetry/opamp-go/protobufs"
)

// ownKey returns the key in a file, made on first use: it never leaves this host.
func ownKey(path string) (*ecdsa.PrivateKey, error) {
	if text, err := os.ReadFile(path); err == nil {
		block, _ := pem.Decode(text)
		if block == nil {
			return nil, fmt.Errorf("%s holds no PEM", path)
		}
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, err
		}
		key, isECDSA := parsed.(*ecdsa.PrivateKey)
		if !isECDSA {
			return nil, fmt.Errorf("%s holds a %T", path, parsed)
		}
		return key, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return key, os.WriteFile(path, text, 0o600)
}

// request asks for a certificate for the key in a file: the instance uid is the request's common name.
func (a *agent) request(path string) error {
	key, err := ownKey(path)
	if err != nil {
		return err
	}
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: a.uid}}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return err
	}
	csr := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	return a.client.RequestConnectionSettings(&protobufs.ConnectionSettingsRequest{
		Opamp: &protobufs.OpAMPConnectionSettingsRequest{
			CertificateRequest: &protobufs.CertificateRequest{Csr: csr},
		},
	})
}

// certify keeps an offered certificate if it is for a key of ours; it returns whether it is another one than before.
func (a *agent) certify(certificate []byte) (bool, error) {
	if known, err := os.ReadFile(a.cert); err == nil && bytes.Equal(leaf(known), leaf(certificate)) {
		return false, nil
	}
	for _, path := range []string{a.key + ".next", a.key} {
		key, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if _, err := tls.X509KeyPair(certificate, key); err != nil {
			continue
		}
		if err := os.WriteFile(a.cert, certificate, 0o600); err != nil {
			return false, err
		}
		return true, os.Rename(path, a.key)
	}
	return false, fmt.Errorf("the certificate is for none of our keys")
}

// leaf returns the first certificate of a chain.
func leaf(chain []byte) []byte {
	if block, _ := pem.Decode(chain); block != nil {
		return block.Bytes
	}
	return nil
}

// taken follows a new certificate: the enrolling program ends, the running one connects anew with it.
func (a *agent) taken() {
	if a.enroll == "" {
		say("rotated", nil)
		a.startAgain("certificate")
		return
	}
	say("enrolled", nil)
	a.once.Do(func() { close(a.done) })
}
