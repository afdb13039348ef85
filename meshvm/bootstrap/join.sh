# shellcheck shell=sh
# The machine joins the mesh: install, configure, start, verify. Each part can be done again, and does nothing when it
# is done already. When the new state does not work, the one before comes back.

main() {
	begin "$1"
	[ -z "$MESHVM_TOKEN_ERROR" ] || fail "$MESHVM_TOKEN_ERROR"
	same_machine
	look
	look_at_certificate
	rm -rf "$STATE/previous"
	restart=1
	install_package && restart=0
	may_read_certificate
	write_settings && restart=0
	[ "$(started_with)" = "$(cat "$STATE/started" 2>/dev/null)" ] || restart=0
	start_sidecar
	wait_ready || give_up "the sidecar was not ready within $MESHVM_READY_SECONDS s: $(why_not_ready)"
	verify_configuration
	verify_identity
	verify_names
	put_around
	identity >"$STATE/identity"
	started_with >"$STATE/started"
	status >"$STATE/status"
	rm -rf "$STATE/previous"
	log "done $1"
	cat "$STATE/status" >&4
}

# The first session marked this machine and turned tracking on. Without the mark it is another machine; without
# tracking (a restart in between) this session would not live through what follows, the next one will.
same_machine() {
	[ "$(cat "$STATE/mark" 2>/dev/null)" = "$MESHVM_MARK" ] ||
		fail "this is not the machine that was prepared as $MESHVM_MARK; was it set up anew under the same id? Replace its Command whose name ends in -host (pulumi up --target-replace and its URN)"
	tracking -C && return
	[ "$MESHVM_CAPTURE" != NONE ] || return 0
	# Rules that are in place have turned tracking on as well.
	systemctl is-active --quiet istio && ! grep -q '^ISTIO_CUSTOM_IP_TABLES=' /var/lib/istio/envoy/cluster.env && return
	tracking -A || fail "connection tracking could not be turned on with iptables; the log is $LOG on the machine"
	fail "the machine has restarted since it was prepared, and is prepared again now; run the update again"
}

start_sidecar() {
	systemctl daemon-reload
	systemctl enable istio
	if [ "$restart" = 0 ] || ! systemctl is-active --quiet istio; then
		systemctl restart istio || give_up "systemd could not start istio; see journalctl -u istio on the machine"
	fi
}

# give_up SENTENCE: the settings that worked come back, after the rules of these have gone; a machine that never was in
# the mesh is left without rules, so that its application goes on as before.
give_up() {
	if [ -f "$STATE/status" ]; then
		systemctl stop istio
		for path in $SETTINGS; do put_back "$path"; done
		hosts_back
		systemctl start istio
		log "the settings of before are back"
	else
		systemctl disable --now istio
		hosts_back
	fi
	fail "$1"
}

# What was verified, as JSON: the output `status` of the MeshVm.
# shellcheck disable=SC2154 # verify.sh sets spiffe, expiry and configuration
status() {
	printf '{"proxyVersion":"%s","spiffeId":"%s","certificateExpiry":"%s","ready":"true","configuration":"%s","request":"%s","note":"%s","when":"%s","run":"%s"}\n' \
		"$(cd / && pilot-agent version -s | head -n 1 | sed 's/^.*: *//')" "$spiffe" "$expiry" "$configuration" "$(ask_once)" "$NOTE" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$MESHVM_RUN"
}

