# shellcheck shell=sh
# The machine leaves the mesh and is as it was before it joined.

offboard() {
	# The address may belong to another machine by now, or the machine to another run: then there is nothing of ours.
	if [ "$(cat "$STATE/mark" 2>/dev/null)" != "$MESHVM_MARK" ]; then
		log "the mark is not ours, nothing is done"
		return 0
	fi
	if [ -f /lib/systemd/system/istio.service ] || [ -f /usr/lib/systemd/system/istio.service ]; then
		systemctl disable --now istio || fail "systemctl could not stop istio; the log is $LOG on the machine"
	fi
	if [ -x /usr/local/bin/pilot-agent ]; then
		(cd / && pilot-agent istio-iptables --cleanup-only) || log "the rules could not be cleaned, there may be none"
	fi
	remove_rules
	ours package && remove_package
	remove_files
	hosts_block ""
	tracking -D
	ours user && getent passwd istio-proxy >/dev/null && userdel istio-proxy
	ours user && getent group istio-proxy >/dev/null && groupdel istio-proxy
	systemctl daemon-reload
	systemctl reset-failed istio 2>/dev/null
	rm -rf "$STATE" /run/meshvm.lock
	return 0
}

# The agent cleans one variant of iptables, and not always the one that it had put the rules into: what it leaves in
# either is taken out here. The old variant is looked at only where its tables are in the kernel, because looking puts
# them there.
remove_rules() {
	for family in iptables ip6tables; do
		for variant in nft legacy; do
			tool=$family-$variant
			command -v "$tool-save" >/dev/null || continue
			[ "$variant" = nft ] || [ -s "/proc/net/$(echo $family | sed 's/tables/_tables/')_names" ] || continue
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

# dpkg takes /usr/local/bin with it when nothing else is in there.
remove_package() {
	if command -v dpkg >/dev/null && dpkg -s istio-sidecar >/dev/null 2>&1; then
		attributes=$(stat -c '%a %u:%g' /usr/local/bin)
		dpkg -P istio-sidecar || fail "dpkg could not remove istio-sidecar; the log is $LOG on the machine"
		if [ ! -d /usr/local/bin ] && ! ours usr-local-bin; then
			mkdir /usr/local/bin
			chmod "${attributes% *}" /usr/local/bin
			chown "${attributes#* }" /usr/local/bin
		fi
	elif command -v rpm >/dev/null && rpm -q istio-sidecar >/dev/null 2>&1; then
		rpm -e istio-sidecar || fail "rpm could not remove istio-sidecar; the log is $LOG on the machine"
	fi
}

# What joining made goes; what was there before stays, without the identity that joining gave it.
remove_files() {
	rm -f /var/run/secrets/tokens/istio-token
	rmdir /var/run/secrets/tokens /var/run/secrets 2>/dev/null
	ours istio-link && [ -L /etc/istio ] && rm -f /etc/istio
	ours istio-link && [ -d /etc/istio ] && rm -rf /etc/istio
	ours state-dir && rm -rf /var/lib/istio
	ours sudo-flag && rm -f /root/.sudo_as_admin_successful
	ours log-dir && rm -rf /var/log/istio
	if ours certificates; then
		rm -rf /etc/certs
	else
		rm -f /etc/certs/key.pem /etc/certs/cert-chain.pem /etc/certs/root-cert.pem
		attributes=$(cat "$STATE/before/certificates" 2>/dev/null)
		[ -z "$attributes" ] || { chmod "${attributes% *}" /etc/certs && chown "${attributes#* }" /etc/certs; }
	fi
}
