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
	inbound   string // PERMISSIVE, STRICT or DISABLE
	listeners map[string]net.Listener
	open      atomic.Int64
	total     atomic.Int64
}

func newTraffic(a *agent) *traffic {
	return &traffic{agent: a, listeners: map[string]net.Listener{}}
}

// apply opens what the configuration names and is not open yet, and closes what it no longer names.
func (t *traffic) apply(config *pushed) error {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.inbound = config.Inbound
	wanted := map[string]func(net.Conn){
		fmt.Sprintf("0.0.0.0:%d", t.agent.settings.ports.outbound): func(c net.Conn) { t.outward(c) },
		fmt.Sprintf("0.0.0.0:%d", t.agent.settings.ports.inbound):  func(c net.Conn) { t.inward(c, "") },
		fmt.Sprintf("[::]:%d", t.agent.settings.ports.outbound):    func(c net.Conn) { t.outward(c) },
		fmt.Sprintf("[::]:%d", t.agent.settings.ports.inbound):     func(c net.Conn) { t.inward(c, "") },
	}
	if t.agent.settings.captureNone() {
		wanted = map[string]func(net.Conn){}
	}
	for _, listener := range config.Listeners {
		to := listener.To
		wanted[listener.Bind] = func(c net.Conn) { t.inward(c, to) }
	}
	for bind, listener := range t.listeners {
		if wanted[bind] == nil {
			listener.Close()
			delete(t.listeners, bind)
		}
	}
	for bind, serve := range wanted {
		if t.listeners[bind] != nil {
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
			return err
		}
		t.listeners[bind] = listener
		go t.accept(listener, serve)
	}
	return nil
}

func (s *settings) captureNone() bool {
	mode, _ := s.node()["metadata"].(map[string]any)["INTERCEPTION_MODE"].(string)
	return or(mode, scalar(s.config, "interceptionMode")) == "NONE"
}

func (t *traffic) accept(listener net.Listener, serve func(net.Conn)) {
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
			serve(conn)
		}()
	}
}

func (t *traffic) outward(conn net.Conn) {
	to, err := originalDestination(conn)
	if err != nil || to == conn.LocalAddr().String() {
		return
	}
	splice(conn, to, nil)
}

// inward forwards to the application: `to`, or where the connection was meant for, from the address that the rules
// leave alone.
func (t *traffic) inward(conn net.Conn, to string) {
	var from net.Addr
	if to == "" {
		meant, err := originalDestination(conn)
		if err != nil || meant == conn.LocalAddr().String() {
			return
		}
		to, from = meant, &net.TCPAddr{IP: net.ParseIP("127.0.0.6")}
		if host, _, _ := net.SplitHostPort(to); net.ParseIP(host).To4() == nil {
			from = &net.TCPAddr{IP: net.ParseIP("::6")}
		}
	}
	t.mutex.Lock()
	mode := t.inbound
	t.mutex.Unlock()
	first, meshed := hello(conn)
	conn = &replayed{Conn: conn, first: first}
	switch {
	case meshed && mode != "DISABLE":
		secured, err := t.terminate(conn)
		if err != nil {
			return
		}
		conn = secured
	case mode == "STRICT":
		return
	}
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

type replayed struct {
	net.Conn
	first []byte
}

func (r *replayed) Read(into []byte) (int, error) {
	if len(r.first) > 0 {
		n := copy(into, r.first)
		r.first = r.first[n:]
		return n, nil
	}
	return r.Conn.Read(into)
}

func (r *replayed) CloseWrite() error { return closeWrite(r.Conn) }

func closeWrite(conn net.Conn) error {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return conn.Close()
}

// splice copies both ways until both sides have ended.
func splice(client net.Conn, to string, from net.Addr) {
	dialer := &net.Dialer{Timeout: 10 * time.Second, LocalAddr: from}
	server, err := dialer.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	done := make(chan struct{})
	go func() {
		_, _ = io.Copy(server, client)
		_ = closeWrite(server)
		close(done)
	}()
	_, _ = io.Copy(client, server)
	_ = closeWrite(client)
	<-done
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
