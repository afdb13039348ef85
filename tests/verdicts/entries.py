"""Which WorkloadEntries are taken, and which metadata of any object?"""

from typing import Any, Final

from tests.verdicts.case import NOTHING, Case, given

LONG_HOST: Final = ".".join(["a" * 63] * 4)


def entry(
    shows: str, by: str = "", path: str = "", /, *, warned: bool = False, dropped: bool = False, **spec: Any
) -> Case:
    """A WorkloadEntry, with an address of its own unless another one is given."""
    whole = given({"address": "10.0.0.7", **spec})
    return Case("WorkloadEntry", shows, whole, by, path, warned, dropped=dropped)


def named(shows: str, by: str = "", path: str = "", /, **metadata: Any) -> Case:
    """A WorkloadEntry with some metadata."""
    return Case("WorkloadEntry", f"metadata, {shows}", {"address": "10.0.0.7"}, by, path, metadata=metadata)


ENTRIES: Final = [
    entry("address alone"),
    entry("address of IPv6", address="fd00::7"),
    entry("host name for an address", address="vm.example.com"),
    entry("host name in upper case, with the last dot", address="VM.example.com."),
    entry("one word for an address", address="vm"),
    entry("socket", address="unix:///run/app.sock"),
    entry("abstract socket", address="unix://@app"),
    entry("network instead of an address", address=NOTHING, network="vm-net", warned=True),
    entry("empty address with a network", address="", network="vm-net", warned=True),
    entry("neither address nor network", "crd", "spec.address", address=NOTHING),
    entry("empty address", "webhook", "spec.address", address=""),
    entry("empty network alone", "webhook", "spec.address", address=NOTHING, network=""),
    entry("address with a port", "webhook", "spec.address", address="10.0.0.7:80"),
    entry("address that ends in a number", "webhook", "spec.address", address="10.0.0"),
    entry("address with a space", "webhook", "spec.address", address="a b"),
    entry("address with an underscore", "webhook", "spec.address", address="a_b.example"),
    entry("address with an asterisk", "webhook", "spec.address", address="*.example.com"),
    entry("host name of 255", address=f"{'a.' * 127}a"),
    entry("host name of 256", "webhook", "spec.address", address=f"{'a.' * 127}aa"),
    entry("address of 257", "crd", "spec.address", address="a" * 257),
    entry("address that is a number", "crd", "spec.address", address=7),
    entry("address of null", "crd", "spec.address", address=None),
    entry("relative socket", "crd", "spec.address", address="unix://run/app.sock"),
    entry("socket that is a folder", "crd", "spec.address", address="unix:///run/"),
    entry("socket without a path", "crd", "spec.address", address="unix://"),
    entry("socket with ports", "crd", "spec.ports", address="unix:///run/app.sock", ports={"http": 80}),
    entry("socket with no ports in ports", "crd", "spec.ports", address="unix:///run/app.sock", ports={}),
    entry("ports", ports={"http": 80, "HTTPS-1": 65535, "0": 1}),
    entry("port name of 62", ports={"a" * 62: 80}),
    entry("port name of 63", "crd", f"spec.ports['{'a' * 63}']", ports={"a" * 63: 80}),
    entry("port name with an underscore", "crd", "spec.ports['a_b']", ports={"a_b": 80}),
    entry("port name that is empty", "crd", "spec.ports['']", ports={"": 80}),
    entry("port name that ends in a dash", "crd", "spec.ports['a-']", ports={"a-": 80}),
    entry("port name that ends in a line break", "crd", "spec.ports['a\\n']", ports={"a\n": 80}),
    entry("port of zero", "crd", "spec.ports['http']", ports={"http": 0}),
    entry("port of 65536", "crd", "spec.ports['http']", ports={"http": 65536}),
    entry("port below zero", "crd", "spec.ports['http']", ports={"http": -1}),
    entry("port of words", "crd", "spec.ports['http']", ports={"http": "80"}),
    entry("port of a half", "crd", "spec.ports['http']", ports={"http": 80.5}),
    entry("port of a whole float", "crd", "spec.ports['http']", ports={"http": 80.0}),
    entry("port of null", ports={"http": None}),
    entry("network of null", network=None),
    entry("port of true", "crd", "spec.ports['http']", ports={"http": True}),
    entry("128 ports", ports={f"p{number}": number for number in range(1, 129)}),
    entry("129 ports", "crd", "spec.ports", ports={f"p{number}": number for number in range(1, 130)}),
    entry("ports in a list", "crd", "spec.ports", ports=[80]),
    entry("labels", labels={"app": "ratings", "A.example/b_c": "", "app.kubernetes.io/name": "r.v-1_2"}),
    entry("label value of 64", labels={"app": "a" * 64}),
    entry("label value with a space", "webhook", "spec.labels['app']", labels={"app": "a b"}),
    entry("label value that begins with a dash", "webhook", "spec.labels['app']", labels={"app": "-a"}),
    entry("label value of a number", "crd", "spec.labels['app']", labels={"app": 1}),
    entry("label value of null", labels={"app": None}),
    entry("label key of 63", labels={"a" * 63: "b"}),
    entry("label key of 64", "webhook", f"spec.labels['{'a' * 64}']", labels={"a" * 64: "b"}),
    entry("label key with a space", "webhook", "spec.labels['a b']", labels={"a b": "c"}),
    entry("label key with an empty prefix", "webhook", "spec.labels['/a']", labels={"/a": "b"}),
    entry("label key with two prefixes", "webhook", "spec.labels['a/b/c']", labels={"a/b/c": "d"}),
    entry("label prefix of 253", labels={f"{LONG_HOST[:253]}/a": "b"}),
    entry(
        "label prefix of 254", "webhook", f"spec.labels['{LONG_HOST[:254]}/a']", labels={f"{LONG_HOST[:254]}/a": "b"}
    ),
    entry("256 labels", labels={f"l{number}": "" for number in range(256)}),
    entry("257 labels", "crd", "spec.labels", labels={f"l{number}": "" for number in range(257)}),
    entry("network of 2048", network="n" * 2048),
    entry("network of 2049", "crd", "spec.network", network="n" * 2049),
    entry("any network", network="a b/c"),
    entry("locality of 2048", locality="l" * 2048),
    entry("locality of 2049", "crd", "spec.locality", locality="l" * 2049),
    entry("any locality", locality="///"),
    entry("weight of zero", weight=0),
    entry("weight of 32 bits", weight=2**32 - 1),
    entry("weight of a whole float", weight=1.0),
    entry("weight of a half", "crd", "spec.weight", weight=0.5),
    entry("weight of 33 bits", "crd", "spec.weight", weight=2**32),
    entry("weight below zero", "crd", "spec.weight", weight=-1),
    entry("account of 253", serviceAccount="a" * 253),
    entry("account of 254", "crd", "spec.serviceAccount", serviceAccount="a" * 254),
    entry("field that is not there", dropped=True, adress="10.0.0.7"),
    Case("WorkloadEntry", "spec that is a list", [], "crd", "spec"),
    Case("WorkloadEntry", "spec of null", None, "crd", "spec"),
    Case("WorkloadEntry", "empty spec", {}, "crd", "spec.address"),
]

METADATA: Final = [
    named("name with dots", name="a.b"),
    named("name in upper case", "crd", "metadata.name", name="A"),
    named("name of 254", "crd", "metadata.name", name="a" * 254),
    named("name of 253", name="a" * 253),
    named("name with an underscore", "crd", "metadata.name", name="a_b"),
    named("labels", labels={"app": "a", "A_b.c": ""}),
    named("label value of 64", "crd", "metadata.labels['app']", labels={"app": "a" * 64}),
    named("label key with a space", "crd", "metadata.labels['a b']", labels={"a b": ""}),
    named("label prefix in upper case", "crd", "metadata.labels['A.b/c']", labels={"A.b/c": ""}),
    named("annotations", annotations={"proxy.istio.io/config": "{}", "A.example/Case": "any\nthing"}),
    named("annotation key with a space", "crd", "metadata.annotations['a b']", annotations={"a b": ""}),
    named("annotations of 256 KiB", annotations={"a": "b" * (256 * 1024 - 1)}),
    named("annotations of more", "crd", "metadata.annotations", annotations={"a": "b" * 256 * 1024}),
    named(
        "annotation of a dry run",
        "webhook",
        "metadata.annotations['istio.io/dry-run']",
        annotations={"istio.io/dry-run": "true"},
    ),
    named(
        "annotation of Istio's own",
        "webhook",
        "metadata.annotations['internal.istio.io/parents']",
        annotations={"internal.istio.io/parents": "a"},
    ),
]
