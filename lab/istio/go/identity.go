// Stand-in, identity: the client certificate that is shown to istiod, the key and request for a certificate of its own,
// and the files that keep what istiod signed.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// clientCertificate is read at each handshake: what lies on the disk and has not expired is shown, whoever signed it.
func clientCertificate(chainPath, keyPath string) (*tls.Certificate, error) {
	none := &tls.Certificate{}
	if chainPath == "" {
		return none, nil
	}
	leaf, err := firstCertificate(chainPath)
	if err != nil {
		warn("", "cannot parse the cert chain, using token instead: failed to read the cert, error is %v", err)
		return none, nil
	}
	if time.Now().After(leaf.NotAfter) {
		warn("", "cert expired, using token instead")
		return none, nil
	}
	pair, err := tls.LoadX509KeyPair(chainPath, keyPath)
	if err != nil {
		return nil, err
	}
	return &pair, nil
}

func firstCertificate(path string) (*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("no PEM block in %s", path)
	}
	return x509.ParseCertificate(block.Bytes)
}

func rootsFrom(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("no certificate in %s", path)
	}
	return pool, nil
}

func newKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func newRequest(key *ecdsa.PrivateKey, spiffe string) (string, error) {
	name, err := url.Parse(spiffe)
	if err != nil {
		return "", err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{URIs: []*url.URL{name}}, key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), nil
}

// workload is a signed certificate in use.
type workload struct {
	pair  tls.Certificate
	leaf  *x509.Certificate
	root  *x509.Certificate
	roots *x509.CertPool
}

func newWorkload(keyPEM []byte, chain []string, rootPEM string) (*workload, error) {
	pair, err := tls.X509KeyPair([]byte(strings.Join(chain, "")), keyPEM)
	if err != nil {
		return nil, err
	}
	w := &workload{pair: pair, roots: x509.NewCertPool()}
	if w.leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
		return nil, err
	}
	block, _ := pem.Decode([]byte(rootPEM))
	if block == nil {
		return nil, fmt.Errorf("istiod sent no root certificate")
	}
	if w.root, err = x509.ParseCertificate(block.Bytes); err != nil {
		return nil, err
	}
	w.roots.AddCert(w.root)
	return w, nil
}

// halfLife is how long to wait before the next certificate is asked for, told when this one has just come.
func (w *workload) halfLife() time.Duration {
	return time.Until(w.leaf.NotAfter) / 2
}

// keep writes the three files; each appears whole or not at all.
func keep(dir string, keyPEM []byte, chain []string, rootPEM string) error {
	if dir == "" {
		return nil
	}
	files := []struct{ name, text string }{
		{"key.pem", string(keyPEM)},
		{"cert-chain.pem", strings.Join(chain, "")},
		{"root-cert.pem", rootPEM},
	}
	for _, file := range files {
		if err := writeWhole(filepath.Join(dir, file.name), file.text); err != nil {
			return err
		}
	}
	return nil
}

func writeWhole(path, text string) error {
	fresh, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(fresh.Name())
	if _, err := fresh.WriteString(text); err != nil {
		return err
	}
	if err := fresh.Close(); err != nil {
		return err
	}
	return os.Rename(fresh.Name(), path)
}
