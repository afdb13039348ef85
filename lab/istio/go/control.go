// Stand-in, control plane: the two calls to the lab's istiod. JSON lines over TLS, one connection a call:
//
//	sign:    {"call","token","cluster","csr","seconds"}  ->  {"chain":[...],"root"}            and the end
//	connect: {"call","token","cluster","node"}           ->  {"config":{...}} each time it changes,
//	         while the agent sends {"health":{"healthy","message"}} and, so that a dead machine is noticed, {"ping"}
//
// Either is answered by {"error":{"code","message"}} when istiod refuses it.
package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
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

// pushed is what the stand-in needs of a configuration.
type pushed struct {
	Inbound   string              `json:"inbound"`   // how strict: PERMISSIVE, STRICT or DISABLE
	Listeners []listenerConfig    `json:"listeners"` // inbound ones with an address of their own
	Ports     map[string]string   `json:"ports"`     // where captured connections to a port go instead
	Outbound  []outboundConfig    `json:"outbound"`  // outbound ones with an address of their own
	Virtual   map[string][]end    `json:"virtual"`   // what is behind a service's own address and port
	Names     map[string][]string `json:"names"`     // what the agent answers to questions for names
	Logged    []string            `json:"logged"`    // SERVER, CLIENT: whose requests are written down
}

type listenerConfig struct {
	Bind string `json:"bind"`
	To   string `json:"to"`
}

type outboundConfig struct {
	Bind   string  `json:"bind"`
	HTTP   bool    `json:"http"` // what a request calls for decides; else the first route
	Routes []route `json:"routes"`
}

type route struct {
	Hosts     []string `json:"hosts"`
	Endpoints []end    `json:"endpoints"`
}

// end is an endpoint; mesh says that it takes mutual TLS.
type end struct {
	Address string `json:"address"`
	Mesh    bool   `json:"mesh"`
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

// dial connects with the client certificate that lies on the disk, if there is a usable one, and trusts only the root that
// lies there.
func (s *settings) dial(address, override, rootPath string) (*call, error) {
	roots, err := rootsFrom(rootPath)
	if err != nil {
		return nil, fmt.Errorf("failed to load root certificate: %w", err)
	}
	config := &tls.Config{
		RootCAs:    roots,
		MinVersion: tls.VersionTLS12,
		ServerName: serverName(address, override),
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return clientCertificate(s.shown())
		},
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 5 * time.Second}
	conn, err := tls.DialWithDialer(dialer, "tcp", address, config)
	if err != nil {
		var unreached *net.OpError
		if errors.As(err, &unreached) && unreached.Op == "dial" {
			return nil, unavailable(fmt.Errorf("transport: Error while dialing: %w", err))
		}
		return nil, unavailable(fmt.Errorf("transport: authentication handshake failed: %w", err))
	}
	return &call{conn: conn, decoder: json.NewDecoder(conn)}, nil
}

// sign has a new key certified and gives it with the text of the key.
func (s *settings) sign() (*workload, []byte, *answer, error) {
	shown, err := token()
	if err != nil {
		return nil, nil, nil, err
	}
	c, err := s.dial(s.authority, s.authorityTLS, s.trustedAuthority())
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
	err = c.send(map[string]any{"call": "sign", "token": shown, "cluster": s.clusterID(), "csr": request,
		"seconds": int(s.lifetime.Seconds())})
	if err != nil {
		return nil, nil, nil, unavailable(err)
	}
	reply, err := c.receive()
	if err != nil {
		return nil, nil, nil, err
	}
	reply.Chain = append(reply.Chain, reply.Root) // the original keeps the root behind the chain too
	signed, err := newWorkload(keyPEM, reply.Chain, reply.Root)
	return signed, keyPEM, reply, err
}

// connect opens the long call by which istiod configures the proxy and hears of the application's health.
func (s *settings) connect() (*call, error) {
	shown, err := token()
	if err != nil {
		return nil, err
	}
	c, err := s.dial(s.discovery, s.name, s.trusted())
	if err != nil {
		return nil, err
	}
	err = c.send(map[string]any{"call": "connect", "token": shown, "cluster": s.clusterID(), "node": s.node()})
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
