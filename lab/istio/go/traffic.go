// Stand-in, traffic: the listeners 15001 and 15006 that the iptables rules redirect to, and those without capture.
// A connection goes on to where its client meant it to go; inbound, mutual TLS of the mesh is taken off first.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type traffic struct {
	agent     *agent
	mutex     sync.Mutex
	config    *pushed
	listeners map[string]*opened
	open      atomic.Int64
	total     atomic.Int64
	next      atomic.Int64 // which endpoint is next
}

// opened is a listener and what is done with its connections, which a new configuration may replace.
type opened struct {
	net.Listener
	serve atomic.Value // func(net.Conn)
}

func newTraffic(a *agent) *traffic {
	return &traffic{agent: a, config: &pushed{}, listeners: map[string]*opened{}}
}

func (t *traffic) current() *pushed {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.config
}

// wanted are the addresses to listen on, with what each does.
func (t *traffic) wanted(config *pushed) map[string]func(net.Conn) {
	all := map[string]func(net.Conn){}
	if !t.agent.settings.captureNone() {
		for _, host := range []string{"0.0.0.0", "[::]"} {
			all[fmt.Sprintf("%s:%d", host, t.agent.settings.ports.outbound)] = t.outward
			all[fmt.Sprintf("%s:%d", host, t.agent.settings.ports.inbound)] = func(c net.Conn) { t.inward(c, "") }
		}
	}
	for _, listener := range config.Listeners {
		all[listener.Bind] = func(c net.Conn) { t.inward(c, listener.To) }
	}
	for _, listener := range config.Outbound {
		all[listener.Bind] = func(c net.Conn) { t.routed(c, listener) }
	}
	return all
}

// apply opens what the configuration names and is not open yet, and closes what it no longer names. A listener that
// cannot be opened is rejected, alone: the others are.
func (t *traffic) apply(config *pushed) error {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.config = config
	wanted := t.wanted(config)
	for bind, listener := range t.listeners {
		if wanted[bind] == nil {
			listener.Close()
			delete(t.listeners, bind)
		}
	}
	rejected := []string{}
	for bind, serve := range wanted {
		if there := t.listeners[bind]; there != nil {
			there.serve.Store(serve)
			continue
		}
		network := "tcp4" // one socket a family: an IPv4 connection's destination is asked for on an IPv4 socket
		if strings.HasPrefix(bind, "[") {
			network = "tcp6"
		}
		listener, err := net.Listen(network, bind)
		if err != nil && strings.HasPrefix(bind, "[::]") {
			continue // a machine without IPv6
		}
		if err != nil {
			rejected = append(rejected, fmt.Sprintf("%s: cannot bind '%s': %v", bind, bind, errors.Unwrap(err)))
			continue
		}
		t.listeners[bind] = &opened{Listener: listener}
		t.listeners[bind].serve.Store(serve)
		go t.accept(t.listeners[bind])
	}
	if len(rejected) > 0 {
		return errors.New("Error adding/updating listener(s) " + strings.Join(rejected, "\n"))
	}
	return nil
}

func (s *settings) captureNone() bool {
	mode, _ := s.node()["metadata"].(map[string]any)["INTERCEPTION_MODE"].(string)
	return or(mode, scalar(s.config, "interceptionMode")) == "NONE"
}

func (t *traffic) accept(listener *opened) {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		t.open.Add(1)
		t.total.Add(1)
		go func() {
			defer t.open.Add(-1)
			defer conn.Close()
			listener.serve.Load().(func(net.Conn))(conn)
		}()
	}
}

// outward sends a captured connection where it was meant to go; to a service's own address, to an endpoint.
func (t *traffic) outward(conn net.Conn) {
	to, err := originalDestination(conn)
	if err != nil || to == conn.LocalAddr().String() {
		return
	}
	conn, record := t.recorded(conn, "CLIENT")
	defer record()
	if ends, virtual := t.current().Virtual[to]; virtual {
		t.toEndpoint(conn, ends)
		return
	}
	splice(conn, to, nil)
}

// inward forwards to the application: `to`, or where the connection was meant for, from the address that the rules
// leave alone.
func (t *traffic) inward(conn net.Conn, to string) {
	config := t.current()
	var from net.Addr
	if to == "" {
		meant, err := originalDestination(conn)
		if err != nil || meant == conn.LocalAddr().String() {
			return
		}
		to, from = meant, &net.TCPAddr{IP: net.ParseIP("127.0.0.6")}
		host, port, _ := net.SplitHostPort(to)
		if net.ParseIP(host).To4() == nil {
			from = &net.TCPAddr{IP: net.ParseIP("::6")}
		}
		if other := config.Ports[port]; other != "" {
			to, from = other, nil
		}
	}
	first, meshed := hello(conn)
	conn = &replayed{Conn: conn, first: first}
	switch {
	case meshed && config.Inbound != "DISABLE":
		secured, err := t.terminate(conn)
		if err != nil {
			return
		}
		conn = secured
	case config.Inbound == "STRICT":
		return
	}
	conn, record := t.recorded(conn, "SERVER")
	defer record()
	splice(conn, to, from)
}

func (t *traffic) terminate(conn net.Conn) (net.Conn, error) {
	t.agent.mutex.Lock()
	w := t.agent.workload
	t.agent.mutex.Unlock()
	secured := tls.Server(conn, &tls.Config{
		Certificates: []tls.Certificate{w.pair},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    w.roots,
		NextProtos:   []string{"istio-peer-exchange", "istio", "istio-http/1.1", "istio-http/1.0", "istio-h2"},
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates[0].URIs) != 1 {
				return x509.CertificateInvalidError{Detail: "the peer has no SPIFFE name"}
			}
			return nil
		},
	})
	return secured, secured.Handshake()
}

// hello reads the first record of a TLS connection and says whether it offers a protocol of the mesh. A client that
// waits for the server to speak first is taken for plain text.
func hello(conn net.Conn) ([]byte, bool) {
	record := make([]byte, 5)
	_ = conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	defer conn.SetReadDeadline(time.Time{})
	n, err := io.ReadFull(conn, record)
	if err != nil || record[0] != 0x16 {
		return record[:n], false
	}
	body := make([]byte, int(record[3])<<8|int(record[4]))
	n, _ = io.ReadFull(conn, body)
	return append(record, body[:n]...), bytes.Contains(body[:n], []byte("\x05istio")) ||
		bytes.Contains(body[:n], []byte("istio-"))
}

// drain takes no new connections once none is open, and gives the open ones `limit` to end.
func (t *traffic) drain(limit time.Duration) {
	end := time.Now().Add(limit)
	for t.open.Load() > 0 && time.Now().Before(end) {
		time.Sleep(10 * time.Millisecond)
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	for _, listener := range t.listeners {
		listener.Close()
	}
}
