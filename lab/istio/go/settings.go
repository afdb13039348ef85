// Stand-in, settings: what the agent reads at its start: the mesh file, PROXY_CONFIG and the environment, with the
// precedence of the original (environment over file).
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

const tokenPath = "./var/run/secrets/tokens/istio-token"

type settings struct {
	config       map[string]any // ProxyConfig
	discovery    string         // host:port of istiod's configuration service
	authority    string         // host:port of istiod's certificate authority
	name         string         // ISTIOD_SAN: the name expected of istiod instead of the host above
	authorityTLS string         // the same for the authority: only without CA_ADDR
	identityDir  string         // PROV_CERT: where the client certificate and the root lie
	outputDir    string         // OUTPUT_CERTS: where signed certificates are written; empty: nowhere
	fileMounted  bool           // FILE_MOUNTED_CERTS
	mounted      *mounted       // a certificate that someone else puts there; nil when istiod signs one
	lifetime     time.Duration  // SECRET_TTL
	address      string         // INSTANCE_IP
	ports        ports
}

type ports struct{ admin, status, ready, prometheus, outbound, inbound int }

func readSettings() (*settings, error) {
	s := &settings{config: map[string]any{}}
	path := or(os.Getenv("ISTIO_MESH_CONFIG_FILE"), "./etc/istio/config/mesh")
	if text, err := os.ReadFile(path); err == nil {
		mesh, err := parseYAML(string(text))
		if err != nil {
			return nil, fmt.Errorf("cannot read the mesh file %s: %w", path, err)
		}
		s.merge(child(mesh, "defaultConfig"))
	}
	if text := os.Getenv("PROXY_CONFIG"); text != "" {
		config, err := parseYAML(text)
		if err != nil {
			return nil, fmt.Errorf("cannot read the variable PROXY_CONFIG: %w", err)
		}
		s.merge(config)
	}
	s.discovery = or(scalar(s.config, "discoveryAddress"), "istiod.istio-system.svc:15012")
	s.name = os.Getenv("ISTIOD_SAN")
	s.authority = os.Getenv("CA_ADDR")
	if s.authority == "" {
		s.authority, s.authorityTLS = s.discovery, s.name
	}
	var err error
	if s.lifetime, err = time.ParseDuration(or(os.Getenv("SECRET_TTL"), "24h")); err != nil {
		return nil, fmt.Errorf("SECRET_TTL: %w", err)
	}
	s.address = or(os.Getenv("INSTANCE_IP"), firstAddress())
	if err := s.readIdentity(); err != nil {
		return nil, err
	}
	s.ports = ports{
		admin:      number(scalar(s.config, "proxyAdminPort"), 15000),
		status:     number(scalar(s.config, "statusPort"), 15020),
		ready:      number(os.Getenv("ENVOY_STATUS_PORT"), 15021),
		prometheus: number(os.Getenv("ENVOY_PROMETHEUS_PORT"), 15090),
		outbound:   number(os.Getenv("ENVOY_PORT"), 15001),
		inbound:    number(os.Getenv("INBOUND_CAPTURE_PORT"), 15006),
	}
	return s, nil
}

// merge lays a ProxyConfig over what is there: a field replaces the field, proxyMetadata is merged key by key.
func (s *settings) merge(over any) {
	fields, _ := over.(map[string]any)
	for key, value := range fields {
		if key == "proxyMetadata" {
			if old, ok := s.config[key].(map[string]any); ok {
				added, _ := value.(map[string]any)
				for name, text := range added {
					old[name] = text
				}
				continue
			}
		}
		s.config[key] = value
	}
}

// node is what the agent tells istiod of itself.
func (s *settings) node() map[string]any {
	namespace := os.Getenv("POD_NAMESPACE")
	meta := map[string]any{}
	metadata, _ := child(s.config, "proxyMetadata").(map[string]any)
	for name, value := range metadata {
		if text, ok := value.(string); ok && strings.HasPrefix(name, "ISTIO_META_") {
			meta[strings.TrimPrefix(name, "ISTIO_META_")] = text
		}
	}
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		if rest, ok := strings.CutPrefix(name, "ISTIO_META_"); ok {
			meta[rest] = value
		} else if rest, ok := strings.CutPrefix(name, "ISTIO_METAJSON_"); ok {
			var parsed any
			if err := json.Unmarshal([]byte(value), &parsed); err != nil {
				warn("", "could not unmarshal %s: %v", name, err)
				continue
			}
			meta[rest] = parsed
		}
	}
	meta["NAMESPACE"], meta["SERVICE_ACCOUNT"] = namespace, os.Getenv("SERVICE_ACCOUNT")
	addresses := append([]string{s.address}, otherAddresses(s.address)...)
	meta["INSTANCE_IPS"], meta["ISTIO_VERSION"] = strings.Join(addresses, ","), version
	meta["HAS_PROBE"] = s.probe() != nil
	id := fmt.Sprintf("sidecar~%s~%s.%s~%s.svc.cluster.local", s.address, os.Getenv("POD_NAME"), namespace, namespace)
	node := map[string]any{"id": id, "addresses": addresses, "metadata": meta}
	if locality, _ := child(meta["LABELS"], "istio-locality").(string); locality != "" {
		if !strings.Contains(locality, "/") { // a label's value has no slash
			locality = strings.ReplaceAll(locality, ".", "/")
		}
		node["locality"] = locality
	}
	return node
}

// probe is the application's readiness probe; nil when there is none, or an empty one.
func (s *settings) probe() map[string]any {
	probe, _ := child(s.config, "readinessProbe").(map[string]any)
	if len(probe) == 0 {
		return nil
	}
	return probe
}

func (s *settings) clusterID() string {
	id, _ := s.node()["metadata"].(map[string]any)["CLUSTER_ID"].(string)
	return or(id, "Kubernetes")
}

func child(node any, key string) any {
	fields, _ := node.(map[string]any)
	return fields[key]
}

func scalar(node any, key string) string {
	text, _ := child(node, key).(string)
	return text
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func number(text string, otherwise int) int {
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return n
	}
	return otherwise
}

func firstAddress() string {
	if all := otherAddresses(""); len(all) > 0 {
		return all[0]
	}
	return "127.0.0.1"
}

// otherAddresses are the machine's, without the loopback's, the links' own and the one that is known.
func otherAddresses(known string) []string {
	found := []string{}
	all, _ := net.InterfaceAddrs()
	for _, address := range all {
		if ip, ok := address.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() && ip.IP.String() != known {
			found = append(found, ip.IP.String())
		}
	}
	return found
}
