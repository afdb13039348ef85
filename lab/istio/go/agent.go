// Stand-in, the agent: `pilot-agent proxy`. Gets a certificate and renews it at half of its life, keeps the call to
// istiod open, starts the ports of Envoy, probes the application, and ends when told to.
package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

type agent struct {
	settings *settings
	started  time.Time
	traffic  *traffic
	late     map[string]http.Handler // what is served from the first configuration on

	mutex    sync.Mutex
	workload *workload
	updates  int  // configurations taken
	rejected int  // configurations with a listener that could not be opened
	draining bool // told to end
	call     *call
	health   map[string]any // the application's last transition, told again after a reconnect
}

func proxyCommand(args []string) error {
	for _, arg := range args {
		if arg == "router" {
			return fmt.Errorf("this stand-in is a sidecar, not a router")
		}
	}
	s, err := readSettings()
	if err != nil {
		return err
	}
	// Three clouds' metadata servers are asked in the original unless it is told the platform.
	if platform := os.Getenv("CLOUD_PLATFORM"); platform != "none" && platform != "aws" && platform != "gcp" && platform != "azure" {
		info("", "platform not set: asking the clouds which one this is")
		time.Sleep(2 * time.Second)
	}
	info("", "Version %s (a stand-in)", version)
	info("", "Proxy role: ips=[%s] type=sidecar id=%v", s.address, s.node()["id"])
	if s.mounted == nil {
		info("", "CA Endpoint %s, provider Citadel", s.authority)
	}
	a := &agent{settings: s, started: time.Now()}
	a.traffic = newTraffic(a)
	if err := a.serveNames(); err != nil {
		return fmt.Errorf("failed to start local DNS server: %w", err)
	}
	if err := a.serveStatus(); err != nil {
		return err
	}
	if s.mounted != nil {
		go a.serveMounted(*s.mounted)
	} else {
		go a.keepCertified()
	}
	go a.keepConnected()
	go a.probeApplication()
	return a.untilTold()
}

func backoff(attempt int) time.Duration {
	return min(100*time.Millisecond<<min(attempt, 6), 5*time.Second)
}

func (a *agent) keepCertified() {
	for attempt := 0; ; {
		signed, keyPEM, reply, err := a.settings.sign()
		if err != nil {
			failure("citadelclient", "failed to sign CSR: create certificate: %v", err)
			warn("sds", "failed to warm certificate: failed to generate workload certificate: create certificate: %v", err)
			time.Sleep(backoff(attempt))
			attempt++
			continue
		}
		attempt = 0
		a.mutex.Lock()
		a.workload = signed
		a.mutex.Unlock()
		if err := keep(a.settings.outputDir, keyPEM, reply.Chain, reply.Root); err != nil {
			failure("cache", "error when output the key and certificate: %v", err)
		}
		info("cache", "generated new workload certificate ttl=%s", time.Until(signed.leaf.NotAfter))
		time.Sleep(max(signed.halfLife(), time.Second))
	}
}

func (a *agent) keepConnected() {
	for attempt := 0; ; attempt++ {
		began := time.Now()
		err := a.converse()
		if time.Since(began) > 10*time.Second {
			attempt = 0
		}
		var refused *refusal
		if errors.As(err, &refused) {
			warn("xdsproxy", "upstream terminated with unexpected error %v", err)
		} else {
			failure("xdsproxy", "failed to connect to upstream %s: %v", a.settings.discovery, err)
		}
		time.Sleep(backoff(attempt))
	}
}

// converse is one call to istiod from its beginning to its end.
func (a *agent) converse() error {
	c, err := a.settings.connect()
	if err != nil {
		return err
	}
	defer c.conn.Close()
	done := make(chan struct{})
	defer close(done)
	go pings(c, done)
	for {
		reply, err := c.receive()
		if err != nil {
			a.mutex.Lock()
			a.call = nil
			a.mutex.Unlock()
			return err
		}
		if reply.Config != nil && broken == "" {
			a.configured(c, reply.Config)
		}
	}
}

func pings(c *call, done chan struct{}) {
	ticker := time.NewTicker(5 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
			if c.send(map[string]any{"ping": true}) != nil {
				return
			}
		}
	}
}

func (a *agent) configured(c *call, config *pushed) {
	a.mutex.Lock()
	certified := a.workload != nil
	a.mutex.Unlock()
	for !certified { // Envoy holds a listener back until its secrets are there
		time.Sleep(20 * time.Millisecond)
		a.mutex.Lock()
		certified = a.workload != nil
		a.mutex.Unlock()
	}
	rejection := a.traffic.apply(config)
	a.mutex.Lock()
	first := a.call != c
	a.call = c
	if rejection != nil {
		warn("envoy config", "gRPC config for type.googleapis.com/envoy.config.listener.v3.Listener rejected: %v", rejection)
		a.rejected++
	} else {
		a.updates++
	}
	if a.updates == 1 && rejection == nil {
		if err := serveOn(a.late); err != nil {
			failure("", "%v", err)
		}
		info("xdsproxy", "connected to delta upstream XDS server: %s", a.settings.discovery)
		fmt.Fprintln(os.Stderr, "all dependencies initialized. starting workers")
	}
	health := a.health
	a.mutex.Unlock()
	if first && health != nil {
		_ = c.send(map[string]any{"health": health})
	}
}

// tell sends a transition of the application's health, now or as soon as the call is open.
func (a *agent) tell(health map[string]any) {
	a.mutex.Lock()
	a.health = health
	c := a.call
	a.mutex.Unlock()
	if c != nil {
		_ = c.send(map[string]any{"health": health})
	}
}

// notReady is nil as soon as the first configuration is in use.
func (a *agent) notReady() error {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if a.draining {
		return errors.New("server is terminated: draining")
	}
	if a.updates == 0 {
		what := "config not received from XDS server (is Istiod running?)"
		if a.rejected > 0 {
			what = "config received from XDS server, but was rejected"
		}
		return fmt.Errorf("%s: cds updates: %[2]d successful, 0 rejected; lds updates: 0 successful, %[2]d rejected", what, a.rejected)
	}
	return nil
}

// untilTold waits for the signal to end, then lets open connections finish within the drain time.
func (a *agent) untilTold() error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	<-signals
	a.mutex.Lock()
	a.draining = true
	if a.call != nil {
		a.call.conn.Close()
	}
	a.mutex.Unlock()
	drain, err := time.ParseDuration(or(scalar(a.settings.config, "terminationDrainDuration"), "5s"))
	if err != nil {
		drain = 5 * time.Second
	}
	info("", "Agent draining Proxy for %s or until no connection is open, then terminating", drain)
	a.traffic.drain(drain)
	info("", "Agent has successfully terminated")
	return nil
}
