// Stand-in, gRPC: the standard health check of gRPC, one call of HTTP/2 without TLS and a message of one field.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

var grpcCodes = map[string]string{"1": "Canceled", "2": "Unknown", "3": "InvalidArgument", "4": "DeadlineExceeded", "5": "NotFound",
	"7": "PermissionDenied", "8": "ResourceExhausted", "12": "Unimplemented", "13": "Internal", "14": "Unavailable", "16": "Unauthenticated"}

// errSaidNothing is what the original has for an application that answers, and not SERVING: no error to put into words.
// Its agent falls over it, and so does this one, as soon as the threshold of failures is reached.
var errSaidNothing error = (*nothing)(nil)

type nothing struct{ text string }

func (n *nothing) Error() string { return n.text }

func grpcCheck(config any, host string) check {
	port, service := scalar(config, "port"), scalar(config, "service")
	address := net.JoinHostPort(host, port)
	return func(ctx context.Context) error {
		began := time.Now()
		if err := waitFor(ctx, address); err != nil {
			return fmt.Errorf("failed to connect health check grpc service on port %s: %w", port, err)
		}
		status, code, message, err := askHealth(ctx, address, service)
		desc := fmt.Sprintf("rpc error: code = %s desc = %s", grpcCodes[code], message)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			deadline, _ := ctx.Deadline()
			return fmt.Errorf("health rpc probe timed out after %v: rpc error: code = DeadlineExceeded desc = context deadline exceeded",
				deadline.Sub(began).Round(time.Second))
		case err != nil:
			return fmt.Errorf("health rpc probe failed with status Unavailable: rpc error: code = Unavailable desc = %w", err)
		case code == "12":
			return fmt.Errorf("service on port %s doesn't implement the grpc health protocol grpc.health.v1.Health: %s", port, desc)
		case code != "0":
			return fmt.Errorf("health rpc probe failed with status %s: %s", grpcCodes[code], desc)
		case status != 1:
			return errSaidNothing
		}
		return nil
	}
}

// waitFor returns when the port takes connections: a refused one is no answer yet.
func waitFor(ctx context.Context, address string) error {
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// askHealth gives the application's status, and the code and words of the call.
func askHealth(ctx context.Context, address, service string) (status uint64, code, message string, err error) {
	field := []byte{}
	if service != "" {
		field = append(binary.AppendUvarint([]byte{0x0a}, uint64(len(service))), service...)
	}
	frame := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(field))), field...)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/grpc.health.v1.Health/Check", bytes.NewReader(frame))
	if err != nil {
		return 0, "", "", err
	}
	request.Header = http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}, "User-Agent": {"istio-probe/1.0 grpc-go"}}
	transport := &http.Transport{Protocols: &http.Protocols{}}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	reply, err := transport.RoundTrip(request)
	if err != nil {
		return 0, "", "", err
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		return 0, "", "", err
	}
	ended := reply.Trailer
	if reply.Header.Get("Grpc-Status") != "" { // an answer without a message has its end in its beginning
		ended = reply.Header
	}
	message, _ = url.PathUnescape(ended.Get("Grpc-Message"))
	if len(body) > 6 && body[5] == 0x08 {
		status, _ = binary.Uvarint(body[6:])
	}
	return status, or(ended.Get("Grpc-Status"), "2"), message, nil
}
