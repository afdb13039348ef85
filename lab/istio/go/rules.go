// Stand-in, rules: which rules does `pilot-agent istio-iptables` make for an environment, in which order? The rules are
// those of Istio 1.30, compared with its own program environment by environment; TPROXY is refused.
package main

import (
	"fmt"
	"net/netip"
	"strings"
)

// rule is one line of iptables-restore; at is the place of an inserted one, 0 for one that is appended.
type rule struct {
	table, chain string
	at           int
	words        string
}

func (r rule) line() string {
	if r.at > 0 {
		return fmt.Sprintf("-I %s %d %s", r.chain, r.at, r.words)
	}
	return "-A " + r.chain + " " + r.words
}

// family is one of IPv4 and IPv6: its loopback, the address that Envoy calls the application from, its share of the lists.
type family struct {
	loopback, from, bits         string
	wildcard                     bool // every address is captured
	include, exclude, nameserver []string
}

// target is the rule's last word: where it jumps, when it jumps.
func (r rule) target() string { return r.words[strings.LastIndex(r.words, " ")+1:] }

type ruleset struct {
	family
	capture *capture
	rules   []rule
}

func (s *ruleset) add(table, chain, format string, values ...any) {
	s.rules = append(s.rules, rule{table: table, chain: chain, words: fmt.Sprintf(format, values...)})
}

func (s *ruleset) insert(table, chain, format string, values ...any) {
	s.rules = append(s.rules, rule{table: table, chain: chain, at: 1, words: fmt.Sprintf(format, values...)})
}

// rulesFor is the whole set of one family, in the order in which the original makes it.
func rulesFor(c *capture, f family) []rule {
	s := &ruleset{family: f, capture: c}
	for _, name := range c.excludedInterfaces {
		s.add("nat", "PREROUTING", "-i %s -j RETURN", name)
		s.add("nat", "OUTPUT", "-o %s -j RETURN", name)
	}
	for _, name := range c.virtualInterfaces {
		s.insert("nat", "PREROUTING", "-i %s -j RETURN", name)
	}
	if c.dropInvalid {
		s.add("mangle", "PREROUTING", "-m conntrack --ctstate INVALID -j ISTIO_DROP")
		s.add("mangle", "ISTIO_DROP", "-j DROP")
	}
	s.add("nat", "ISTIO_INBOUND", "-p tcp --dport %s -j RETURN", c.tunnelPort)
	s.add("nat", "ISTIO_REDIRECT", "-p tcp -j REDIRECT --to-ports %s", c.outboundPort)
	s.add("nat", "ISTIO_IN_REDIRECT", "-p tcp -j REDIRECT --to-ports %s", c.inboundPort)
	s.inbound()
	s.outbound()
	return s.rules
}

func (s *ruleset) inbound() {
	c := s.capture
	if c.inbound == "" {
		return
	}
	s.add("nat", "PREROUTING", "-p tcp -j ISTIO_INBOUND")
	if c.inbound != "*" { // the exclusions count with the star alone
		for _, port := range split(c.inbound) {
			s.add("nat", "ISTIO_INBOUND", "-p tcp --dport %s -j ISTIO_IN_REDIRECT", port)
		}
		return
	}
	for _, port := range c.inboundExcluded {
		s.add("nat", "ISTIO_INBOUND", "-p tcp --dport %s -j RETURN", port)
	}
	s.add("nat", "ISTIO_INBOUND", "-p tcp -j ISTIO_IN_REDIRECT")
}

func (s *ruleset) outbound() {
	c := s.capture
	s.add("nat", "OUTPUT", "-j ISTIO_OUTPUT")
	for _, port := range c.outboundExcluded {
		s.add("nat", "ISTIO_OUTPUT", "-p tcp --dport %s -j RETURN", port)
		s.add("nat", "ISTIO_OUTPUT", "-p udp --dport %s -j RETURN", port)
	}
	s.add("nat", "ISTIO_OUTPUT", "-o lo -s %s -j RETURN", s.from)
	spared := "! --dport " + c.tunnelPort
	ofUser := spared
	if c.dns { // for the user alone, not for its group
		ofUser = "-m multiport ! --dports 53," + c.tunnelPort
	}
	for _, uid := range split(c.uid) {
		s.owner("uid", uid, ofUser)
	}
	for _, gid := range split(c.gid) {
		s.owner("gid", gid, spared)
	}
	s.groups()
	if c.dns {
		s.names()
	}
	s.add("nat", "ISTIO_OUTPUT", "-d %s -j RETURN", s.loopback)
	for _, cidr := range s.exclude {
		s.add("nat", "ISTIO_OUTPUT", "-d %s -j RETURN", cidr)
	}
	for _, port := range c.outboundIncluded {
		s.add("nat", "ISTIO_OUTPUT", "-p tcp --dport %s -j ISTIO_REDIRECT", port)
	}
	s.ranges()
}

// owner keeps what the proxy itself sends from coming back to it.
func (s *ruleset) owner(kind, id, spared string) {
	s.add("nat", "ISTIO_OUTPUT", "-o lo ! -d %s -p tcp %s -m owner --%s-owner %s -j ISTIO_IN_REDIRECT",
		s.loopback, spared, kind, id)
	switch {
	case s.capture.capturesLoopback:
	case s.capture.dns:
		s.add("nat", "ISTIO_OUTPUT", "-o lo -p tcp ! --dport 53 -m owner ! --%s-owner %s -j RETURN", kind, id)
	default:
		s.add("nat", "ISTIO_OUTPUT", "-o lo -m owner ! --%s-owner %s -j RETURN", kind, id)
	}
	s.add("nat", "ISTIO_OUTPUT", "-m owner --%s-owner %s -j RETURN", kind, id)
}

func (s *ruleset) groups() {
	if s.capture.groups == "*" {
		for _, group := range s.capture.groupsExcluded {
			s.add("nat", "ISTIO_OUTPUT", "-m owner --gid-owner %s -j RETURN", group)
		}
		return
	}
	words := ""
	for _, group := range split(s.capture.groups) {
		words += "-m owner ! --gid-owner " + group + " "
	}
	s.add("nat", "ISTIO_OUTPUT", "%s-j RETURN", words)
}

// ranges are the destinations that are captured. With a wildcard a virtual interface is captured whole, and the rule that
// spares it, made first, is behind: each is put in front of what is there.
func (s *ruleset) ranges() {
	if s.wildcard {
		s.add("nat", "ISTIO_OUTPUT", "-j ISTIO_REDIRECT")
		for _, name := range s.capture.virtualInterfaces {
			s.insert("nat", "PREROUTING", "-i %s -j ISTIO_REDIRECT", name)
		}
		return
	}
	for _, cidr := range s.include {
		for _, name := range s.capture.virtualInterfaces {
			s.insert("nat", "PREROUTING", "-i %s -d %s -j ISTIO_REDIRECT", name, cidr)
		}
		s.add("nat", "ISTIO_OUTPUT", "-d %s -j ISTIO_REDIRECT", cidr)
	}
}

// names redirects questions to the nameservers of /etc/resolv.conf, or all of them, to the agent's port 15053, and keeps
// both ways of a question apart in connection tracking.
func (s *ruleset) names() {
	c := s.capture
	to, from := []string{}, []string{}
	for _, server := range s.nameserver {
		to, from = append(to, " -d "+server+s.bits), append(from, " -s "+server+s.bits)
	}
	if c.allDNS {
		to, from = []string{""}, []string{""}
	}
	s.add("raw", "OUTPUT", "-j ISTIO_OUTPUT_DNS")
	if len(to) > 0 {
		s.add("nat", "ISTIO_OUTPUT", "-j ISTIO_OUTPUT_DNS")
	}
	for _, protocol := range []string{"tcp", "udp"} {
		for _, server := range to {
			s.add("nat", "ISTIO_OUTPUT_DNS", "-p %s --dport 53%s -j REDIRECT --to-ports 15053", protocol, server)
		}
	}
	zone := func(chain, words string, number int) {
		s.add("raw", chain, "-p udp %s -j CT --zone %d", words, number)
	}
	for _, owner := range append(prefixed("--uid-owner ", split(c.uid)), prefixed("--gid-owner ", split(c.gid))...) {
		zone("ISTIO_OUTPUT_DNS", "--dport 53 -m owner "+owner, 1)
		zone("ISTIO_OUTPUT_DNS", "--sport 15053 -m owner "+owner, 2)
	}
	if len(to) > 0 {
		s.add("raw", "PREROUTING", "-j ISTIO_INBOUND")
	}
	for i := range to {
		zone("ISTIO_OUTPUT_DNS", "--dport 53"+to[i], 2)
		zone("ISTIO_INBOUND", "--sport 53"+from[i], 1)
	}
}

func prefixed(prefix string, words []string) []string {
	all := []string{}
	for _, word := range words {
		all = append(all, prefix+word)
	}
	return all
}

// split is a list with commas; a blank stays part of its element, and is an error of iptables later.
func split(list string) []string {
	found := []string{}
	for _, element := range strings.Split(list, ",") {
		if element != "" {
			found = append(found, element)
		}
	}
	return found
}

// byFamily parts a list of ranges; what is no range is an error: an address needs its /32.
func byFamily(list string) (v4, v6 []string, loopback bool, err error) {
	for _, element := range split(list) {
		prefix, err := netip.ParsePrefix(element)
		if err != nil {
			return nil, nil, false, err
		}
		loopback = loopback || prefix.Addr().IsLoopback()
		if prefix.Addr().Is4() {
			v4 = append(v4, prefix.String())
		} else {
			v6 = append(v6, prefix.String())
		}
	}
	return v4, v6, loopback, nil
}
