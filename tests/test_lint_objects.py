"""Are the objects of Istio's kinds judged as the table says, which the API server and istiod are asked of too?"""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshvm.args import Protocol
from meshvm.errors import ArgumentError
from meshvm.istio import objects as made
from meshvm.lint.objects import check_object
from tests.verdict_cases import CASES, Case

GOOD = [case for case in CASES if not case.by]
BAD = [case for case in CASES if case.by]


@pytest.mark.parametrize("case", GOOD, ids=str)
def test_an_object_that_is_taken_is_let_through(case: Case) -> None:
    warnings = check_object(case.object)
    assert bool(warnings) is (case.warned or case.dropped), warnings


@pytest.mark.parametrize("case", BAD, ids=str)
def test_an_object_that_is_refused_is_refused_by_its_path(case: Case) -> None:
    with pytest.raises(ArgumentError) as caught:
        check_object(case.object)
    assert caught.value.path == case.path
    assert str(caught.value).splitlines() == [str(caught.value)]
    wrong, _, instead = caught.value.reason.rpartition("; ")
    assert wrong
    assert instead


def test_no_two_cases_have_one_name() -> None:
    names = [str(case) for case in CASES]
    assert sorted(set(names)) == sorted(names)


def test_a_warning_is_one_sentence_with_its_path() -> None:
    for case in GOOD:
        for warning in check_object(case.object):
            assert warning.startswith("spec.")
            assert "; " in warning
            assert warning.splitlines() == [warning]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"kind": "Pod"}, "kind"),
        ({"kind": None}, "kind"),
        ({"apiVersion": "v1"}, "apiVersion"),
        ({"apiVersion": "networking.istio.io/v2"}, "apiVersion"),
        ({"metadata": None}, "metadata.name"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"name": "a", "namespace": "a.b"}}, "metadata.namespace"),
        ({"metadata": {"name": "a", "labels": []}}, "metadata.labels"),
        ({"metadata": {"name": "a", "labels": {"a": 1}}}, "metadata.labels['a']"),
        ({"metadata": {"name": "a", "annotations": {"a": 1}}}, "metadata.annotations['a']"),
    ],
)
def test_what_is_no_object_of_istios_is_told_so(changes: dict[str, Any], path: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        check_object({**CASES[0].object, **changes})
    assert caught.value.path == path


@pytest.mark.parametrize("given", [None, "a", []])
def test_what_is_no_object_at_all_is_told_so(given: Any) -> None:
    with pytest.raises(ArgumentError, match="is not a map"):
        check_object(given)


def test_an_object_without_a_spec_is_refused_where_one_is_required() -> None:
    for case in (case for case in CASES if case.kind != "Telemetry"):
        given = {key: value for key, value in case.object.items() if key != "spec"}
        with pytest.raises(ArgumentError) as caught:
            check_object({**given, "metadata": {"name": "a"}})
        assert caught.value.path == "spec"


def test_older_versions_are_judged_alike() -> None:
    for version in ("v1", "v1beta1", "v1alpha3"):
        assert check_object({**CASES[0].object, "apiVersion": f"networking.istio.io/{version}"}) == []


def test_what_meshvm_makes_is_let_through_without_a_warning() -> None:
    ports = [{"name": "http", "number": 9080, "protocol": Protocol.HTTP}]
    labels, calls = {"app": "ratings", "meshvm": "ratings"}, [{"host": "details.bookinfo", "port": 9080}]
    entry = made.workload_entry_spec(
        address="10.0.0.7",
        labels=labels,
        service_account="ratings",
        ports=ports,
        network="vm-net",
        locality="eu/a",
        weight=1,
    )
    sidecar = made.sidecar_spec(
        vm="ratings", namespace="bookinfo", istio_namespace="istio-system", calls=calls, ports=ports
    )
    for kind, spec in (("WorkloadEntry", entry), ("Sidecar", sidecar)):
        given = {"apiVersion": made.API_VERSION, "kind": kind, "metadata": {"name": "a", "namespace": "bookinfo"}}
        assert check_object({**given, "spec": spec}) == []


VALUES: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["unix://", "\0", "\ud800", "*", "/", "1e999s", "-1h"])
    | st.lists(st.none() | st.integers() | st.just({}), max_size=2)
    | st.dictionaries(st.text(max_size=3) | st.integers(), st.none() | st.just([]), max_size=2)
)


def places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, one in inside for place in [(*here, key), *places(one, (*here, key))]]


SMALL = [case.object for case in GOOD if len(str(case.spec)) < 500 and len(str(case.metadata)) < 500]


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_no_value_in_an_object_breaks_lint(data: st.DataObject) -> None:
    given = copy.deepcopy(data.draw(st.sampled_from(SMALL)))
    place = data.draw(st.sampled_from(places(given)))
    inside: Any = given
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = data.draw(VALUES)
    try:
        check_object(given)
    except ArgumentError as error:
        told = error
    else:
        return
    assert str(told).splitlines() == [str(told)]
