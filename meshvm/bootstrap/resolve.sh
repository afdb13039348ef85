# shellcheck shell=sh
# Where the gateway is, as the machine itself finds it.

# as_proxy COMMAND...: as the proxy's own user, whose traffic Istio's rules leave alone. Anybody else's questions are
# answered and connections accepted by a sidecar that runs already, and what answers then is not the gateway.
as_proxy() {
	if getent passwd istio-proxy >/dev/null; then
		# Not runuser: it would leave a session in the log every few minutes.
		setpriv --reuid "$(id -u istio-proxy)" --regid "$(id -g istio-proxy)" --clear-groups "$@"
	else
		"$@"
	fi
}

# Every address of the gateway's host name, once, in the order in which the machine would try them.
resolve_gateway() {
	as_proxy timeout 20 getent ahosts "$MESHVM_GATEWAY" | awk '!seen[$1]++ { print $1 }'
}

# istiod_lines ADDRESS...: the gateway by istiod's name, because istiod's certificate has that name.
istiod_lines() {
	for address in "$@"; do printf '%s %s\n' "$address" "$MESHVM_ISTIOD"; done
}
