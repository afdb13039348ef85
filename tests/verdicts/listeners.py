"""Which listeners of a Sidecar are taken?"""

from typing import Any, Final

from tests.verdicts.case import NAMESPACE, NOTHING, Case, given

PORT: Final[dict[str, Any]] = {"number": 9080, "protocol": "HTTP"}


def sidecar(shows: str, by: str = "", path: str = "", /, *, warned: bool = False, **spec: Any) -> Case:
    """A Sidecar."""
    return Case("Sidecar", shows, spec, by, path, warned)


def ingress(shows: str, by: str = "", path: str = "", /, *, warned: bool = False, **listener: Any) -> Case:
    """A Sidecar with one listener for inbound traffic."""
    whole = {"port": {"number": 9080, "protocol": "HTTP", "name": "http"}, **listener}
    return sidecar(f"ingress, {shows}", by, path, warned=warned, ingress=[given(whole)])


def egress(shows: str, by: str = "", path: str = "", /, *, warned: bool = False, **listener: Any) -> Case:
    """A Sidecar with one listener for outbound traffic."""
    whole = given({"hosts": ["./*"], **listener})
    return sidecar(f"egress, {shows}", by, path, warned=warned, egress=[whole])


def hosts(shows: str, /, *given: Any, by: str = "", path: str = "", warned: bool = False) -> Case:
    """A Sidecar that knows some hosts."""
    return egress(f"hosts, {shows}", by, path, warned=warned, hosts=list(given))


LISTENERS: Final = [
    ingress("port alone"),
    ingress("port without name and protocol", port={"number": 9080}),
    ingress("no port", "crd", "spec.ingress[0].port", port=NOTHING),
    ingress("port of zero", "webhook", "spec.ingress[0].port.number", port={"number": 0, "protocol": "HTTP"}),
    ingress("port of a whole float", port={"number": 80.0}),
    ingress("port without a number", "webhook", "spec.ingress[0].port.number", port={"protocol": "HTTP"}),
    ingress("port of 65536", "webhook", "spec.ingress[0].port.number", port={"number": 65536, "protocol": "HTTP"}),
    ingress("port below zero", "crd", "spec.ingress[0].port.number", port={"number": -1, "protocol": "HTTP"}),
    ingress("protocol in lower case", port={"number": 9080, "protocol": "grpc-web"}),
    ingress("another protocol", "webhook", "spec.ingress[0].port.protocol", port={"number": 9080, "protocol": "SCTP"}),
    ingress("port's name in upper case", port={**PORT, "name": "HTTP"}),
    ingress("port's name", "webhook", "spec.ingress[0].port.name", port={**PORT, "name": "a_b"}),
    ingress("target port", "webhook", "spec.ingress[0].port.targetPort", port={**PORT, "targetPort": 80}),
    ingress("target port of zero", port={**PORT, "targetPort": 0}),
    ingress("bind", bind="10.0.0.7"),
    ingress("bind of IPv6", bind="::"),
    ingress("empty bind", bind=""),
    ingress("bind that is a name", "webhook", "spec.ingress[0].bind", bind="eth0"),
    ingress("bind that is a socket", "webhook", "spec.ingress[0].bind", bind="unix:///run/app.sock"),
    ingress("capture mode", captureMode="NONE"),
    ingress("another capture mode", "crd", "spec.ingress[0].captureMode", captureMode="TPROXY"),
    sidecar(
        "two ports of one number", "webhook", "spec.ingress[1].port.number", ingress=[{"port": PORT}, {"port": PORT}]
    ),
    *(
        ingress(f"default endpoint {value or 'empty'}", defaultEndpoint=value)
        for value in (
            "",
            "127.0.0.1:80",
            "0.0.0.0:80",
            "[::1]:80",
            "[::]:80",
            ":80",
            "[127.0.0.1]:80",
            "127.0.0.1:+80",
            "unix:///run/app.sock",
            "unix://@app",
        )
    ),
    *(
        ingress(f"default endpoint {value}", "webhook", "spec.ingress[0].defaultEndpoint", defaultEndpoint=value)
        for value in (
            "127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:0",
            "127.0.0.1:65536",
            "127.0.0.1:http",
            "127.0.0.2:80",
            "localhost:80",
            "::1:80",
            "10.0.0.7:80",
            "unix://run/app.sock",
            "unix:///run/",
            "unix://",
        )
    ),
    egress("hosts alone"),
    egress("no hosts", "crd", "spec.egress[0].hosts", hosts=NOTHING),
    egress("empty hosts", "webhook", "spec.egress[0].hosts", hosts=[]),
    egress("hosts that are a string", "crd", "spec.egress[0].hosts", hosts="./*"),
    egress("port", port={**PORT, "name": "http"}, bind="127.0.0.2", captureMode="NONE"),
    egress("port without bind", port=PORT),
    egress("bind without port", bind="not looked at"),
    egress("bind", "webhook", "spec.egress[0].bind", port=PORT, bind="a"),
    egress("another protocol", "webhook", "spec.egress[0].port.protocol", port={"number": 1, "protocol": "X"}),
    egress("port's name", "webhook", "spec.egress[0].port.name", port={**PORT, "name": "a.b"}),
    egress("target port", "webhook", "spec.egress[0].port.targetPort", port={**PORT, "targetPort": 1}),
    egress("port of 65536", "webhook", "spec.egress[0].port.number", port={"number": 65536}),
    egress("socket", port={"number": 0, "protocol": "HTTP"}, bind="unix:///run/a.sock"),
    egress("socket without a number", port={"protocol": "HTTP"}, bind="unix://@a", captureMode="DEFAULT"),
    egress(
        "port of zero without a socket", "webhook", "spec.egress[0].port.number", port={"number": 0}, bind="127.0.0.1"
    ),
    egress("relative socket", "webhook", "spec.egress[0].bind", port={"number": 0}, bind="unix://a"),
    egress(
        "socket with rules",
        "webhook",
        "spec.egress[0].captureMode",
        port={"number": 0},
        bind="unix:///a",
        captureMode="IPTABLES",
    ),
    egress("another capture mode", "crd", "spec.egress[0].captureMode", captureMode="ALL"),
    sidecar("all other traffic last", egress=[{"port": PORT, "hosts": ["./*"]}, {"hosts": ["./*"]}]),
    sidecar(
        "all other traffic first",
        "webhook",
        "spec.egress[0].port",
        egress=[{"hosts": ["./*"]}, {"port": PORT, "hosts": ["./*"]}],
    ),
    sidecar(
        "all other traffic twice", "webhook", "spec.egress[0].port", egress=[{"hosts": ["./*"]}, {"hosts": ["./*"]}]
    ),
    sidecar(
        "two outbound ports of one number",
        "webhook",
        "spec.egress[1].port.number",
        egress=[{"port": PORT, "hosts": ["./*"], "bind": bind} for bind in ("127.0.0.2", "127.0.0.3")],
    ),
    sidecar(
        "one socket twice",
        "webhook",
        "spec.egress[1].bind",
        egress=[{"port": {"number": 0}, "hosts": ["./*"], "bind": "unix:///a"}] * 2,
    ),
    hosts("of many forms", "bookinfo/*", "istio-system/*", "./a.b", "~/*.example.com", "A/b.c."),
    hosts("without a namespace", "a.b", by="webhook", path="spec.egress[0].hosts[0]"),
    hosts("with an empty namespace", "/a.b", by="webhook", path="spec.egress[0].hosts[0]"),
    hosts("with an empty name", "./", by="webhook", path="spec.egress[0].hosts[0]"),
    hosts("null", None, by="crd", path="spec.egress[0].hosts[0]"),
    hosts("short", "./details", by="webhook", path="spec.egress[0].hosts[0]"),
    hosts("namespace", "a_b/*", by="webhook", path="spec.egress[0].hosts[0]"),
    hosts("namespace of 64", f"{'a' * 64}/*", by="webhook", path="spec.egress[0].hosts[0]"),
    hosts("part of a name", "./*-a.b", by="webhook", path="spec.egress[0].hosts[0]"),
    hosts("asterisk inside", "./a.*.b", by="webhook", path="spec.egress[0].hosts[0]"),
    hosts("address", "./10.0.0.7", by="webhook", path="spec.egress[0].hosts[0]"),
    hosts("empty part", "./a..b", by="webhook", path="spec.egress[0].hosts[0]"),
    hosts("two slashes", "./a.b/c", by="webhook", path="spec.egress[0].hosts[0]"),
    hosts("second one", "./*", "b", by="webhook", path="spec.egress[0].hosts[1]"),
    hosts("number at the end, with a dot", "./a.5."),
    hosts("one twice", "./a.b", "./a.b", warned=True),
    hosts("one twice, by two names of the namespace", "./a.b", f"{NAMESPACE}/a.b", warned=True),
    hosts("one that all of them cover", "./*", "./a.b", warned=True),
    hosts("all of them after one", "./a.b", "./*", warned=True),
    hosts("all of them twice", "./*", "./*", warned=True),
    hosts("one in all namespaces and one", "*/a.b", "./a.b"),
    hosts("all there are", "*/*"),
    hosts("all there are and more", "*/*", "./a.b", warned=True),
]
