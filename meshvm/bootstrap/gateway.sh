# shellcheck shell=sh
# A load balancer with a host name changes its addresses: the machine's own timer runs this to keep /etc/hosts right.

main() {
	# shellcheck disable=SC2034 # say.sh prints it
	ACTION=$1
	exec 3>&2 9>"$LOCK"
	# Whoever holds the machine writes the addresses itself.
	flock -n 9 || exit 0
	# No answer is no reason to forget the addresses that are known.
	found=$(resolve_gateway)
	[ -n "$found" ] || exit 0
	# shellcheck disable=SC2086 # addresses are words
	fresh=$(istiod_lines $found)
	ours=$(our_hosts)
	known=$(printf '%s\n' "$ours" | awk -v name="$MESHVM_ISTIOD" '$2 == name')
	# The order is another one with each answer, and no change.
	[ "$(printf '%s\n' "$fresh" | sort)" != "$(printf '%s\n' "$known" | sort)" ] || exit 0
	hosts_block "$fresh
$(printf '%s\n' "$ours" | awk -v name="$MESHVM_ISTIOD" '$2 != name')"
	log "the gateway $MESHVM_GATEWAY is at $(echo "$found" | tr '\n' ' ')now"
}

