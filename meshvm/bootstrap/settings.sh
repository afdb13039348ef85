# shellcheck shell=sh
# The files that the sidecar reads.

SETTINGS="/var/lib/istio/envoy/cluster.env /etc/istio/config/mesh /etc/certs/root-cert.pem"

# True when something changed that the agent reads only at its start. Token and root certificate are read live.
write_settings() {
	changed=1
	install -d -o istio-proxy -g istio-proxy -m 0755 /var/run/secrets
	install -d -o istio-proxy -g istio-proxy -m 0700 /var/run/secrets/tokens /etc/certs /etc/istio/config /etc/istio/proxy
	for kept in $SETTINGS; do keep_previous "$kept"; done
	our_hosts >"$STATE/previous/hosts"
	if [ -n "$MESHVM_TOKEN" ]; then
		put /var/run/secrets/tokens/istio-token 0600 istio-proxy:istio-proxy "$MESHVM_TOKEN"
	else
		rm -f /var/run/secrets/tokens/istio-token
	fi
	put /etc/certs/root-cert.pem 0600 istio-proxy:istio-proxy "$MESHVM_ROOT_CERTIFICATE"
	stop_with_the_old
	put /var/lib/istio/envoy/cluster.env 0600 istio-proxy:istio-proxy "$MESHVM_CLUSTER_ENV" && changed=0
	put /etc/istio/config/mesh 0600 istio-proxy:istio-proxy "$MESHVM_MESH_CONFIG" && changed=0
	hosts_block "$(hosts_lines)"
	printf '%s\n%s\n' "$MESHVM_CERTIFICATE" "$MESHVM_PRIVATE_KEY" >"$STATE/given"
	drop_foreign_certificate && changed=0
	return $changed
}

# The unit takes its rules back by the variables that it finds when it stops. With other ones than those that put the
# rules in it leaves some, or, for a capture without rules, all of them; and over what is left it does not start again.
stop_with_the_old() {
	printf '%s' "$MESHVM_CLUSTER_ENV" | cmp -s - /var/lib/istio/envoy/cluster.env && return
	systemctl stop istio
	remove_rules
}

# Our lines of /etc/hosts as they were before this run.
hosts_back() {
	[ ! -e "$STATE/previous/hosts" ] || hosts_block "$(cat "$STATE/previous/hosts")"
}

# What the agent reads only at its start. A run that was cut before the restart left files that the agent has not read.
started_with() {
	cat "$STATE/package" /var/lib/istio/envoy/cluster.env /etc/istio/config/mesh | sha256sum
}

# The gateway by istiod's name; the names that the application calls, where no rule leads them to the sidecar; and the
# machine's own name, which sudo looks up while the proxy that would answer is not yet up.
hosts_lines() {
	printf '%s\n' "$GATEWAY_LINES"
	[ -z "$MESHVM_ALIASES" ] || printf '%s\n' "$MESHVM_ALIASES"
	sed '/^# meshvm begin$/,/^# meshvm end$/d' "$HOSTS" | grep -qw "$(hostname)" || printf '127.0.1.1 %s\n' "$(hostname)"
}
