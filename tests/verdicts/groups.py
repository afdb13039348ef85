"""Which WorkloadGroups are taken?"""

from typing import Any, Final

from tests.verdicts.case import NOTHING, Case, given

HTTP: Final[dict[str, Any]] = {"port": 8080}


def group(shows: str, by: str = "", path: str = "", /, **spec: Any) -> Case:
    """A WorkloadGroup."""
    whole = given({"template": {}, **spec})
    return Case("WorkloadGroup", shows, whole, by, path)


def probe(shows: str, by: str = "", path: str = "", /, **given: Any) -> Case:
    """A WorkloadGroup with a probe."""
    return group(f"probe, {shows}", by, path, probe=given)


GROUPS: Final = [
    group("empty template"),
    group("no template", "crd", "spec.template", template=NOTHING),
    group("template of null", "crd", "spec.template", template=None),
    group(
        "template",
        template={"serviceAccount": "a", "ports": {"http": 80}, "network": "n", "locality": "l", "weight": 1},
    ),
    group("template whose labels are not judged", template={"labels": {"a b": "c d"}}),
    group("template whose address is not judged", template={"address": "a b"}),
    group("template with a relative socket", "crd", "spec.template.address", template={"address": "unix://a"}),
    group("template with a port's name", "crd", "spec.template.ports['a_b']", template={"ports": {"a_b": 80}}),
    group("template with a port of zero", "crd", "spec.template.ports['a']", template={"ports": {"a": 0}}),
    group(
        "template with a socket and ports",
        "crd",
        "spec.template.ports",
        template={"address": "unix:///a", "ports": {"a": 1}},
    ),
    group("empty metadata", metadata={}),
    group("metadata", metadata={"labels": {"app": "a"}, "annotations": {"any thing": "b c"}}),
    group("label of the metadata", "webhook", "spec.metadata.labels['a b']", metadata={"labels": {"a b": "c"}}),
    group("label value of the metadata", "webhook", "spec.metadata.labels['a']", metadata={"labels": {"a": "b c"}}),
    group("256 annotations", metadata={"annotations": {f"a{number}": "" for number in range(256)}}),
    group(
        "257 annotations",
        "crd",
        "spec.metadata.annotations",
        metadata={"annotations": {f"a{number}": "" for number in range(257)}},
    ),
    group(
        "257 labels", "crd", "spec.metadata.labels", metadata={"labels": {f"l{number}": "" for number in range(257)}}
    ),
    probe("HTTP", httpGet=HTTP, initialDelaySeconds=0, periodSeconds=0, timeoutSeconds=1, failureThreshold=2**31 - 1),
    probe(
        "HTTP, whole", httpGet={**HTTP, "path": "/", "host": "a", "scheme": "HTTPS", "httpHeaders": [{"name": "A-b1"}]}
    ),
    probe("TCP", tcpSocket={"port": 1, "host": "127.0.0.1"}),
    probe("command", exec={"command": ["true"]}),
    probe("by gRPC", "webhook", "spec.probe.grpc", grpc={"port": 80}),
    probe("by gRPC, empty", "webhook", "spec.probe.grpc", grpc={}),
    probe("by gRPC, port of zero", "crd", "spec.probe.grpc.port", grpc={"port": 0}),
    probe("none", "webhook", "spec.probe"),
    probe("two", "crd", "spec.probe", httpGet=HTTP, tcpSocket={"port": 1}),
    probe("HTTP without a port", "crd", "spec.probe.httpGet.port", httpGet={}),
    probe("HTTP, port of 65536", "crd", "spec.probe.httpGet.port", httpGet={"port": 65536}),
    probe("HTTP, another scheme", "crd", "spec.probe.httpGet.scheme", httpGet={**HTTP, "scheme": "http"}),
    probe("HTTP, empty scheme", httpGet={**HTTP, "scheme": ""}),
    probe(
        "HTTP, header",
        "crd",
        "spec.probe.httpGet.httpHeaders[0].name",
        httpGet={**HTTP, "httpHeaders": [{"name": "a b", "value": "c"}]},
    ),
    probe(
        "HTTP, header without a name",
        "webhook",
        "spec.probe.httpGet.httpHeaders[0].name",
        httpGet={**HTTP, "httpHeaders": [{"value": "c"}]},
    ),
    probe(
        "HTTP, header with an underscore",
        "webhook",
        "spec.probe.httpGet.httpHeaders[0].name",
        httpGet={**HTTP, "httpHeaders": [{"name": "a_b", "value": "c"}]},
    ),
    probe("command with a word of null", "crd", "spec.probe.exec.command[0]", exec={"command": [None]}),
    probe("TCP without a port", "crd", "spec.probe.tcpSocket.port", tcpSocket={"host": "a"}),
    probe("command that is not there", "crd", "spec.probe.exec.command", exec={}),
    probe("command that is empty", "webhook", "spec.probe.exec.command", exec={"command": []}),
    probe("command with an empty word", "crd", "spec.probe.exec.command[0]", exec={"command": [""]}),
    probe("command that is a string", "crd", "spec.probe.exec.command", exec={"command": "true"}),
    probe("number below zero", "crd", "spec.probe.periodSeconds", httpGet=HTTP, periodSeconds=-1),
    probe("number of 32 bits", "crd", "spec.probe.timeoutSeconds", httpGet=HTTP, timeoutSeconds=2**31),
]
