"""Is a ProxyConfig written as Istio's own tools write it: canonical JSON of protocol buffers?"""

import pytest

from meshvm.errors import ArgumentError
from meshvm.istio.messages import PROXY_CONFIG, WORKLOAD_GROUP


@pytest.mark.parametrize(
    ("given", "written"),
    [
        # Either spelling of a name.
        ({"proxy_metadata": {"A": "1"}}, {"proxyMetadata": {"A": "1"}}),
        ({"termination_drain_duration": "5s"}, {"terminationDrainDuration": "5s"}),
        # A plain field's zero goes, a wrapped one's stays.
        ({"statusPort": 0, "meshId": "", "interceptionMode": "REDIRECT", "extraStatTags": []}, {}),
        ({"concurrency": 0}, {"concurrency": 0}),
        ({"holdApplicationUntilProxyStarts": False}, {"holdApplicationUntilProxyStarts": False}),
        ({"serviceCluster": ""}, {"serviceCluster": ""}),
        ({"tracing": {}}, {"tracing": {}}),
        ({"tracing": {"sampling": 0.0, "zipkin": {"address": ""}}}, {"tracing": {"zipkin": {}}}),
        ({"meshId": None}, {}),
        # An empty value in a map stays.
        ({"proxyMetadata": {"A": ""}}, {"proxyMetadata": {"A": ""}}),
        ({"proxyMetadata": {8080: "x"}}, {"proxyMetadata": {"8080": "x"}}),
        # Enums by name, numbers as numbers.
        ({"interceptionMode": 1}, {"interceptionMode": "TPROXY"}),
        ({"controlPlaneAuthPolicy": 1000}, {"controlPlaneAuthPolicy": "INHERIT"}),
        ({"tracingServiceName": 0}, {"tracingServiceName": "APP_LABEL_AND_NAMESPACE"}),
        ({"statusPort": "15998"}, {"statusPort": 15998}),
        ({"tracing": {"sampling": 99.5}}, {"tracing": {"sampling": 99.5}}),
        (
            {"tracing": {"stackdriver": {"maxNumberOfAttributes": 200}}},
            {"tracing": {"stackdriver": {"maxNumberOfAttributes": "200"}}},
        ),
        # Durations in seconds.
        ({"drainDuration": "45s"}, {"drainDuration": "45s"}),
        ({"drainDuration": "0s"}, {"drainDuration": "0s"}),
        ({"drainDuration": "100.000s"}, {"drainDuration": "100s"}),
        ({"drainDuration": "0.5s"}, {"drainDuration": "0.500s"}),
        ({"drainDuration": "0.0015s"}, {"drainDuration": "0.001500s"}),
        # A newer Istio's field.
        ({"newerField": {"a": 0}}, {"newerField": {"a": 0}}),
    ],
)
def test_a_proxy_config_has_one_form(given: dict[str, object], written: dict[str, object]) -> None:
    assert PROXY_CONFIG(given, "defaultConfig") == written
    assert PROXY_CONFIG(written, "defaultConfig") == written


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"meshId": True}, "p.meshId: true is not a string; put it in quotes"),
        ({"meshId": {}}, "p.meshId: {} is not a string; write a string"),
        ({"statusPort": "x"}, "p.statusPort: 'x' is not a number; write a number"),
        ({"statusPort": 1.5}, "p.statusPort: 1.5 is not a whole number; write a whole number"),
        ({"statusPort": True}, "p.statusPort: true is not a number; write a number"),
        ({"concurrency": []}, "p.concurrency: [] is not a number; write a number"),
        ({"holdApplicationUntilProxyStarts": "y"}, "p.holdApplicationUntilProxyStarts: 'y' is not true or false"),
        ({"interceptionMode": "X"}, "p.interceptionMode: 'X' is not one of REDIRECT, TPROXY, NONE"),
        ({"drainDuration": "1m"}, "p.drainDuration: '1m' is not a duration in seconds such as 45s"),
        ({"extraStatTags": ["a", 1]}, "p.extraStatTags[1]: 1 is not a string; put it in quotes"),
        ({"extraStatTags": "a"}, "p.extraStatTags: 'a' is not a list; write a list"),
        ({"proxyMetadata": {True: "a"}}, "p.proxyMetadata: the key true is not a string; put it in quotes"),
        ({"tracing": "x"}, "p.tracing: 'x' is not a map; write a map"),
    ],
)
def test_a_value_of_another_type_is_named_by_its_place(given: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        PROXY_CONFIG(given, "p")
    assert str(caught.value).startswith(message)


def test_a_probe_is_written_without_its_defaults() -> None:
    probe = {"http_get": {"path": "/", "port": 80, "host": ""}, "timeoutSeconds": 0, "periodSeconds": 5}
    assert WORKLOAD_GROUP({"probe": probe}, "spec") == {
        "probe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 5}
    }
