#!/bin/bash
# Stand-in of istio-start.sh: the same order of settings, the same defaults, rules first and then the agent as
# istio-proxy with its output appended to the two logs. Paths are relative: the folder it runs in is / on a machine.
set -ea

for settings in "${ISTIO_SIDECAR_CONFIG:-./var/lib/istio/envoy/sidecar.env}" \
    "${ISTIO_CLUSTER_CONFIG:-./var/lib/istio/envoy/cluster.env}"; do
    # shellcheck disable=SC1090
    if [[ -r $settings ]]; then . "$settings"; fi
done

bin=${ISTIO_BIN_BASE:-/usr/local/bin}
logs=${ISTIO_LOG_DIR:-./var/log/istio}
namespace=${ISTIO_NAMESPACE:-default}
service=${ISTIO_SERVICE:-rawvm}
system=${ISTIO_SYSTEM_NAMESPACE:-istio-system}
if [[ -z ${ISTIO_SVC_IP:-} ]]; then
    read -r ISTIO_SVC_IP _ <<<"$(hostname --all-ip-addresses)"
fi
POD_NAME=${POD_NAME:-$(hostname -s)}

unhook() { "$bin/pilot-agent" istio-iptables --cleanup-only; }

case ${1:-} in
clean)
    if [[ ${ISTIO_CUSTOM_IP_TABLES:-} != true ]]; then unhook; fi
    exit 0
    ;;
init | -p)
    shift
    unhook
    "$bin/pilot-agent" istio-iptables "$@"
    exit 0
    ;;
run) ;;
*)
    if [[ ${ISTIO_CUSTOM_IP_TABLES:-} != true ]]; then
        unhook
        "$bin/pilot-agent" istio-iptables
    fi
    ;;
esac

runs_as=${EXEC_USER:-istio-proxy}
if [[ ${ISTIO_INBOUND_INTERCEPTION_MODE:-} == TPROXY ]]; then runs_as=root; fi

CA_ADDR=${CA_ADDR:-${PILOT_ADDRESS:-istiod.$system.svc:${ISTIO_PILOT_PORT:-15012}}}
PROV_CERT=${PROV_CERT-./etc/certs}
OUTPUT_CERTS=${OUTPUT_CERTS-./etc/certs}
if [[ -n ${PILOT_ADDRESS:-}${ISTIO_PILOT_PORT:-} ]]; then
    PROXY_CONFIG="${PROXY_CONFIG:-}
discoveryAddress: ${PILOT_ADDRESS:-istiod.$system.svc:${ISTIO_PILOT_PORT:-15012}}
"
else
    PROXY_CONFIG=${PROXY_CONFIG:-"serviceCluster: $service
controlPlaneAuthPolicy: ${ISTIO_CP_AUTH:-MUTUAL_TLS}
"}
fi
export INSTANCE_IP=$ISTIO_SVC_IP POD_NAMESPACE=$namespace

if [[ ${USER:-} == "$runs_as" ]]; then
    # shellcheck disable=SC2086
    exec "$bin/pilot-agent" proxy ${ISTIO_AGENT_FLAGS:-}
fi
exec sudo -E -u "$runs_as" -s /bin/bash -c \
    "INSTANCE_IP=$ISTIO_SVC_IP POD_NAME=$POD_NAME POD_NAMESPACE=$namespace exec $bin/pilot-agent proxy ${ISTIO_AGENT_FLAGS:-} \
    2>> $logs/istio.err.log >> $logs/istio.log"
