# shellcheck shell=sh
# The files that the sidecar reads, and the certificate that it may already have.

SETTINGS="/var/lib/istio/envoy/cluster.env /etc/istio/config/mesh /etc/certs/root-cert.pem"

# True when something changed that the agent reads only at its start. Token and root certificate are read live.
write_settings() {
	changed=1
	# A sentence in here ends only the subshell: nothing is written when there is one.
	lines=$(hosts_lines) || exit 1
	install -d -o istio-proxy -g istio-proxy -m 0755 /var/run/secrets
	install -d -o istio-proxy -g istio-proxy -m 0700 /var/run/secrets/tokens /etc/certs /etc/istio/config /etc/istio/proxy
	for kept in $SETTINGS; do keep_previous "$kept"; done
	put /var/run/secrets/tokens/istio-token 0600 istio-proxy:istio-proxy "$MESHVM_TOKEN"
	put /etc/certs/root-cert.pem 0600 istio-proxy:istio-proxy "$MESHVM_ROOT_CERTIFICATE"
	put /var/lib/istio/envoy/cluster.env 0600 istio-proxy:istio-proxy "$MESHVM_CLUSTER_ENV" && changed=0
	put /etc/istio/config/mesh 0600 istio-proxy:istio-proxy "$MESHVM_MESH_CONFIG" && changed=0
	hosts_block "$lines"
	drop_foreign_certificate && changed=0
	return $changed
}

# What the agent reads only at its start. A run that was cut before the restart left files that the agent has not read.
started_with() {
	cat "$STATE/package" /var/lib/istio/envoy/cluster.env /etc/istio/config/mesh | sha256sum
}

# The gateway by istiod's name, because istiod's certificate has that name; and the machine's own name, which sudo looks
# up while the proxy that would answer is not yet up.
hosts_lines() {
	address=$MESHVM_GATEWAY
	if [ "$MESHVM_GATEWAY_KIND" = host ]; then
		address=$(getent ahosts "$MESHVM_GATEWAY" | awk 'NR == 1 { print $1 }')
		[ -n "$address" ] || fail "the gateway $MESHVM_GATEWAY does not resolve on the machine; check its name servers, or give VmGateway an address"
	fi
	printf '%s %s\n' "$address" "$MESHVM_ISTIOD"
	sed '/^# meshvm begin$/,/^# meshvm end$/d' /etc/hosts | grep -qw "$(hostname)" || printf '127.0.1.1 %s\n' "$(hostname)"
}

# The agent shows the certificate that it has and not the token: one of another mesh, of another identity or past its
# life is refused by istiod for ever. True when one was removed.
drop_foreign_certificate() {
	[ -f /etc/certs/cert-chain.pem ] || return 1
	certificate_is_ours && return 1
	log "the certificate in /etc/certs is not this workload's in this mesh, removing it"
	rm -f /etc/certs/cert-chain.pem /etc/certs/key.pem
}

certificate_is_ours() {
	if command -v openssl >/dev/null; then
		openssl x509 -noout -checkend 60 -in /etc/certs/cert-chain.pem &&
			openssl x509 -noout -ext subjectAltName -in /etc/certs/cert-chain.pem | grep -qxF "    URI:$MESHVM_SPIFFE_ID" &&
			openssl verify -CAfile /etc/certs/root-cert.pem -untrusted /etc/certs/cert-chain.pem /etc/certs/cert-chain.pem
	else
		# Without openssl the certificate counts as ours when the last join was for the same identity and root.
		[ "$(cat "$STATE/identity" 2>/dev/null)" = "$(identity)" ]
	fi
}

identity() {
	printf '%s %s' "$MESHVM_SPIFFE_ID" "$(printf '%s' "$MESHVM_ROOT_CERTIFICATE" | sha256sum | cut -d ' ' -f 1)"
}
