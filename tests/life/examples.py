"""What an example shows and does, as text that a README or a golden holds: its preview, and its calls to the cloud."""

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pulumi import automation as auto

from lab.stack import Stack

GOLDENS = Path(__file__).parents[1] / "goldens" / "cloud"
_MADE_UP = re.compile(r"-[0-9a-f]{7}\Z")  # how a name ends that the provider made up


class Row(NamedTuple):
    """One line of a preview's tree."""

    urn: str
    parent: str
    type: str
    name: str
    plan: str


def tree(stack: Stack) -> list[str]:
    """What `pulumi preview` shows, laid out as the CLI does it, but for the order: the engine's differs from run to
    run, so siblings are sorted by type and name."""
    rows: list[Row] = []

    def note(event: auto.EngineEvent) -> None:
        begun = event.resource_pre_event
        if begun is not None and begun.metadata.op != auto.OpType.SAME:
            about = begun.metadata
            type_ = _shown_type(about.type)
            parent = about.new.parent if about.new else ""
            row = Row(about.urn, parent or "", type_, about.urn.rpartition("::")[2], about.op.value)
            # Nor does the CLI show the providers that nobody wrote.
            if not (type_.startswith("pulumi:providers:") and row.name.startswith("default")):
                rows.append(row)

    stack._stack.preview(on_event=note)
    shown = [("Type", "Name", "Plan"), *_branch(rows, "", "")]
    first, second = (max(len(row[column]) for row in shown) for column in (0, 1))
    lines = [f"{type_:<{first}}  {name:<{second}}  {plan}" for type_, name, plan in shown]
    return [f"     {lines[0]}", *(f" +   {line}" for line in lines[1:])]


def _branch(rows: Sequence[Row], parent: str, indent: str) -> Iterable[tuple[str, str, str]]:
    children = sorted((row for row in rows if row.parent == parent), key=lambda row: (row.type, row.name))
    for row in children:
        last, top = row is children[-1], not parent
        mark, below = ("", "") if top else ("└─ ", "   ") if last else ("├─ ", "│  ")
        yield f"{indent}{mark}{row.type}", row.name, row.plan
        yield from _branch(rows, row.urn, indent + below)


def _shown_type(token: str) -> str:
    """`aws:ec2/vpc:Vpc` as `aws:ec2:Vpc` (pulumi: pkg/backend/display/rows.go, simplifyTypeName)."""
    package, module, name = token.split(":")
    before, slash, last = module.rpartition("/")
    own = slash and last == name[0].lower() + name[1:]
    return f"{package}:{before if own else module}:{name}"


def block(readme: Path, heading: str) -> list[str]:
    """The lines of the first fenced block below a heading."""
    below = readme.read_text().partition(f"\n{heading}\n")[2]
    assert below, f"{readme.name} has no heading {heading!r}"
    return below.split("```")[1].splitlines()[1:]


class Calls:
    """The calls to the cloud of one run, and what the graph says of their order.

    :param state: the resources as the engine stored them.
    :param cloud: how the types of the cloud's resources begin: `aws:`.
    """

    def __init__(self, state: Sequence[Mapping[str, Any]], cloud: str) -> None:
        self._state = state
        self._cloud = cloud
        self._before = {one["urn"]: _comes_after(one) for one in state}
        self._after: dict[str, set[str]] = {one["urn"]: set() for one in state}
        for urn, others in self._before.items():
            for other in others:
                self._after[other].add(urn)
        self._urns = {(one["type"], one["urn"].rpartition("::")[2]): one["urn"] for one in state}
        self._names = dict(self._named())

    def up(self, entries: Sequence[Mapping[str, Any]]) -> list[str]:
        """The calls of an `up`, a line each: place, call, type, name and inputs.

        The place is how many calls have to be over before this one, each waiting for the one before; which of two calls
        with the same place comes first is the engine's choice of the day.
        """
        return self._lines(entries, self._before, inputs=True)

    def destroy(self, entries: Sequence[Mapping[str, Any]]) -> list[str]:
        """The calls of a destroy in the same way, without inputs."""
        return self._lines(entries, self._after, inputs=False)

    def _lines(self, entries: Sequence[Mapping[str, Any]], first: Mapping[str, set[str]], *, inputs: bool) -> list[str]:
        @cache
        def chain(urn: str) -> frozenset[str]:
            """The cloud's resources that come first."""
            found = {other for other in first[urn] if self._in_cloud(other)}
            return frozenset(found.union(*map(chain, first[urn])))

        @cache
        def place(urn: str) -> int:
            return max((place(other) + 1 for other in chain(urn)), default=0)

        lines: list[str] = []
        called: set[str] = set()
        for entry in entries:
            urn = self._urns[entry["type"], entry["name"]]
            early = " TOO EARLY" if chain(urn) - called else ""
            words = f"{place(urn):>2}{early} {entry['call']} {entry['type']} {entry['name']}"
            lines.append(f"{words} {self._normal(entry['inputs'])}" if inputs else words)
            called.add(urn)
        return sorted(lines)

    def _in_cloud(self, urn: str) -> bool:
        return urn.split("::")[2].rpartition("$")[2].startswith(self._cloud)

    def _normal(self, inputs: Mapping[str, Any]) -> str:
        """Ids and addresses by the names of what they belong to."""
        return json.dumps(_mapped(inputs, self._name), sort_keys=True, ensure_ascii=False)

    def _name(self, text: str) -> str:
        for value, name in self._names.items():
            text = re.sub(rf"(?<![\w.-]){re.escape(value)}(?![\w.-])", name, text)
        return _MADE_UP.sub("-*", text)

    def _named(self) -> Iterable[tuple[str, str]]:
        for one in self._state:
            label = f"{one['type'].rpartition(':')[2]} {one['urn'].rpartition('::')[2]}"
            outputs = one.get("outputs", {})
            if one["type"].startswith(self._cloud):
                yield one["id"], f"<{label}>"
            for key in ("privateIp", "publicIp", "publicKeyOpenssh"):
                if isinstance(outputs.get(key), str) and outputs[key]:
                    yield outputs[key].strip(), f"<{label} {key}>"


def waits_for(state: Sequence[Mapping[str, Any]], name: str) -> set[tuple[str, str]]:
    """Type and name of every resource that the one of this name waits for: there before it, and gone after it."""
    before = {one["urn"]: _comes_after(one) for one in state}
    found: set[str] = set()
    new = {urn for urn in before if urn.endswith(f"::{name}")}
    while new:
        found |= new
        new = set().union(*(before[urn] for urn in new)) - found
    return {(one["type"], one["urn"].rpartition("::")[2]) for one in state if one["urn"] in found}


def _comes_after(one: Mapping[str, Any]) -> set[str]:
    provider = one.get("provider", "").rpartition("::")[0]
    return {*one.get("dependencies", []), *filter(None, (one.get("parent"), provider))}


def _mapped(value: Any, name: Callable[[str], str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _mapped(one, name) for key, one in value.items()}
    if isinstance(value, list):
        return [_mapped(one, name) for one in value]
    return name(value.strip()) if isinstance(value, str) else value


def golden(name: str, lines: Sequence[str]) -> list[str]:
    """The lines of a golden; with MESHVM_WRITE_GOLDENS=1 it becomes what the run found, for you to read the diff."""
    file = GOLDENS / name
    if os.environ.get("MESHVM_WRITE_GOLDENS"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in lines))
    return file.read_text().splitlines()
