package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const life = 30 * 24 * time.Hour

// authority is a certificate and the key that signs with it.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// certificates writes into a folder what the servers and their clients prove themselves with:
// ca, server, and admin of the group system:masters, each as .crt and .key; accounts.key, which
// signs the tokens of service accounts.
func certificates(folder string) error {
	ca, err := newAuthority(folder)
	if err != nil {
		return err
	}
	server := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost", "kubernetes.default.svc"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 0, 0, 1)},
	}
	if err := ca.issue(folder, "server", server); err != nil {
		return err
	}
	admin := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if err := ca.issue(folder, "admin", admin); err != nil {
		return err
	}
	_, err = newKey(folder, "accounts")
	return err
}

func newAuthority(folder string) (*authority, error) {
	key, err := newKey(folder, "ca")
	if err != nil {
		return nil, err
	}
	ca := &authority{key: key}
	ca.certificate = &x509.Certificate{
		Subject:               pkix.Name{CommonName: "kube-tests"},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	return ca, ca.sign(folder, "ca", ca.certificate, x509.KeyUsageCertSign, key)
}

// issue writes a certificate of this authority, and its key.
func (ca *authority) issue(folder, name string, wanted *x509.Certificate) error {
	key, err := newKey(folder, name)
	if err != nil {
		return err
	}
	return ca.sign(folder, name, wanted, x509.KeyUsageDigitalSignature, key)
}

func (ca *authority) sign(
	folder, name string, wanted *x509.Certificate, usage x509.KeyUsage, key *ecdsa.PrivateKey,
) error {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	now := time.Now()
	wanted.SerialNumber, wanted.KeyUsage = serial, usage
	wanted.NotBefore, wanted.NotAfter = now.Add(-time.Hour), now.Add(life)
	der, err := x509.CreateCertificate(rand.Reader, wanted, ca.certificate, &key.PublicKey, ca.key)
	if err != nil {
		return fmt.Errorf("certificate of %s: %w", name, err)
	}
	return write(folder, name+".crt", "CERTIFICATE", der)
}

func newKey(folder, name string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, write(folder, name+".key", "EC PRIVATE KEY", der)
}

func write(folder, name, kind string, der []byte) error {
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	return os.WriteFile(filepath.Join(folder, name), text, 0o600)
}
