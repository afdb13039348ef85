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
	remove_around
	remove_files
	hosts_block ""
	tracking -D
	ours user && getent passwd istio-proxy >/dev/null && userdel istio-proxy
	ours user && getent group istio-proxy >/dev/null && groupdel istio-proxy
	systemctl daemon-reload
	systemctl reset-failed istio 2>/dev/null
	rm -rf "$STATE" "$LOCK"
	return 0
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
	remove_certificates
}

# A certificate that the user gave is the user's, wherever it lies.
remove_certificates() {
	if ours certificates && ! grep -q '^/etc/certs/' "$STATE/given"; then
		rm -rf /etc/certs
		return
	fi
	for name in key.pem cert-chain.pem root-cert.pem; do
		grep -qxF "/etc/certs/$name" "$STATE/given" || rm -f "/etc/certs/$name"
	done
	attributes=$(cat "$STATE/before/certificates" 2>/dev/null)
	[ -z "$attributes" ] || { chmod "${attributes% *}" /etc/certs && chown "${attributes#* }" /etc/certs; }
}
