"""Which ServiceEntries are taken?"""

from dataclasses import replace
from typing import Any, Final

from tests.verdicts.case import NAMESPACE, NOTHING, Case, given

SELECTED: Final[dict[str, Any]] = {"workloadSelector": {"labels": {"app": "a"}}}


def service(shows: str, by: str = "", path: str = "", /, *, warned: bool = False, **spec: Any) -> Case:
    """A ServiceEntry."""
    base = {
        "hosts": ["ratings.example.com"],
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "location": "MESH_INTERNAL",
        "resolution": "STATIC",
    }
    whole = given({**base, **spec})
    return Case("ServiceEntry", shows, whole, by, path, warned)


SERVICES: Final = [
    service("of machines", **SELECTED),
    service("of a static endpoint", endpoints=[{"address": "10.0.0.7", "ports": {"http": 8080}}]),
    service("of a socket", endpoints=[{"address": "unix:///run/a.sock"}]),
    service("external", resolution="DNS", location="MESH_EXTERNAL"),
    service("by default", resolution=NOTHING, location=NOTHING),
    service("of all hosts of a domain", resolution="NONE", hosts=["*.example.com"]),
    service("no hosts", "crd", "spec.hosts", hosts=NOTHING),
    service("empty hosts", "crd", "spec.hosts", hosts=[]),
    service("257 hosts", "crd", "spec.hosts", hosts=[f"h{number}.example.com" for number in range(257)]),
    service("every host", "crd", "spec.hosts[0]", hosts=["*"]),
    service("host", "webhook", "spec.hosts[0]", hosts=["a_b.example"]),
    service("host that begins with part of a name", hosts=["*-a.example.com"], resolution="NONE", warned=True),
    service("address", addresses=["10.0.0.7"]),
    service("range", addresses=["10.0.0.7/8"]),
    service("range that is resolved", "crd", "spec.addresses[0]", addresses=["10.0.0.0/8"], resolution="DNS"),
    service("address that is a name", "webhook", "spec.addresses[0]", addresses=["a"]),
    service("range of 33", "webhook", "spec.addresses[0]", addresses=["10.0.0.0/33"]),
    service("address of 65", "crd", "spec.addresses[0]", addresses=["a" * 65]),
    service("257 addresses", "crd", "spec.addresses", addresses=["10.0.0.7"] * 257),
    service("no ports", ports=NOTHING),
    service("port without a name", "crd", "spec.ports[0].name", ports=[{"number": 80}]),
    service("port without a number", "crd", "spec.ports[0].number", ports=[{"name": "a"}]),
    service("port of zero", "crd", "spec.ports[0].number", ports=[{"number": 0, "name": "a"}]),
    service(
        "target port of zero", "crd", "spec.ports[0].targetPort", ports=[{"number": 1, "name": "a", "targetPort": 0}]
    ),
    service("port's name", "webhook", "spec.ports[0].name", ports=[{"number": 1, "name": "a_b", "protocol": "HTTP"}]),
    service(
        "another protocol", "webhook", "spec.ports[0].protocol", ports=[{"number": 1, "name": "a", "protocol": "X"}]
    ),
    service(
        "one name twice",
        "crd",
        "spec.ports[1].name",
        ports=[{"number": 1, "name": "a", "protocol": "HTTP"}, {"number": 2, "name": "a", "protocol": "HTTP"}],
    ),
    service(
        "one number twice",
        "crd",
        "spec.ports[1].number",
        ports=[{"number": 1, "name": "a", "protocol": "HTTP"}, {"number": 1, "name": "b", "protocol": "HTTP"}],
    ),
    service("streams without an address", ports=[{"number": 1, "name": "a", "protocol": "TCP"}], **SELECTED),
    service(
        "streams without an address, unresolved",
        ports=[{"number": 1, "name": "a", "protocol": "TCP"}],
        resolution="NONE",
        warned=True,
    ),
    service("another resolution", "crd", "spec.resolution", resolution="static"),
    service("another location", "crd", "spec.location", location="INSIDE"),
    service("selector and endpoints", "crd", "spec.endpoints", endpoints=[{"address": "10.0.0.7"}], **SELECTED),
    service("selector, unresolved", resolution="NONE", warned=True, **SELECTED),
    service("endpoints, unresolved", "crd", "spec.endpoints", resolution="NONE", endpoints=[{"address": "10.0.0.7"}]),
    service("selector without labels", workloadSelector={}, warned=True),
    service("endpoint without an address", "crd", "spec.endpoints[0].address", endpoints=[{}]),
    service("endpoint with a network", endpoints=[{"network": "n"}], warned=True),
    service("static endpoint by name", "webhook", "spec.endpoints[0].address", endpoints=[{"address": "a.b"}]),
    service(
        "port of an endpoint that is not defined",
        "webhook",
        "spec.endpoints[0].ports['b']",
        endpoints=[{"address": "10.0.0.7", "ports": {"b": 1}}],
    ),
    service(
        "label of an endpoint",
        "webhook",
        "spec.endpoints[0].labels['a b']",
        endpoints=[{"address": "10.0.0.7", "labels": {"a b": "c"}}],
    ),
    service(
        "socket for two ports",
        "webhook",
        "spec.endpoints[0].address",
        endpoints=[{"address": "unix:///a"}],
        ports=[{"number": number, "name": f"p{number}", "protocol": "HTTP"} for number in (1, 2)],
    ),
    service("endpoint by name", resolution="DNS", endpoints=[{"address": "a.b"}], hosts=["*.b.c"]),
    service(
        "endpoint by another name",
        "webhook",
        "spec.endpoints[0].address",
        resolution="DNS",
        endpoints=[{"address": "a b"}],
    ),
    service("asterisk that is resolved", "webhook", "spec.hosts[0]", resolution="DNS", hosts=["*.example.com"]),
    service("one endpoint in turn", resolution="DNS_ROUND_ROBIN", endpoints=[{"address": "a.b"}]),
    service(
        "two endpoints in turn",
        "crd",
        "spec.endpoints",
        resolution="DNS_ROUND_ROBIN",
        endpoints=[{"address": "a.b"}, {"address": "c.d"}],
    ),
    service("whoever is asked for", resolution="DYNAMIC_DNS", hosts=["*.example.com"], location="MESH_EXTERNAL"),
    service("whoever is asked for, by name", "webhook", "spec.hosts[0]", resolution="DYNAMIC_DNS"),
    service(
        "whoever is asked for, at an address",
        "webhook",
        "spec.addresses",
        resolution="DYNAMIC_DNS",
        hosts=["*.example.com"],
        addresses=["10.0.0.7"],
    ),
    service(
        "whoever is asked for, by streams",
        "webhook",
        "spec.ports[0].protocol",
        resolution="DYNAMIC_DNS",
        hosts=["*.example.com"],
        ports=[{"number": 1, "name": "a", "protocol": "TCP"}],
    ),
    replace(
        service(
            "whoever is asked for, by a waypoint",
            "webhook",
            "spec.location",
            resolution="DYNAMIC_DNS",
            hosts=["*.example.com"],
        ),
        metadata={"labels": {"istio.io/use-waypoint": "a"}},
    ),
    service(
        "several hosts at one address",
        hosts=["a.b", "c.d"],
        addresses=["10.0.0.7"],
        resolution="DNS",
        ports=[{"number": 443, "name": "a", "protocol": "TLS"}],
        warned=True,
    ),
    service("several hosts", hosts=["a.b", "c.d"], **SELECTED),
    service(
        "several hosts by streams",
        "webhook",
        "spec.ports[0].protocol",
        hosts=["a.b", "c.d"],
        ports=[{"number": 1, "name": "a", "protocol": "TCP"}],
    ),
    service("exported", exportTo=[".", "bookinfo"]),
    service("exported to itself twice", "webhook", "spec.exportTo[1]", exportTo=[".", NAMESPACE]),
    service("exported to all and one", "webhook", "spec.exportTo", exportTo=["*", "a"]),
    service("exported to nobody", exportTo=["~"]),
    service("exported to nobody and one", "webhook", "spec.exportTo", exportTo=["~", "a"]),
    service("exported to no namespace", "webhook", "spec.exportTo[0]", exportTo=["a_b"]),
]
