# shellcheck shell=sh
# The packet filter: the rule of ours, and what Istio's tool leaves behind.

# tracking -A|-C|-D: one rule that matches and does nothing, for both address families. A connection that is tracked
# from its first packet lives through Istio's rules; one that is not is cut by them.
tracking() {
	done_one=1
	for tool in iptables ip6tables; do
		command -v $tool >/dev/null || continue
		$tool -w "$1" INPUT -m conntrack --ctstate ESTABLISHED -m comment --comment meshvm && done_one=0
	done
	return $done_one
}

# The agent cleans one variant of iptables, and not always the one that it had put the rules into: what it leaves in
# either is taken out here. The old variant is looked at only where its tables are in the kernel, because looking puts
# them there.
remove_rules() {
	for family in iptables ip6tables; do
		for variant in nft legacy; do
			tool=$family-$variant
			command -v "$tool-save" >/dev/null || continue
			# A file of /proc has no size.
			[ "$variant" = nft ] || grep -q . "/proc/net/$(echo $family | sed 's/tables/_tables/')_names" || continue
			for table in nat mangle raw; do remove_chains "$tool" "$table"; done
		done
	done
}

# remove_chains TOOL TABLE: the jumps into Istio's chains, then the chains. Istio's rules have no quoted words.
remove_chains() {
	saved=$("$1-save" -t "$2") || return 0
	printf '%s\n' "$saved" | sed -n '/^-A [A-Z]* .*-j ISTIO_/s/^-A //p' | while read -r rule; do
		# shellcheck disable=SC2086 # a rule is words
		"$1" -w -t "$2" -D $rule
	done
	chains=$(printf '%s\n' "$saved" | sed -n 's/^:\(ISTIO_[A-Z_]*\) .*/\1/p')
	for chain in $chains; do "$1" -w -t "$2" -F "$chain"; done
	for chain in $chains; do "$1" -w -t "$2" -X "$chain"; done
}
