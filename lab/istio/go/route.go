// Stand-in, routes: a listener of its own for what the machine calls: which service does a request call for, which of
// its endpoints takes it, and is it of the mesh? A connection goes where its first request goes.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"time"
)

const limit = 64 << 10 // bytes that a request's head may have

func (t *traffic) routed(conn net.Conn, listener outboundConfig) {
	conn, record := t.recorded(conn, "CLIENT")
	defer record()
	routes := listener.Routes
	if listener.HTTP {
		head, rest := headOf(conn)
		conn = rest
		if called := hostOf(head); called != "" {
			routes = matching(routes, called)
		}
	}
	if len(routes) == 0 { // what no service is called leads to where it was meant to go, which is this listener: nowhere
		routes = []route{{}}
	}
	t.toEndpoint(conn, routes[0].Endpoints)
}

// toEndpoint takes the endpoints in turn.
func (t *traffic) toEndpoint(conn net.Conn, ends []end) {
	if len(ends) == 0 {
		respond(conn, "503 Service Unavailable", "no healthy upstream")
		return
	}
	chosen := ends[int(t.next.Add(1)-1)%len(ends)]
	server, err := net.DialTimeout("tcp", chosen.Address, 10*time.Second)
	if err != nil {
		respond(conn, "503 Service Unavailable", "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure")
		return
	}
	if chosen.Mesh {
		secured, err := t.secure(server)
		if err != nil {
			server.Close()
			respond(conn, "503 Service Unavailable", "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure, transport failure reason: "+err.Error())
			return
		}
		server = secured
	}
	both(conn, server)
}

// secure puts mutual TLS of the mesh around a connection: any name that the mesh's root signed will do.
func (t *traffic) secure(server net.Conn) (net.Conn, error) {
	t.agent.mutex.Lock()
	w := t.agent.workload
	t.agent.mutex.Unlock()
	secured := tls.Client(server, &tls.Config{
		Certificates:       []tls.Certificate{w.pair},
		NextProtos:         []string{"istio"},
		InsecureSkipVerify: true, // its name is no host name; the chain is looked at below
		VerifyConnection: func(state tls.ConnectionState) error {
			options := x509.VerifyOptions{Roots: w.roots, Intermediates: x509.NewCertPool()}
			for _, certificate := range state.PeerCertificates[1:] {
				options.Intermediates.AddCert(certificate)
			}
			_, err := state.PeerCertificates[0].Verify(options)
			return err
		},
	})
	return secured, secured.Handshake()
}

func respond(conn net.Conn, status, body string) {
	_, _ = io.WriteString(conn, "HTTP/1.1 "+status+"\r\nserver: envoy\r\ncontent-type: text/plain\r\ncontent-length: "+
		itoa(len(body))+"\r\nconnection: close\r\n\r\n"+body)
}

func matching(routes []route, called string) []route {
	name := called
	if host, _, err := net.SplitHostPort(called); err == nil {
		name = host
	}
	for _, r := range routes {
		for _, host := range r.Hosts {
			if strings.EqualFold(host, name) || (strings.HasPrefix(host, "*.") && strings.HasSuffix(name, host[1:])) {
				return []route{r}
			}
		}
	}
	return nil
}

// headOf reads a request's head, or what came before it was clear that there is none; all of it can be read again.
func headOf(conn net.Conn) ([]byte, net.Conn) {
	head, part := []byte{}, make([]byte, 4096)
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	defer conn.SetReadDeadline(time.Time{})
	for len(head) < limit && !bytes.Contains(head, []byte("\r\n\r\n")) {
		n, err := conn.Read(part)
		head = append(head, part[:n]...)
		if err != nil && !errors.Is(err, io.EOF) || n == 0 || (len(head) > 8 && !looksHTTP(head)) {
			break
		}
	}
	return head, &replayed{Conn: conn, first: head}
}

func looksHTTP(head []byte) bool {
	word, _, found := bytes.Cut(head[:min(len(head), 16)], []byte(" "))
	return found && len(word) > 1 && bytes.Equal(word, bytes.ToUpper(word))
}

// hostOf is what the request calls for; empty when it is none.
func hostOf(head []byte) string {
	if !looksHTTP(head) {
		return ""
	}
	for _, line := range strings.Split(string(head), "\r\n")[1:] {
		if name, value, found := strings.Cut(line, ":"); found && strings.EqualFold(name, "host") {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
