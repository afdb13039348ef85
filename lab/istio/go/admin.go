// Stand-in, admin: what Envoy and the agent answer over HTTP: readiness (15021, 15020), metrics (15090) and, on the
// loopback, Envoy's own administration (15000).
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"sort"
	"strings"
	"time"

	"crypto/x509"
)

func (a *agent) serveStatus() error {
	ready := http.NewServeMux()
	ready.HandleFunc("/healthz/ready", a.answerReady)
	metrics := http.NewServeMux()
	metrics.HandleFunc("/stats/prometheus", a.answerMetrics)
	status := http.NewServeMux()
	status.HandleFunc("/healthz/ready", a.answerReady)
	status.HandleFunc("/stats/prometheus", a.answerMetrics)
	admin := http.NewServeMux()
	admin.HandleFunc("/ready", a.answerState)
	admin.HandleFunc("/certs", a.answerCertificates)
	admin.HandleFunc("/server_info", a.answerServer)
	admin.HandleFunc("/config_dump", a.answerConfig)
	admin.HandleFunc("/listeners", a.answerListeners)
	admin.HandleFunc("/stats", a.answerStats)
	admin.HandleFunc("/stats/prometheus", a.answerMetrics)
	p := a.settings.ports
	// Envoy opens its listeners when it has its configuration: until then 15021 and 15090 refuse a connection.
	a.late = map[string]http.Handler{fmt.Sprintf(":%d", p.ready): ready, fmt.Sprintf(":%d", p.prometheus): metrics}
	return serveOn(map[string]http.Handler{
		fmt.Sprintf(":%d", p.status):         status,
		fmt.Sprintf("127.0.0.1:%d", p.admin): admin,
	})
}

func serveOn(handlers map[string]http.Handler) error {
	for address, mux := range handlers {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return fmt.Errorf("cannot listen: %w", err)
		}
		go func() { _ = http.Serve(listener, mux) }()
	}
	return nil
}

func (a *agent) answerReady(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("server", "envoy")
	if err := a.notReady(); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintf(w, "Envoy proxy is NOT ready: %v\n", err)
	}
}

func (a *agent) state() string {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	switch {
	case a.draining:
		return "DRAINING"
	case a.updates == 0:
		return "PRE_INITIALIZING"
	}
	return "LIVE"
}

func (a *agent) answerState(w http.ResponseWriter, _ *http.Request) {
	state := a.state()
	if state != "LIVE" {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	fmt.Fprintln(w, state)
}

func certificateJSON(c *x509.Certificate) map[string]any {
	names := []map[string]string{}
	for _, uri := range c.URIs {
		names = append(names, map[string]string{"uri": uri.String()})
	}
	return map[string]any{
		"path":                  "<inline>",
		"serial_number":         fmt.Sprintf("%x", c.SerialNumber),
		"subject_alt_names":     names,
		"days_until_expiration": fmt.Sprint(int(time.Until(c.NotAfter).Hours() / 24)),
		"valid_from":            c.NotBefore.UTC().Format(time.RFC3339),
		"expiration_time":       c.NotAfter.UTC().Format(time.RFC3339),
	}
}

func (a *agent) answerCertificates(w http.ResponseWriter, _ *http.Request) {
	a.mutex.Lock()
	current := a.workload
	a.mutex.Unlock()
	all := []any{}
	if current != nil {
		one := map[string]any{
			"ca_cert":    []any{certificateJSON(current.root)},
			"cert_chain": []any{certificateJSON(current.leaf)},
		}
		all = append(all, one, one) // Envoy lists the same pair once for each listener and cluster that uses it
	}
	asJSON(w, map[string]any{"certificates": all})
}

func asJSON(w http.ResponseWriter, value any) {
	w.Header().Set("content-type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	_ = encoder.Encode(value)
}

func (a *agent) answerServer(w http.ResponseWriter, _ *http.Request) {
	uptime := fmt.Sprintf("%.0fs", time.Since(a.started).Seconds())
	asJSON(w, map[string]any{
		"version": envoyVersion(), "state": a.state(), "hot_restart_version": "disabled",
		"command_line_options": map[string]any{"service_node": a.settings.node()["id"]},
		"node":                 a.settings.node(),
		"uptime_current_epoch": uptime, "uptime_all_epochs": uptime,
	})
}

func (a *agent) answerConfig(w http.ResponseWriter, _ *http.Request) {
	listeners := []any{}
	for _, bind := range a.traffic.binds() {
		listeners = append(listeners, map[string]any{"name": bind})
	}
	asJSON(w, map[string]any{"configs": []any{
		map[string]any{"@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump",
			"bootstrap": map[string]any{"node": a.settings.node()}},
		map[string]any{"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump", "dynamic_listeners": listeners},
	}})
}

func (t *traffic) binds() []string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	all := []string{}
	for bind := range t.listeners {
		all = append(all, bind)
	}
	sort.Strings(all)
	return all
}

func (a *agent) answerListeners(w http.ResponseWriter, _ *http.Request) {
	p := a.settings.ports
	names := map[string]string{
		fmt.Sprintf("0.0.0.0:%d", p.outbound): "virtualOutbound", fmt.Sprintf("0.0.0.0:%d", p.inbound): "virtualInbound",
	}
	binds := a.traffic.binds()
	if a.state() == "LIVE" {
		binds = append(binds, fmt.Sprintf("0.0.0.0:%d", p.ready), fmt.Sprintf("0.0.0.0:%d", p.prometheus))
	}
	sort.Strings(binds)
	for _, bind := range binds {
		last := strings.LastIndex(bind, ":")
		host := strings.Trim(bind[:last], "[]")
		if host == "::" { // one listener of the original has both families
			continue
		}
		fmt.Fprintf(w, "%s::%s\n", or(names[bind], host+"_"+bind[last+1:]), bind)
	}
}

func (a *agent) stats() map[string]int64 {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	started, live := int64(0), int64(0)
	if a.updates > 0 {
		started, live = 1, 1
	}
	return map[string]int64{
		"cluster_manager.cds.update_success":         int64(a.updates),
		"cluster_manager.cds.update_rejected":        0,
		"listener_manager.lds.update_success":        int64(a.updates),
		"listener_manager.lds.update_rejected":       int64(a.rejected),
		"listener_manager.workers_started":           started,
		"server.live":                                live,
		"server.state":                               2 * (1 - live),
		"listener.virtual.downstream_cx_total":       a.traffic.total.Load(),
		"listener.virtual.downstream_cx_active":      a.traffic.open.Load(),
		"server.uptime":                              int64(time.Since(a.started).Seconds()),
		"server.days_until_first_cert_expiring":      a.daysLeft(),
		"server.initialization_time_ms.stand_in.all": 0,
	}
}

func (a *agent) daysLeft() int64 {
	if a.workload == nil {
		return 0
	}
	return int64(time.Until(a.workload.leaf.NotAfter).Hours() / 24)
}

func (a *agent) answerStats(w http.ResponseWriter, r *http.Request) {
	filter, err := regexp.Compile(r.URL.Query().Get("filter"))
	if err != nil {
		http.Error(w, "Invalid regex: "+err.Error(), http.StatusBadRequest)
		return
	}
	lines := []string{}
	for name, value := range a.stats() {
		if filter.MatchString(name) {
			lines = append(lines, fmt.Sprintf("%s: %d\n", name, value))
		}
	}
	sort.Strings(lines)
	fmt.Fprint(w, strings.Join(lines, ""))
}

func (a *agent) answerMetrics(w http.ResponseWriter, _ *http.Request) {
	lines := []string{}
	for name, value := range a.stats() {
		metric := "envoy_" + strings.ReplaceAll(name, ".", "_")
		lines = append(lines, fmt.Sprintf("# TYPE %s gauge\n%s{} %d\n", metric, metric, value))
	}
	sort.Strings(lines)
	fmt.Fprint(w, strings.Join(lines, ""))
}
