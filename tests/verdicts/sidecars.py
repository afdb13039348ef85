"""Which Sidecars are taken, their listeners apart?"""

from typing import Any, Final

from tests.verdicts.case import Case
from tests.verdicts.listeners import ingress, sidecar

FILES: Final[dict[str, Any]] = {"serverCertificate": "/c.pem", "privateKey": "/k.pem"}
SELECTED: Final[dict[str, Any]] = {"workloadSelector": {"labels": {"app": "a"}}}
EGRESS: Final[list[dict[str, Any]]] = [{"hosts": ["./*"]}]


def tls(
    shows: str, by: str = "", path: str = "", /, *, warned: bool = False, protocol: str = "HTTPS", **given: Any
) -> Case:
    """A Sidecar with one listener with TLS."""
    port = {"number": 9443, "protocol": protocol, "name": "tls"}
    return ingress(f"tls, {shows}", by, path, warned=warned, port=port, tls=given)


def pool(shows: str, by: str = "", path: str = "", /, **given: Any) -> Case:
    """A Sidecar with a connection pool for everything inbound."""
    return sidecar(f"pool, {shows}", by, path, inboundConnectionPool=given)


SIDECARS: Final = [
    sidecar("outbound policy alone", outboundTrafficPolicy={"mode": "REGISTRY_ONLY"}),
    sidecar("outbound policy that says nothing", outboundTrafficPolicy={}),
    sidecar("one of a machine", **SELECTED, egress=EGRESS),
    sidecar("nothing", "webhook", "spec"),
    sidecar("selector alone", "webhook", "spec", **SELECTED),
    sidecar("selector without labels", workloadSelector={}, egress=EGRESS, warned=True),
    sidecar("selector with a value of 63", workloadSelector={"labels": {"a": "b" * 63}}, egress=EGRESS),
    sidecar(
        "selector with a value of 64",
        "crd",
        "spec.workloadSelector.labels['a']",
        workloadSelector={"labels": {"a": "b" * 64}},
        egress=EGRESS,
    ),
    sidecar(
        "selector with an asterisk for a value",
        "crd",
        "spec.workloadSelector.labels['a']",
        workloadSelector={"labels": {"a": "*"}},
        egress=EGRESS,
    ),
    sidecar(
        "selector with an asterisk in a key",
        "webhook",
        "spec.workloadSelector.labels['a*']",
        workloadSelector={"labels": {"a*": "b"}},
        egress=EGRESS,
    ),
    sidecar(
        "selector with an empty key",
        "webhook",
        "spec.workloadSelector.labels['']",
        workloadSelector={"labels": {"": "b"}},
        egress=EGRESS,
    ),
    sidecar("another policy", "crd", "spec.outboundTrafficPolicy.mode", outboundTrafficPolicy={"mode": "DENY"}),
    sidecar(
        "egress proxy",
        outboundTrafficPolicy={
            "mode": "ALLOW_ANY",
            "egressProxy": {"host": "a.b", "port": {"number": 80}, "subset": "s"},
        },
    ),
    sidecar(
        "egress proxy with another policy",
        "webhook",
        "spec.outboundTrafficPolicy.egressProxy",
        outboundTrafficPolicy={"egressProxy": {"host": "a.b", "port": {"number": 80}}},
    ),
    sidecar(
        "egress proxy without a port",
        "webhook",
        "spec.outboundTrafficPolicy.egressProxy.port",
        outboundTrafficPolicy={"mode": "ALLOW_ANY", "egressProxy": {"host": "a.b"}},
    ),
    sidecar(
        "egress proxy, port",
        "webhook",
        "spec.outboundTrafficPolicy.egressProxy.port.number",
        outboundTrafficPolicy={"mode": "ALLOW_ANY", "egressProxy": {"host": "a.b", "port": {}}},
    ),
    sidecar(
        "egress proxy, host",
        "webhook",
        "spec.outboundTrafficPolicy.egressProxy.host",
        outboundTrafficPolicy={"mode": "ALLOW_ANY", "egressProxy": {"host": "*.b", "port": {"number": 1}}},
    ),
    sidecar(
        "egress proxy, subset",
        "webhook",
        "spec.outboundTrafficPolicy.egressProxy.subset",
        outboundTrafficPolicy={
            "mode": "ALLOW_ANY",
            "egressProxy": {"host": "a.b", "port": {"number": 1}, "subset": "a.b"},
        },
    ),
    sidecar(
        "egress proxy without a host",
        "crd",
        "spec.outboundTrafficPolicy.egressProxy.host",
        outboundTrafficPolicy={"mode": "ALLOW_ANY", "egressProxy": {"port": {"number": 1}}},
    ),
    tls("SIMPLE", mode="SIMPLE", **FILES),
    tls("MUTUAL", mode="MUTUAL", caCertificates="/ca.pem", **FILES),
    tls("on a TLS port", protocol="TLS", mode="SIMPLE", **FILES),
    tls("empty"),
    tls("on an HTTP port", "webhook", "spec.ingress[0].tls", protocol="HTTP", mode="SIMPLE", **FILES),
    tls(
        "SIMPLE without a certificate",
        "webhook",
        "spec.ingress[0].tls.serverCertificate",
        mode="SIMPLE",
        privateKey="/k",
    ),
    tls("SIMPLE without a key", "webhook", "spec.ingress[0].tls.privateKey", mode="SIMPLE", serverCertificate="/c"),
    tls("MUTUAL without an authority", "webhook", "spec.ingress[0].tls.caCertificates", mode="MUTUAL", **FILES),
    tls("of the mesh", "webhook", "spec.ingress[0].tls.mode", mode="ISTIO_MUTUAL"),
    tls("of a gateway", "webhook", "spec.ingress[0].tls.mode", mode="AUTO_PASSTHROUGH"),
    tls("another mode", "crd", "spec.ingress[0].tls.mode", mode="simple"),
    tls("names", "webhook", "spec.ingress[0].tls.subjectAltNames", mode="SIMPLE", subjectAltNames=["a"], **FILES),
    tls("redirect", "webhook", "spec.ingress[0].tls.httpsRedirect", mode="SIMPLE", httpsRedirect=True, **FILES),
    pool(
        "what the client says, in words",
        "crd",
        "spec.inboundConnectionPool.http.useClientProtocol",
        http={"useClientProtocol": "yes"},
    ),
    tls("credential", "webhook", "spec.ingress[0].tls.credentialName", mode="SIMPLE", credentialName="a"),
    tls("credentials", "webhook", "spec.ingress[0].tls.credentialNames", mode="SIMPLE", credentialNames=["a"]),
    tls("certificates", "webhook", "spec.ingress[0].tls.tlsCertificates", mode="SIMPLE", tlsCertificates=[FILES]),
    tls("three certificates", "crd", "spec.ingress[0].tls.tlsCertificates", mode="SIMPLE", tlsCertificates=[FILES] * 3),
    tls("list that is revoked", "webhook", "spec.ingress[0].tls.caCrl", mode="SIMPLE", caCrl="/crl", **FILES),
    tls("old version", warned=True, mode="SIMPLE", minProtocolVersion="TLSV1_0", **FILES),
    tls("files that pass through", warned=True, mode="PASSTHROUGH", **FILES),
    tls(
        "another version",
        "crd",
        "spec.ingress[0].tls.minProtocolVersion",
        mode="SIMPLE",
        minProtocolVersion="1.2",
        **FILES,
    ),
    pool("whole", http={"maxRetries": 1, "idleTimeout": "1h"}, tcp={"connectTimeout": "1.5s", "idleTimeout": "0s"}),
    pool("nothing", "webhook", "spec.inboundConnectionPool"),
    pool("number below zero", "webhook", "spec.inboundConnectionPool.http.maxRetries", http={"maxRetries": -1}),
    pool(
        "connections below zero", "webhook", "spec.inboundConnectionPool.tcp.maxConnections", tcp={"maxConnections": -1}
    ),
    pool("number of 33 bits", "crd", "spec.inboundConnectionPool.http.maxRetries", http={"maxRetries": 2**31}),
    pool("duration of words", "crd", "spec.inboundConnectionPool.http.idleTimeout", http={"idleTimeout": "soon"}),
    pool("duration below 1ms", "crd", "spec.inboundConnectionPool.tcp.connectTimeout", tcp={"connectTimeout": "1us"}),
    pool(
        "duration of half a millisecond more",
        "webhook",
        "spec.inboundConnectionPool.tcp.connectTimeout",
        tcp={"connectTimeout": "1.5ms"},
    ),
    pool("idle duration", "webhook", "spec.inboundConnectionPool.tcp.idleTimeout", tcp={"idleTimeout": "1.5ms"}),
    pool(
        "idle duration of words", "webhook", "spec.inboundConnectionPool.tcp.idleTimeout", tcp={"idleTimeout": "soon"}
    ),
    pool("keepalive", tcp={"tcpKeepalive": {"time": "5s", "interval": "1m", "probes": 3}}),
    pool(
        "keepalive below 1ms",
        "crd",
        "spec.inboundConnectionPool.tcp.tcpKeepalive.time",
        tcp={"tcpKeepalive": {"time": "0s"}},
    ),
    pool("upgrade", http={"h2UpgradePolicy": "UPGRADE"}),
    pool("another upgrade", "crd", "spec.inboundConnectionPool.http.h2UpgradePolicy", http={"h2UpgradePolicy": "YES"}),
    pool(
        "upgrade of what the client says",
        "webhook",
        "spec.inboundConnectionPool.http.useClientProtocol",
        http={"h2UpgradePolicy": "UPGRADE", "useClientProtocol": True},
    ),
    ingress("pool", connectionPool={"http": {"maxRetries": 1}}),
    ingress("pool of HTTP on TCP", warned=True, port={"number": 1, "protocol": "TCP"}, connectionPool={"http": {}}),
    ingress("pool of nothing", "webhook", "spec.ingress[0].connectionPool", connectionPool={}),
]
