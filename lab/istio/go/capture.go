// Stand-in, capture: the settings of `pilot-agent istio-iptables`: flags over environment over defaults, and what the
// machine itself says: the proxy's user, its addresses, its nameservers.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
)

type capture struct {
	cleanup, reconcile, force, dry bool
	binary                         string // FORCE_IPTABLES_BINARY

	outboundPort, inboundPort, tunnelPort string
	uid, gid                              string
	inbound                               string // ports, "*", or none
	inboundExcluded                       []string
	outboundIncluded, outboundExcluded    []string
	excludedInterfaces, virtualInterfaces []string
	groups                                string
	groupsExcluded                        []string
	dropInvalid, dns, allDNS              bool
	capturesLoopback                      bool // a range of ISTIO_SERVICE_CIDR lies in the loopback
	v4                                    family
	v6                                    *family // nil where only IPv4 is captured
}

// flags of the original that have an environment variable of the same name; the short ones too.
var captureFlags = map[string]string{
	"p": "envoy-port", "z": "inbound-capture-port", "e": "inbound-tunnel-port", "u": "proxy-uid", "g": "proxy-gid",
	"m": "istio-inbound-interception-mode", "b": "istio-inbound-ports", "d": "istio-local-exclude-ports",
	"c": "istio-exclude-interfaces", "i": "istio-service-cidr", "x": "istio-service-exclude-cidr",
	"q": "istio-outbound-ports", "o": "istio-local-outbound-ports-exclude", "k": "kube-virt-interfaces", "n": "dry-run",
}

var captureSwitches = []string{"dry-run", "redirect-dns", "drop-invalid", "dual-stack", "capture-all-dns", "reconcile",
	"cleanup-only", "force-apply"}

// environmentOf takes flags for variables that win. The port of Envoy has a flag and no variable, in the original too.
func environmentOf(args []string) error {
	if err := os.Unsetenv("ENVOY_PORT"); err != nil {
		return err
	}
	known := append([]string{"force-iptables-binary"}, captureSwitches...)
	for _, long := range captureFlags {
		known = append(known, long)
	}
	for i := 0; i < len(args); i++ {
		name, value, given := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		name = or(captureFlags[name], name)
		if !strings.HasPrefix(args[i], "-") || !slices.Contains(known, name) {
			return fmt.Errorf("unknown flag: %s", args[i])
		}
		switch {
		case given:
		case slices.Contains(captureSwitches, name):
			value = "true"
		case i+1 < len(args):
			i++
			value = args[i]
		default:
			return fmt.Errorf("flag needs an argument: --%s", name)
		}
		if err := os.Setenv(strings.ReplaceAll(strings.ToUpper(name), "-", "_"), value); err != nil {
			return err
		}
	}
	return nil
}

func on(names ...string) bool {
	for _, name := range names {
		if value, err := strconv.ParseBool(os.Getenv(name)); err == nil && value {
			return true
		}
	}
	return false
}

func readCapture() (*capture, error) {
	c := &capture{
		cleanup: on("CLEANUP_ONLY"), reconcile: on("RECONCILE"), force: on("FORCE_APPLY"), dry: on("DRY_RUN"),
		binary:             os.Getenv("FORCE_IPTABLES_BINARY"),
		outboundPort:       or(os.Getenv("ENVOY_PORT"), "15001"),
		inboundPort:        or(os.Getenv("INBOUND_CAPTURE_PORT"), "15006"),
		tunnelPort:         or(os.Getenv("INBOUND_TUNNEL_PORT"), "15008"),
		inbound:            os.Getenv("ISTIO_INBOUND_PORTS"),
		inboundExcluded:    split(os.Getenv("ISTIO_LOCAL_EXCLUDE_PORTS")),
		outboundIncluded:   split(os.Getenv("ISTIO_OUTBOUND_PORTS")),
		outboundExcluded:   split(os.Getenv("ISTIO_LOCAL_OUTBOUND_PORTS_EXCLUDE")),
		excludedInterfaces: split(os.Getenv("ISTIO_EXCLUDE_INTERFACES")),
		virtualInterfaces:  split(os.Getenv("KUBE_VIRT_INTERFACES")),
		groupsExcluded:     split(os.Getenv("ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE")),
		dropInvalid:        on("DROP_INVALID", "INVALID_DROP"),
		dns:                on("REDIRECT_DNS", "ISTIO_META_DNS_CAPTURE"),
		allDNS:             on("CAPTURE_ALL_DNS"),
		groups:             "*",
		v4:                 family{loopback: or(os.Getenv("ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR"), "127.0.0.1/32"), from: "127.0.0.6/32", bits: "/32"},
	}
	if groups, set := os.LookupEnv("ISTIO_OUTBOUND_OWNER_GROUPS"); set {
		c.groups = groups
	}
	if on("NATIVE_NFTABLES") {
		return nil, errors.New("NATIVE_NFTABLES is set: this stand-in makes iptables rules only")
	}
	if os.Getenv("ISTIO_INBOUND_INTERCEPTION_MODE") == "TPROXY" {
		return nil, errors.New("ISTIO_INBOUND_INTERCEPTION_MODE is TPROXY: this stand-in only redirects")
	}
	c.owners()
	six, err := capturesIPv6(on("DUAL_STACK", "ISTIO_DUAL_STACK"))
	if six {
		c.v6 = &family{loopback: "::1/128", from: "::6/128", bits: "/128"}
	}
	return c, err
}

// owners are the user and group whose traffic is not captured; the group is the user's number, as in the original.
func (c *capture) owners() {
	c.uid = os.Getenv("PROXY_UID")
	if c.uid == "" {
		c.uid = "1337"
		if found, err := user.Lookup(or(os.Getenv("ENVOY_USER"), "istio-proxy")); err == nil {
			c.uid = found.Uid
		}
	}
	c.gid = or(os.Getenv("PROXY_GID"), c.uid)
}

// ranges parts the lists of addresses by family.
func (c *capture) ranges() (err error) {
	v6 := c.v6
	if v6 == nil {
		v6 = &family{}
	}
	excluded, included := os.Getenv("ISTIO_SERVICE_EXCLUDE_CIDR"), os.Getenv("ISTIO_SERVICE_CIDR")
	if excluded == "*" {
		return errors.New("invalid value for OUTBOUND_IP_RANGES_EXCLUDE")
	}
	if c.v4.exclude, v6.exclude, _, err = byFamily(excluded); err != nil {
		return err
	}
	if c.v4.wildcard, v6.wildcard = included == "*", included == "*"; !c.v4.wildcard {
		if c.v4.include, v6.include, c.capturesLoopback, err = byFamily(included); err != nil {
			return err
		}
	}
	if c.dns && !c.allDNS {
		c.v4.nameserver, v6.nameserver = nameservers()
		if len(c.v4.nameserver)+len(v6.nameserver) == 0 {
			warn("", "REDIRECT_DNS is set, but CAPTURE_ALL_DNS is false, and no DNS servers provided. DNS capture disabled.")
			c.dns = false
		}
	}
	return nil
}

// capturesIPv6: without dual stack the machine's first address decides, whatever others it has.
func capturesIPv6(dualStack bool) (bool, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return false, err
	}
	any4 := false
	for _, address := range all {
		own, ok := address.(*net.IPNet)
		if !ok || own.IP.IsLoopback() || own.IP.IsLinkLocalUnicast() || own.IP.IsLinkLocalMulticast() {
			continue
		}
		if own.IP.To4() == nil {
			return true, nil
		}
		if any4 = true; !dualStack {
			return false, nil
		}
	}
	if !any4 {
		return false, errors.New("no valid local IP address found")
	}
	return false, nil
}

// nameservers of the machine, by family.
func nameservers() (v4, v6 []string) {
	file, err := os.Open("/etc/resolv.conf")
	if err != nil {
		return nil, nil
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		if ip, err := netip.ParseAddr(words[1]); err == nil && ip.Unmap().Is4() {
			v4 = append(v4, ip.Unmap().String())
		} else if err == nil {
			v6 = append(v6, ip.String())
		}
	}
	return v4, v6
}
