"""Is the table of ports in docs/firewall.md what the code decides?"""

import re

from meshvm import rules
from meshvm.args import AwsArgs, FirewallArgs, GcpArgs
from meshvm.firewall.ports import Declared, Need, Role, needs
from tests.imports import CHECKOUT
from tests.samples import http_port

TEXT = (CHECKOUT / "docs" / "firewall.md").read_text()
CALL = {"host": "a", "port": 80}
CASES = (
    Declared(),
    Declared(ports=[http_port()], listeners=[{"port": http_port(8443, "https")}], calls=[CALL]),
    Declared(calls=[CALL], between_networks=True, scrape_ports=(15020, 15090)),
    Declared(egress_hosts=["./*"], between_networks=True),
    Declared(gateway_ports=(15012, 15443, 9411, 11800)),
)


def rows() -> list[list[str]]:
    """The cells of the table of ports."""
    _, _, table = TEXT.partition("| rule | |")
    lines = table.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def pattern(name: str) -> str:
    return name.replace("NAME", ".+").replace("NUMBER", "[0-9]+")


def shown(need: Need) -> list[list[str]]:
    """The rows that a need is in."""
    return [
        row for row in rows() if any(re.fullmatch(pattern(name), need.name) for name in re.findall("`(.+?)`", row[0]))
    ]


def test_every_need_is_in_one_row_with_its_direction_port_and_role() -> None:
    for need in (need for case in CASES for need in needs(case)):
        (row,) = shown(need)
        assert row[1] == need.direction.value
        assert row[3] == need.role.value
        assert str(need.port) in row[2] or row[2].startswith("as ")


def test_every_row_is_a_need() -> None:
    needed = [shown(need)[0] for case in CASES for need in needs(case)]
    assert [row[0] for row in rows() if row not in needed] == []


def test_istiod_is_the_only_flow_that_is_always_open() -> None:
    """SSH is a need as well, and a flow where somebody is named."""
    assert {need.name for need in needs(Declared())} == {"ssh", "istiod"}
    assert [row[0] for row in rows() if row[4] == "always"] == ["`istiod`"]


def test_every_argument_that_names_somebody_is_in_the_text() -> None:
    keys = {key for shape in (FirewallArgs, AwsArgs, GcpArgs) for key in shape.__annotations__}
    said = {*re.findall(r"`([a-z_]+)`", TEXT), "everybody", "shared"}
    assert keys - said - {"tags", "network", "project", "priority", "scrape_ports", "gateway_ports"} == set()


def test_every_role_and_every_cloud_is_in_the_text() -> None:
    assert [role.value for role in Role if f"| {role.value} |" not in TEXT] == []
    assert [cloud for cloud in rules.CLOUDS if f"[{cloud}.py]" not in TEXT] == []
