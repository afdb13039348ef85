// Stand-in, splice: two connections become one, and what was read of one too early is read again.
package main

import (
	"io"
	"net"
	"time"
)

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
	both(client, server)
}

func both(client, server net.Conn) {
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
