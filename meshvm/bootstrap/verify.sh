# shellcheck shell=sh
# Is the machine in the mesh? Asked of the agent and of Envoy, not assumed.

# Envoy is ready: it has its configuration from istiod and its listeners are up.
wait_ready() {
	(cd / && timeout "$MESHVM_READY_SECONDS" pilot-agent wait --url http://localhost:15021/healthz/ready \
		--timeoutSeconds "$MESHVM_READY_SECONDS" --periodMillis 100)
}

# admin PATH: what Envoy says of itself.
admin() {
	(cd / && timeout 10 pilot-agent request GET "$1")
}

# field NAME: the first value of a key in JSON from standard input.
field() {
	tr -d '\n' | grep -o "\"$1\": *\"[^\"]*\"" | head -n 1 | sed 's/^[^:]*: *"//; s/"$//'
}

# Why it did not get ready, from what the agent logged since its start. Its health checks are left out: they ask Envoy
# and the application on the machine itself, where a refused connection says nothing. The lines hold no token.
why_not_ready() {
	systemctl is-active --quiet istio || {
		echo "its start script ends with an error; see journalctl -u istio on the machine"
		return
	}
	last=$(awk '/\tProxy role: / { text = "" }
		!/\thealthcheck\t|Envoy proxy is NOT ready/ { text = text $0 "\n" }
		END { printf "%s", text }' /var/log/istio/istio.log | tail -n 40)
	case $last in
	*"cannot bind '"*)
		echo "$(printf '%s' "$last" | sed -n "s/.*\(cannot bind '[^']*': [A-Za-z ]*\).*/\1/p" | tail -n 1); another program listens there, or the port is too low for the sidecar's user" ;;
	*"no such host"* | *"Temporary failure in name resolution"*) echo "the name $MESHVM_ISTIOD or $MESHVM_GATEWAY does not resolve on the machine; check /etc/hosts there" ;;
	*"connection refused"* | *"i/o timeout"* | *"no route to host"* | *"network is unreachable"* | *"deadline exceeded"*)
		echo "the gateway $(echo "$MESHVM_GATEWAY" | sed 's/ /, /g') does not answer on port $MESHVM_GATEWAY_PORT from the machine; check the firewall rules and that the gateway leads to istiod" ;;
	*"certificate signed by unknown authority"* | *"bad certificate"*)
		echo "istiod's certificate and this mesh's root certificate do not belong together; check that the gateway leads to this mesh" ;;
	*[Uu]nauthenticated* | *"authentication failure"*)
		echo "istiod refused the token of the service account; check that the cluster id is the one istiod knows" ;;
	*) echo "no reason that meshvm knows is in the agent's log, /var/log/istio/istio.log on the machine" ;;
	esac
}

# One request through the sidecar's inbound side, as the proxy's own user, whom Istio's rules send there. The answer is
# told and not judged: the application may start later, and a mesh with STRICT mTLS refuses plain text.
ask_once() {
	[ -n "$MESHVM_ASK" ] || { echo "none made: no HTTP port is declared"; return; }
	command -v curl >/dev/null || { echo "none made: curl is not on the machine"; return; }
	code=$(runuser -u istio-proxy -- curl -s -o /dev/null -m 5 -w '%{http_code}' -- "$MESHVM_ASK")
	case $code in
	000) echo "no answer to plain text through the sidecar" ;;
	*) echo "answered $code through the sidecar" ;;
	esac
}

# Envoy has taken at least one set of listeners from istiod.
# shellcheck disable=SC2034 # status in join.sh prints configuration
verify_configuration() {
	taken=$(admin stats | sed -n 's/^listener_manager\.lds\.update_success: //p')
	[ "${taken:-0}" -gt 0 ] || give_up "Envoy has no listeners from istiod; the log is /var/log/istio/istio.log on the machine"
	configuration=received
}

# The certificate that Envoy really uses.
# shellcheck disable=SC2034 # status in join.sh prints expiry
verify_identity() {
	certificates=$(admin certs) || give_up "Envoy's admin port does not answer; the log is /var/log/istio/istio.log on the machine"
	chain=$(printf '%s' "$certificates" | tr -d '\n' | sed 's/.*"cert_chain"//')
	spiffe=$(printf '%s' "$chain" | field uri)
	expiry=$(printf '%s' "$chain" | field expiration_time)
	[ "$spiffe" = "$MESHVM_SPIFFE_ID" ] || give_up "the machine has the identity ${spiffe:-(none)} and not $MESHVM_SPIFFE_ID; check service_account and mesh"
}

# The sidecar stands before the machine's name servers now: what they knew, it has to know as well.
verify_names() {
	[ -n "$KNOWN_NAME" ] || return 0
	timeout 12 getent -s dns ahosts "$KNOWN_NAME" >/dev/null ||
		give_up "the machine no longer resolves $KNOWN_NAME since the sidecar answers its DNS questions; check the name servers in its /etc/resolv.conf, or give capture.dns false"
}
