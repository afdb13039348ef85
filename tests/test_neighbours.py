"""Is a machine refused that the mesh could not tell from another, or that its group would not take?"""

import json
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

import meshvm
from meshvm.testing import record
from tests.samples import Machine, mesh, vm_args

GROUPS = json.dumps({"fleet": {"serviceAccount": "bookinfo-ratings", "network": ""}})


def two(first: dict[str, Any], second: dict[str, Any]) -> Callable[[], None]:
    def run() -> None:
        meshvm.MeshVm("one", vm_args(machine_id="i-1", **first))
        meshvm.MeshVm("other", vm_args(machine_id="i-2", **second))

    return run


def failure(program: Callable[[], Any], *, preview: bool = False) -> str:
    with pytest.raises(Exception) as caught:  # noqa: PT011 the sentence is what the tests ask
        record(program, preview=preview)
    return str(caught.value)


@pytest.mark.parametrize("preview", [False, True])
def test_two_machines_with_one_address_in_one_network_are_refused(*, preview: bool) -> None:
    text = failure(two({"address": "10.0.0.7"}, {"address": "10.0.0.7"}), preview=preview)
    assert text == (
        'MeshVm "other": address: 10.0.0.7 in the mesh\'s one network is the address of MeshVm "one" too, and the mesh '
        "knows machines by their addresses; give each machine its own, or name the networks apart by `network`"
    )


def test_the_same_address_in_two_networks_is_two_machines() -> None:
    recording = record(two({"network": "north"}, {"network": "south"}))
    assert {"one-entry", "other-entry"} <= set(recording)


def test_one_address_that_only_an_up_knows_is_refused_there() -> None:
    def run() -> None:
        machine = Machine("vm")
        for name in ("one", "other"):
            meshvm.MeshVm(name, vm_args(machine_id=name, address=machine.address))

    with pytest.raises(Exception, match=r"10\.0\.0\.7 .* is the address of MeshVm"):
        record(run, outputs={"vm": {"address": "10.0.0.7"}})


def test_the_next_run_starts_anew() -> None:
    for _ in range(2):
        record(lambda: meshvm.MeshVm("ratings", vm_args()))


def of_group(**changes: Any) -> Callable[[], object]:
    given = {"registration": meshvm.Registration.AUTO, "group": "fleet", "mesh": mesh(groups=GROUPS), **changes}
    return lambda: meshvm.MeshVm("ratings", vm_args(**given))


def test_a_machine_that_fits_its_group_is_taken() -> None:
    assert "ratings-join" in record(of_group())


def test_a_group_that_somebody_else_made_is_taken_as_it_is() -> None:
    assert "ratings-join" in record(of_group(group="elsewhere", service_account="another"))


@pytest.mark.parametrize("late", [False, True])
def test_another_account_than_the_groups_is_refused(*, late: bool) -> None:
    """As istiod would refuse its connection; the account may be an Output."""

    def run() -> None:
        of_group(service_account=pulumi.Output.from_input("details") if late else "details")()

    assert failure(run) == (
        "MeshVm \"ratings\": service_account: 'details' is not the account of the group 'fleet', which is "
        "'bookinfo-ratings'; write that one, or the name of another group"
    )


def test_another_network_than_the_groups_is_refused() -> None:
    assert "network: 'vm-net' is not the network of the group 'fleet', which is ''" in failure(
        of_group(network="vm-net")
    )
