# shellcheck shell=sh
# Does the machine agree with what was declared? Everything that can be known before anything is changed.

look() {
	look_at_addresses
	look_at_ports
	look_at_bridges
	look_at_logs
	look_at_gateway
	look_at_names
}

# note SENTENCE: nothing that stops the join, but the user should know; it comes back in the status.
NOTE=
note() {
	log "note: $1"
	NOTE="$NOTE${NOTE:+; }$1"
}

# global_addresses [-4|-6]: the addresses that others can use, in one line. Not those of lo: Istio's rules for IPv6 put ::6
# there, and it stays.
global_addresses() {
	# shellcheck disable=SC2086 # no family is no word
	ip -o ${1:-} addr show scope global | awk '$2 != "lo" { sub("/.*", "", $4); printf "%s%s", between, $4; between = ", " }'
}

look_at_addresses() {
	has=$(global_addresses)
	if ! ip -o addr show | awk '{ sub("/.*", "", $4); print $4 }' | grep -qxF -- "$MESHVM_ADDRESS"; then
		[ -z "$MESHVM_NAT" ] ||
			fail "instance_address: the machine has not the address $MESHVM_ADDRESS but ${has:-none}; write the one to which the NAT translates address"
		fail "address: the machine has not the address $MESHVM_ADDRESS but ${has:-none}; write one of its own, or, when a NAT translates $MESHVM_ADDRESS to one of them, write that one as instance_address"
	fi
	# Seen with Istio 1.30: such a sidecar never gets ready, or, in a dual-stack mesh, never healthy.
	case $MESHVM_ADDRESS in
	*:*)
		ipv4=$(global_addresses -4)
		ipv4=${ipv4%%,*}
		[ -z "$ipv4" ] ||
			fail "${MESHVM_NAT:+instance_}address: the machine has the IPv4 address $ipv4 beside $MESHVM_ADDRESS, and a sidecar that is known by the IPv6 one of the two does not come up; write $ipv4, or take it off the machine"
		;;
	esac
	[ -n "$MESHVM_DUAL_STACK" ] || return 0
	for family in 4 6; do
		[ -n "$(global_addresses -$family)" ] ||
			fail "dual_stack: the machine has no IPv$family address but ${has:-none}; give it one, or leave dual_stack out"
	done
}

# Without rules the sidecar listens for itself, as a user who may not take a low port, and where nobody else does.
look_at_ports() {
	[ "$MESHVM_CAPTURE" = NONE ] || return 0
	low=${MESHVM_SIDECAR_PORTS%% *}
	free=$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start 2>/dev/null)
	[ "${low:-65535}" -ge "${free:-1024}" ] ||
		fail "capture.mode: without rules the sidecar has to listen on port $low, which its user may not; set net.ipv4.ip_unprivileged_port_start=$low in /etc/sysctl.d on the machine, or use ports from $free on"
	taken=$(ss -ltnpeH | taken_port)
	[ -z "$taken" ] ||
		fail "capture.mode: without rules the sidecar has to listen on port ${taken#* }, where ${taken%% *} listens on all addresses or on the machine's own; bind it to 127.0.0.1 alone"
}

# From `ss`: the first program, not the proxy's own user's, that listens on one of the sidecar's ports where the sidecar
# would, and the port.
taken_port() {
	awk -v own="$MESHVM_ADDRESS" -v ports=" $MESHVM_SIDECAR_PORTS " -v proxy=" uid:$(id -u istio-proxy 2>/dev/null) " '
		index($0 " ", proxy) { next }
		{
			port = address = $4
			sub(".*:", "", port)
			sub(":[0-9]*$", "", address)
			gsub(/[][]|%.*/, "", address)
			if (index(ports, " " port " ") && (address == "*" || address == "0.0.0.0" || address == "::" || address == own)) {
				name = $0
				if (!sub(/.*users:\(\("/, "", name)) name = "something"
				sub(/".*/, "", name)
				gsub(/[^A-Za-z0-9._-]/, "_", name)
				print name, port
				exit
			}
		}'
}

# What containers send comes in by a bridge: to the rules it is inbound traffic, unless they are told.
look_at_bridges() {
	[ "$MESHVM_CAPTURE" = IPTABLES ] || return 0
	for bridge in $(ip -o link show type bridge | sed -n 's/^[0-9]*: \(docker0\|br-[A-Za-z0-9._-]*\):.*/\1/p'); do
		case " $MESHVM_BRIDGES " in
		*" $bridge "*) ;;
		*) note "traffic of containers on $bridge does not count as outbound; name the bridge in capture.virtual_interfaces" ;;
		esac
	done
}

look_at_logs() {
	[ "$MESHVM_LOG_ROTATION" = required ] || return 0
	command -v logrotate >/dev/null ||
		fail "access_log: logrotate is not on the machine, and a line for each request would fill its disk; install logrotate, or leave access_log out"
}

# A host name is resolved here, and has to lead to something. GATEWAY_LINES is what /etc/hosts gets of it.
# shellcheck disable=SC2034 # settings.sh writes them
look_at_gateway() {
	addresses=$MESHVM_GATEWAY
	if [ "$MESHVM_GATEWAY_KIND" = host ]; then
		addresses=$(resolve_gateway)
		[ -n "$addresses" ] || fail "the gateway $MESHVM_GATEWAY does not resolve on the machine; check its name servers, or give VmGateway an address"
		# shellcheck disable=SC2086 # addresses are words
		one_answers $addresses ||
			fail "the gateway $MESHVM_GATEWAY does not answer on port $MESHVM_GATEWAY_PORT from the machine, tried at $(echo $addresses | sed 's/ /, /g'); check the firewall rules and that the gateway leads to istiod"
	fi
	# shellcheck disable=SC2086
	GATEWAY_LINES=$(istiod_lines $addresses)
}

one_answers() {
	for address in "$@"; do
		# shellcheck disable=SC2016 # bash expands it
		as_proxy timeout 3 bash -c '>"/dev/tcp/$1/$2"' meshvm "$address" "$MESHVM_GATEWAY_PORT" && return 0
	done
	return 1
}

# A name that the machine's own name servers know now, to ask for it again when the sidecar stands before them. Those of
# /etc/hosts say nothing of name servers.
# shellcheck disable=SC2034 # verify.sh asks for it
look_at_names() {
	KNOWN_NAME=
	[ "$MESHVM_DNS" = true ] || return 0
	package=${MESHVM_PACKAGE#*://}
	package=${package%%/*}
	for name in "$MESHVM_GATEWAY" "${package%%:*}" "$(uname -n)"; do
		case $name in
		'' | *[!A-Za-z0-9._-]*) continue ;;
		*[!0-9.]*) ;;
		*) continue ;;
		esac
		if timeout 5 getent -s dns ahosts "$name" >/dev/null; then
			KNOWN_NAME=$name
			return 0
		fi
	done
}
