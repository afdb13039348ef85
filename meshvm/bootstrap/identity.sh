# shellcheck shell=sh
# By what the machine proves who it is: a certificate that an earlier sidecar left, or one that the user gives.

CERTS=/etc/certs

# identity.kind FILES: who issues the certificate is not meshvm's matter; that the sidecar can use it is.
look_at_certificate() {
	[ "$MESHVM_IDENTITY" = FILES ] || return 0
	command -v openssl >/dev/null || fail "openssl is not on the machine, and the certificate of identity.certificate is to be looked at; install openssl"
	there identity.certificate "$MESHVM_CERTIFICATE"
	there identity.private_key "$MESHVM_PRIVATE_KEY"
	openssl x509 -noout -in "$MESHVM_CERTIFICATE" ||
		fail "identity.certificate: $MESHVM_CERTIFICATE holds no certificate; write it there as PEM, the machine's own first"
	names_us "$MESHVM_CERTIFICATE" ||
		fail "identity.certificate: $MESHVM_CERTIFICATE is for $(uris "$MESHVM_CERTIFICATE" | head -n 1 | grep . || echo 'no SPIFFE id') and not for $MESHVM_SPIFFE_ID; have it issued with that URI as a subject alternative name, or give the service account that it is for"
	openssl x509 -noout -checkend 60 -in "$MESHVM_CERTIFICATE" ||
		fail "identity.certificate: $MESHVM_CERTIFICATE has ended ($(openssl x509 -noout -enddate -in "$MESHVM_CERTIFICATE" | sed 's/.*=//')); have it renewed"
	printf '%s' "$MESHVM_ROOT_CERTIFICATE" >"$STATE/root.pem"
	chained "$MESHVM_CERTIFICATE" "$STATE/root.pem"
	leads=$?
	rm -f "$STATE/root.pem"
	[ "$leads" = 0 ] ||
		fail "identity.certificate: $MESHVM_CERTIFICATE does not lead to the mesh's root certificate; put the certificates between them into the same file behind it, or have it issued by the mesh's CA"
	[ "$(openssl x509 -noout -pubkey -in "$MESHVM_CERTIFICATE")" = "$(openssl pkey -pubout -in "$MESHVM_PRIVATE_KEY" -passin pass:)" ] ||
		fail "identity.private_key: $MESHVM_PRIVATE_KEY is not the key of $MESHVM_CERTIFICATE; give the two files that belong together, the key without a passphrase"
	getent passwd istio-proxy >/dev/null && may_read_certificate
	return 0
}

there() {
	[ -f "$2" ] || fail "$1: there is no file $2 on the machine; whoever issues the certificate has to put it there first"
}

# The sidecar's user may be there only with the package.
may_read_certificate() {
	[ "$MESHVM_IDENTITY" = FILES ] || return 0
	for file in "$MESHVM_CERTIFICATE" "$MESHVM_PRIVATE_KEY"; do
		runuser -u istio-proxy -- test -r "$file" ||
			fail "identity: the user istio-proxy may not read $file; give it to the group istio-proxy (chgrp, chmod g+r) and let it pass the folders above"
	done
}

# The agent shows the certificate that it has and not the token: one of another mesh, of another identity or past its
# life is refused by istiod for ever. True when one was removed. Those that the user gives are the user's.
drop_foreign_certificate() {
	[ "$MESHVM_IDENTITY" != FILES ] || return 1
	[ -f "$CERTS/cert-chain.pem" ] || return 1
	certificate_is_ours && return 1
	log "the certificate in $CERTS is not this workload's in this mesh, removing it"
	rm -f "$CERTS/cert-chain.pem" "$CERTS/key.pem"
}

certificate_is_ours() {
	if command -v openssl >/dev/null; then
		openssl x509 -noout -checkend 60 -in "$CERTS/cert-chain.pem" &&
			names_us "$CERTS/cert-chain.pem" &&
			chained "$CERTS/cert-chain.pem" "$CERTS/root-cert.pem"
	else
		# Without openssl the certificate counts as ours when the last join was for the same identity and root.
		[ "$(cat "$STATE/identity" 2>/dev/null)" = "$(identity)" ]
	fi
}

# uris FILE: the URIs that its first certificate names, a line each.
uris() {
	openssl x509 -noout -ext subjectAltName -in "$1" | tr ',' '\n' | sed -n 's/^ *URI://p'
}

names_us() {
	uris "$1" | grep -qxF -- "$MESHVM_SPIFFE_ID"
}

# chained FILE ROOTS: its first certificate leads to one of the roots by the others in it. The mesh's root need not have
# signed itself: a CA under a company's own may be all that the mesh is told of.
chained() {
	openssl verify -partial_chain -CAfile "$2" -untrusted "$1" "$1"
}

identity() {
	printf '%s %s' "$MESHVM_SPIFFE_ID" "$(printf '%s' "$MESHVM_ROOT_CERTIFICATE" | sha256sum | cut -d ' ' -f 1)"
}
