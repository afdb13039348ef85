// Stand-in, access log: a line on the output for the first request of each connection, in the order of Istio's own.
package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

// recorded gives the connection back with its first request read, and what writes the line when it has ended. Where
// nothing is to be written nothing is read.
func (t *traffic) recorded(conn net.Conn, side string) (net.Conn, func()) {
	if !slices.Contains(t.current().Logged, side) {
		return conn, func() {}
	}
	began := time.Now()
	head, rest := headOf(conn)
	watched := &watchedConn{Conn: rest}
	line, _, _ := strings.Cut(string(head), "\r\n")
	if !looksHTTP(head) {
		line = "- - -"
	}
	return watched, func() {
		direction := map[string]string{"SERVER": "inbound", "CLIENT": "outbound"}[side]
		fmt.Fprintf(os.Stdout, "[%s] \"%s\" %s - via_upstream - \"-\" 0 %d %d - \"-\" \"-\" \"-\" \"%s\" \"-\" %s %s %s - -\n",
			began.UTC().Format("2006-01-02T15:04:05.000Z"), line, watched.code(), watched.sent, time.Since(began).Milliseconds(),
			or(hostOf(head), "-"), direction, conn.LocalAddr(), conn.RemoteAddr())
	}
}

// watchedConn keeps the beginning of what goes back to the client.
type watchedConn struct {
	net.Conn
	begin []byte
	sent  int
}

func (w *watchedConn) Write(text []byte) (int, error) {
	if len(w.begin) < 12 {
		w.begin = append(w.begin, text[:min(len(text), 12)]...)
	}
	n, err := w.Conn.Write(text)
	w.sent += n
	return n, err
}

func (w *watchedConn) CloseWrite() error { return closeWrite(w.Conn) }

func (w *watchedConn) code() string {
	words := bytes.Fields(w.begin)
	if len(words) < 2 {
		return "0"
	}
	return string(words[1])
}
