"""Whatever lint lets through as arguments, would the objects that are made of it be taken?"""

from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from meshvm.errors import ArgumentError
from meshvm.lint.objects import check_object
from tests.judged import judge
from tests.made_objects import made_objects
from tests.samples import vm_args

# Names and texts on both sides of every limit.
NAMES = st.sampled_from(["a", "A", "a-b", "a_b", "a.b", "-a", "a" * 62, "a" * 63, "a" * 64, "", "1", "a\n"])
TEXTS = NAMES | st.text(max_size=4) | st.sampled_from(["a" * 253, "a" * 254, "a" * 2048, "a" * 2049, "a/b/c", "é"])
NUMBERS = st.sampled_from([0, 1, 22, 80, 443, 8080, 15006, 65535, 65536])
PROTOCOLS = st.sampled_from(["HTTP", "HTTP2", "GRPC", "HTTPS", "TLS", "TCP"])
PORTS = st.fixed_dictionaries({"name": NAMES, "number": NUMBERS, "protocol": PROTOCOLS})
HOSTS = st.sampled_from(
    [
        "a",
        "a.b",
        "A.b",
        "a.b.svc.cluster.local",
        "example.com",
        "a..b",
        "10.0.0.7",
        "*.a",
        "a_b",
        "a.5",
        "a.5.",
        "a.",
        "",
    ]
)
EGRESS_HOSTS = st.builds("{}/{}".format, st.sampled_from([".", "*", "~", "a", "A", "a_b", ""]), HOSTS | st.just("*"))
ADDRESSES = st.sampled_from(["10.0.0.7", "35.194.38.142", "fd00::7", "::1", "::ffff:10.0.0.7", "a.b", "0.0.0.0"])
ENDPOINTS = st.sampled_from(["127.0.0.1:80", "0.0.0.0:80", "[::1]:80", ":80", "unix:///a", "unix://a", "unix://@a"])
LABELS = st.dictionaries(TEXTS, TEXTS, max_size=3)
HEADERS = st.dictionaries(NAMES, TEXTS, max_size=2)
ASKED = {"port": NUMBERS}
PROBES = st.fixed_dictionaries(
    {},
    optional={
        "http": st.fixed_dictionaries(ASKED, optional={"host": HOSTS, "path": TEXTS, "headers": HEADERS}),
        "tcp": st.fixed_dictionaries(ASKED, optional={"host": HOSTS}),
        "exec": st.fixed_dictionaries({"command": st.lists(TEXTS, max_size=2)}),
        "period_seconds": st.sampled_from([0, 1, 2**31 - 1, 2**31]),
    },
)
LISTENERS = st.fixed_dictionaries({"port": PORTS}, optional={"bind": ADDRESSES, "default_endpoint": ENDPOINTS})
CALLS = st.fixed_dictionaries({"host": HOSTS, "port": NUMBERS}, optional={"protocol": PROTOCOLS})
FILTERS = st.sampled_from(["a == b", "a == (b", "'", "", " ", "a in ['b']"])
CHANGES = {
    "address": ADDRESSES,
    "instance_address": ADDRESSES,
    "service_account": TEXTS,
    "labels": LABELS,
    "annotations": LABELS,
    "ports": st.lists(PORTS, max_size=2),
    "probe": PROBES,
    "calls": st.lists(CALLS, max_size=3),
    "egress_hosts": st.lists(EGRESS_HOSTS, max_size=3),
    "listeners": st.lists(LISTENERS, max_size=2),
    "capture": st.sampled_from([{}, {"mode": "NONE"}]),
    "outbound": st.sampled_from(["ALLOW_ANY", "REGISTRY_ONLY"]),
    "access_log": st.fixed_dictionaries({}, optional={"provider": NAMES, "filter": FILTERS}),
    "network": TEXTS,
    "locality": TEXTS,
    "weight": st.sampled_from([0, 2**32 - 1, 2**32]),
}


@st.composite
def changed_args(draw: st.DrawFn) -> Any:
    """Arguments of a MeshVm, a few of which are on the edge."""
    keys = draw(st.lists(st.sampled_from(sorted(CHANGES)), max_size=3, unique=True))
    return vm_args(**{key: draw(CHANGES[key]) for key in keys})


@settings(max_examples=200, deadline=None)
@given(args=changed_args())
def test_what_lint_lets_through_makes_objects_that_are_taken(args: Any) -> None:
    try:
        judge(args)
    except ArgumentError:
        assume(False)
    for made in made_objects(args):
        check_object(made)
