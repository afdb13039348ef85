// Stand-in, control plane: the two calls to the lab's istiod. JSON lines over TLS, one connection a call:
//
//	sign:    {"call","token","cluster","csr","seconds"}  ->  {"chain":[...],"root"}            and the end
//	connect: {"call","token","cluster","node"}           ->  {"config":{"inbound","listeners"}} each time it changes,
//	         while the agent sends {"health":{"healthy","message"}} and, so that a dead machine is noticed, {"ping"}
//
// Either is answered by {"error":{"code","message"}} when istiod refuses it.
package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

type refusal struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (r *refusal) Error() string {
	return fmt.Sprintf("rpc error: code = %s desc = %s", r.Code, r.Message)
}

type answer struct {
	Error  *refusal `json:"error"`
	Chain  []string `json:"chain"`
	Root   string   `json:"root"`
	Config *pushed  `json:"config"`
}

// pushed is what the stand-in needs of a configuration: how strict inbound is, and listeners without capture.
type pushed struct {
	Inbound   string `json:"inbound"`
	Listeners []struct {
		Bind string `json:"bind"`
		To   string `json:"to"`
	} `json:"listeners"`
}

type call struct {
	conn    *tls.Conn
	decoder *json.Decoder
	sending sync.Mutex
}

func (c *call) send(message map[string]any) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	return json.NewEncoder(c.conn).Encode(message)
}

func (c *call) receive() (*answer, error) {
	reply := &answer{}
	if err := c.decoder.Decode(reply); err != nil {
		return nil, unavailable(fmt.Errorf("error reading server preface: %w", err))
	}
	if reply.Error != nil {
		return nil, reply.Error
	}
	return reply, nil
}

func unavailable(err error) error {
	return &refusal{"Unavailable", fmt.Sprintf("connection error: desc = %q", err)}
}

func serverName(address, override string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if strings.Contains(host, "localhost") {
		host = "istiod.istio-system.svc"
	}
	return or(override, host)
}

// dial connects with the client certificate of `dir`, if there is a usable one, and trusts only the root that lies there.
func dial(address, override, dir, rootPath string) (*call, error) {
	roots, err := rootsFrom(rootPath)
	if err != nil {
		return nil, fmt.Errorf("failed to load root certificate: %w", err)
	}
	config := &tls.Config{
		RootCAs:    roots,
		MinVersion: tls.VersionTLS12,
		ServerName: serverName(address, override),
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return clientCertificate(dir)
		},
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 5 * time.Second}
	conn, err := tls.DialWithDialer(dialer, "tcp", address, config)
	if err != nil {
		return nil, unavailable(fmt.Errorf("transport: %w", err))
	}
	return &call{conn: conn, decoder: json.NewDecoder(conn)}, nil
}

// sign has a new key certified and gives it with the text of the key.
func (s *settings) sign() (*workload, []byte, *answer, error) {
	c, err := dial(s.authority, s.authorityTLS, s.identityDir, filepath.Join(or(s.identityDir, "./etc/certs"), "root-cert.pem"))
	if err != nil {
		return nil, nil, nil, err
	}
	defer c.conn.Close()
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, nil, nil, err
	}
	request, err := newRequest(key, s.spiffe())
	if err != nil {
		return nil, nil, nil, err
	}
	err = c.send(map[string]any{"call": "sign", "token": token(), "cluster": s.clusterID(), "csr": request,
		"seconds": int(s.lifetime.Seconds())})
	if err != nil {
		return nil, nil, nil, unavailable(err)
	}
	reply, err := c.receive()
	if err != nil {
		return nil, nil, nil, err
	}
	signed, err := newWorkload(keyPEM, reply.Chain, reply.Root)
	return signed, keyPEM, reply, err
}

// connect opens the long call by which istiod configures the proxy and hears of the application's health.
func (s *settings) connect() (*call, error) {
	root := "./etc/certs/root-cert.pem"
	if _, err := os.Stat(root); err != nil {
		root = filepath.Join(s.identityDir, "root-cert.pem")
	}
	c, err := dial(s.discovery, s.name, s.identityDir, root)
	if err != nil {
		return nil, err
	}
	err = c.send(map[string]any{"call": "connect", "token": token(), "cluster": s.clusterID(), "node": s.node()})
	if err != nil {
		c.conn.Close()
		return nil, unavailable(err)
	}
	return c, nil
}

func (s *settings) spiffe() string {
	return fmt.Sprintf("spiffe://%s/ns/%s/sa/%s", or(os.Getenv("TRUST_DOMAIN"), "cluster.local"),
		os.Getenv("POD_NAMESPACE"), os.Getenv("SERVICE_ACCOUNT"))
}
