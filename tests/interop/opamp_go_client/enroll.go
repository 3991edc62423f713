package main

import (
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

// ownKey returns the key in -key, made on first use: it never leaves this host.
func (a *agent) ownKey() (*ecdsa.PrivateKey, error) {
	if text, err := os.ReadFile(a.key); err == nil {
		block, _ := pem.Decode(text)
		if block == nil {
			return nil, fmt.Errorf("%s holds no PEM", a.key)
		}
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, err
		}
		key, isECDSA := parsed.(*ecdsa.PrivateKey)
		if !isECDSA {
			return nil, fmt.Errorf("%s holds a %T", a.key, parsed)
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
	return key, os.WriteFile(a.key, text, 0o600)
}

// request asks for a certificate with the first message: the instance uid is the request's common name.
func (a *agent) request() error {
	key, err := a.ownKey()
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

func (a *agent) onConnectionSettings(offered *protobufs.OpAMPConnectionSettings) error {
	certificate := offered.GetCertificate()
	say("connection_settings", event{
		"endpoint":    offered.DestinationEndpoint,
		"heartbeat":   offered.HeartbeatIntervalSeconds,
		"certificate": len(certificate.GetCert()) > 0,
		"private_key": len(certificate.GetPrivateKey()) > 0,
		"ca_cert":     len(certificate.GetCaCert()) > 0,
	})
	if a.enroll == "" || len(certificate.GetCert()) == 0 {
		return nil
	}
	key, err := os.ReadFile(a.key)
	if err != nil {
		return err
	}
	if _, err := tls.X509KeyPair(certificate.Cert, key); err != nil {
		say("certificate_refused", event{"error": err.Error()})
		return err
	}
	if err := os.WriteFile(a.cert, certificate.Cert, 0o600); err != nil {
		return err
	}
	say("enrolled", nil)
	a.once.Do(func() { close(a.done) })
	return nil
}
