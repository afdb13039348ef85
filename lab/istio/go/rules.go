// Stand-in, rules: `pilot-agent istio-iptables`: real rules of the shape of Istio's in the machine's nat table, made
// and taken back through the iptables that the machine has. Port 53 is left alone: this stand-in proxies no DNS.
package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"strings"
)

var chains = []string{"ISTIO_INBOUND", "ISTIO_REDIRECT", "ISTIO_IN_REDIRECT", "ISTIO_OUTPUT"}

// family is one of IPv4 and IPv6: its iptables, its loopback, and the address that Envoy calls the application from.
type family struct{ program, loopback, from string }

func rulesCommand(args []string) error {
	cleanup := os.Getenv("CLEANUP_ONLY") == "true"
	for _, arg := range args {
		switch arg {
		case "--cleanup-only", "--cleanup-only=true":
			cleanup = true
		default:
			return fmt.Errorf("unknown flag: %s (this stand-in takes its settings from the environment)", arg)
		}
	}
	for _, f := range families() {
		var err error
		if cleanup {
			f.clean()
		} else {
			err = f.apply()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func families() []family {
	found := []family{}
	if program := variant("iptables"); program != "" {
		found = append(found, family{program, "127.0.0.1/32", "127.0.0.6/32"})
	}
	if program := variant("ip6tables"); program != "" && hasIPv6() {
		found = append(found, family{program, "::1/128", "::6/128"})
	}
	if len(found) == 0 {
		failure("", "no iptables found on this machine")
	}
	return found
}

// variant chooses like the original: legacy when its save has three lines or more, then nft, then whatever iptables is.
// The original tries legacy out each time it looks. That leaves an empty table behind, which counts the next time: the
// first call on a fresh machine takes nft, all later ones legacy. So a clean-up finds the rules only if one came before.
func variant(program string) string {
	saved, err := exec.Command(program + "-legacy-save").Output()
	if err == nil {
		tried := exec.Command(program+"-legacy", "-w", "-t", "nat", "-S").Run()
		if tried == nil && strings.Count(string(saved), "\n") >= 3 {
			return program + "-legacy"
		}
	}
	for _, name := range []string{program + "-nft", program} {
		if _, err := exec.LookPath(name); err == nil {
			return name
		}
	}
	return ""
}

func hasIPv6() bool {
	all, _ := net.InterfaceAddrs()
	for _, address := range all {
		if ip, ok := address.(*net.IPNet); ok && ip.IP.To4() == nil && ip.IP.IsGlobalUnicast() {
			return true
		}
	}
	return false
}

// proxyIDs are the user and group whose traffic is not captured; the group is the user's number, as in the original.
func proxyIDs() (uid, gid string) {
	uid = os.Getenv("PROXY_UID")
	if uid == "" {
		uid = "1337"
		if found, err := user.Lookup(or(os.Getenv("ENVOY_USER"), "istio-proxy")); err == nil {
			uid = found.Uid
		}
	}
	return uid, or(os.Getenv("PROXY_GID"), uid)
}

func (f family) rules() []string {
	outbound, inbound := or(os.Getenv("ENVOY_PORT"), "15001"), or(os.Getenv("INBOUND_CAPTURE_PORT"), "15006")
	rules := []string{
		"ISTIO_INBOUND -p tcp --dport 15008 -j RETURN",
		"ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports " + outbound,
		"ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports " + inbound,
	}
	rules = append(rules, inboundRules()...)
	rules = append(rules, "OUTPUT -j ISTIO_OUTPUT")
	for _, port := range split(os.Getenv("ISTIO_LOCAL_OUTBOUND_PORTS_EXCLUDE")) {
		rules = append(rules, "ISTIO_OUTPUT -p tcp --dport "+port+" -j RETURN", "ISTIO_OUTPUT -p udp --dport "+port+" -j RETURN")
	}
	rules = append(rules, "ISTIO_OUTPUT -o lo -s "+f.from+" -j RETURN")
	uid, gid := proxyIDs()
	for _, owner := range []string{"--uid-owner " + uid, "--gid-owner " + gid} {
		rules = append(rules,
			"ISTIO_OUTPUT -o lo ! -d "+f.loopback+" -p tcp ! --dport 15008 -m owner "+owner+" -j ISTIO_IN_REDIRECT",
			"ISTIO_OUTPUT -o lo -m owner ! "+owner+" -j RETURN",
			"ISTIO_OUTPUT -m owner "+owner+" -j RETURN")
	}
	rules = append(rules, "ISTIO_OUTPUT -d "+f.loopback+" -j RETURN")
	return append(rules, f.outboundRules()...)
}

func inboundRules() []string {
	ports := os.Getenv("ISTIO_INBOUND_PORTS")
	if ports == "" {
		return nil
	}
	rules := []string{"PREROUTING -p tcp -j ISTIO_INBOUND"}
	if ports != "*" {
		for _, port := range split(ports) {
			rules = append(rules, "ISTIO_INBOUND -p tcp --dport "+port+" -j ISTIO_IN_REDIRECT")
		}
		return rules
	}
	for _, port := range split(os.Getenv("ISTIO_LOCAL_EXCLUDE_PORTS")) {
		rules = append(rules, "ISTIO_INBOUND -p tcp --dport "+port+" -j RETURN")
	}
	return append(rules, "ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT")
}

func (f family) outboundRules() []string {
	rules := []string{}
	for _, cidr := range f.own(split(os.Getenv("ISTIO_SERVICE_EXCLUDE_CIDR"))) {
		rules = append(rules, "ISTIO_OUTPUT -d "+cidr+" -j RETURN")
	}
	cidrs := os.Getenv("ISTIO_SERVICE_CIDR")
	if cidrs == "*" {
		return append(rules, "ISTIO_OUTPUT -j ISTIO_REDIRECT")
	}
	for _, cidr := range f.own(split(cidrs)) {
		rules = append(rules, "ISTIO_OUTPUT -d "+cidr+" -j ISTIO_REDIRECT")
	}
	return rules
}

// own are the ranges of this family.
func (f family) own(cidrs []string) []string {
	found := []string{}
	for _, cidr := range cidrs {
		if strings.Contains(cidr, ":") == strings.Contains(f.loopback, ":") {
			found = append(found, cidr)
		}
	}
	return found
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

func (f family) apply() error {
	rules := f.rules()
	if f.standing(rules) {
		info("", "%s: the rules are there already", f.program)
		return nil
	}
	text := "*nat\n"
	for _, chain := range chains {
		text += "-N " + chain + "\n"
	}
	for _, rule := range rules {
		text += "-A " + rule + "\n"
	}
	restore := exec.Command(f.program+"-restore", "--noflush")
	restore.Stdin = strings.NewReader(text + "COMMIT\n")
	if said, err := restore.CombinedOutput(); err != nil {
		return fmt.Errorf("failed to execute: %s-restore --noflush: %w: %s", f.program, err, strings.TrimSpace(string(said)))
	}
	info("", "%s-restore: %d rules", f.program, len(rules))
	return nil
}

func (f family) standing(rules []string) bool {
	for _, rule := range rules {
		if f.ask("-C "+rule) != nil {
			return false
		}
	}
	return true
}

func (f family) ask(words string) error {
	return exec.Command(f.program, append([]string{"-w", "-t", "nat"}, strings.Fields(words)...)...).Run()
}

// clean takes the chains back; what is not there is no error.
func (f family) clean() {
	for _, rule := range []string{"PREROUTING -p tcp -j ISTIO_INBOUND", "OUTPUT -j ISTIO_OUTPUT"} {
		for f.ask("-D "+rule) == nil {
		}
	}
	for _, verb := range []string{"-F ", "-X "} {
		for _, chain := range chains {
			_ = f.ask(verb + chain)
		}
	}
}
