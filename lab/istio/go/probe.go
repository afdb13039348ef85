// Stand-in, probe: the application's readiness probe of the mesh file, asked on the machine itself and ANDed with the
// proxy's own readiness. Only a change is told to istiod. HTTP, TCP, exec and gRPC.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"time"
)

type check func(ctx context.Context) error

// envoyStarts is how long Envoy takes until its administration answers: the agent's first look is earlier, and what it
// finds stays the reason in the entry's condition for as long as the application does not answer.
const envoyStarts = 100 * time.Millisecond

func (a *agent) probeApplication() {
	probe := a.settings.probe()
	if probe == nil {
		return
	}
	ask, err := newCheck(probe, a.settings)
	if err != nil {
		failure("healthcheck", "%v", err)
		return
	}
	seconds := func(name string, otherwise int) time.Duration {
		return time.Duration(number(scalar(probe, name), otherwise)) * time.Second
	}
	every, within := seconds("periodSeconds", 10), seconds("timeoutSeconds", 1)
	time.Sleep(seconds("initialDelaySeconds", 0))
	said, good, bad := "", 0, 0
	for ticker := time.NewTicker(every); ; <-ticker.C {
		err := a.notReady()
		if time.Since(a.started) < envoyStarts {
			err = fmt.Errorf("Get %q: dial tcp 127.0.0.1:%[2]d: connect: connection refused",
				fmt.Sprintf("http://127.0.0.1:%d/stats?usedonly&filter=^(cluster_manager\\.cds|listener_manager\\.lds)"+
					"\\.(update_success|update_rejected)$", a.settings.ports.admin), a.settings.ports.admin)
		}
		if err == nil {
			ctx, cancel := context.WithTimeout(context.Background(), within)
			err = ask(ctx)
			cancel()
		}
		if err == nil {
			good, bad = good+1, 0
			if good >= number(scalar(probe, "successThreshold"), 1) && said != "healthy" {
				said = "healthy"
				info("healthcheck", "success threshold hit, marking as healthy")
				a.tell(map[string]any{"healthy": true})
			}
			continue
		}
		good, bad = 0, bad+1
		if bad >= number(scalar(probe, "failureThreshold"), 1) && said != "unhealthy" {
			said = "unhealthy"
			info("healthcheck", "failure threshold hit, marking as unhealthy: %v", err)
			a.tell(map[string]any{"healthy": false, "message": err.Error()})
		}
	}
}

func newCheck(probe any, s *settings) (check, error) {
	host, from := s.address, "127.0.0.6"
	if strings.Contains(host, ":") {
		from = "::6"
	}
	if on("REWRITE_PROBE_LEGACY_LOCALHOST_DESTINATION") {
		host = "localhost"
	}
	if config := child(probe, "httpGet"); config != nil {
		return httpCheck(config, host, from), nil
	}
	if config := child(probe, "tcpSocket"); config != nil {
		address := net.JoinHostPort(or(scalar(config, "host"), host), scalar(config, "port"))
		return func(ctx context.Context) error { return tcpCheck(ctx, address) }, nil
	}
	if config := child(probe, "exec"); config != nil {
		return execCheck(config), nil
	}
	if config := child(probe, "grpc"); config != nil {
		return grpcCheck(config, host), nil
	}
	return nil, errors.New("the readiness probe is none of httpGet, tcpSocket, exec and grpc")
}

// httpCheck asks from 127.0.0.6 or ::6, by the address of the proxy. The capture rules leave both alone: it meets the
// application, not the proxy.
func httpCheck(config any, host, from string) check {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	host = net.JoinHostPort(or(scalar(config, "host"), host), scalar(config, "port"))
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       dialer.DialContext,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
	}}
	target, err := url.Parse(or(scalar(config, "path"), "/"))
	if err != nil {
		target = &url.URL{Path: scalar(config, "path")}
	}
	target.Scheme, target.Host = strings.ToLower(or(scalar(config, "scheme"), "HTTP")), host
	headers := http.Header{}
	given, _ := child(config, "httpHeaders").([]any)
	for _, header := range given { // as written: another spelling of a name is another header
		name := scalar(header, "name")
		headers[name] = append(headers[name], scalar(header, "value"))
	}
	if headers["User-Agent"] == nil {
		headers.Set("User-Agent", "istio-probe/1.0")
	}
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
		if err != nil {
			return err
		}
		request.Header, request.Host = headers, or(headers.Get("Host"), request.Host)
		reply, err := client.Do(request)
		if err != nil {
			return err
		}
		defer reply.Body.Close()
		if reply.StatusCode < 200 || reply.StatusCode >= 400 {
			return fmt.Errorf("status code was not from [200,400), bad code %d", reply.StatusCode)
		}
		return nil
	}
}

// tcpCheck asks from no special address, like the original: with capture on, the proxy's own listener is what answers
// for the machine's address.
func tcpCheck(ctx context.Context, address string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

func execCheck(config any) check {
	words := []string{}
	given, _ := child(config, "command").([]any)
	for _, word := range given {
		words = append(words, fmt.Sprint(word))
	}
	return func(ctx context.Context) error {
		if len(words) == 0 {
			return errors.New("the exec probe has no command")
		}
		err := exec.CommandContext(ctx, words[0], words[1:]...).Run()
		if ctx.Err() != nil {
			return fmt.Errorf("command timeout exceeded: %w", err)
		}
		return err
	}
}
