"""The recorder that tests of meshvm and of its users' stacks import: what a program registers, without an engine.

    recording = record(program)                     # as an `up` registers it
    recording = record(program, preview=True)       # as a preview does; what a machine or cluster decides is unknown
    recording["ratings-join"].depends_on            # names of resources

No cluster is asked: `FakeCluster` answers in its place. It shows the shape of the graph; what engine and providers do
with it is for a real engine to show.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from google.protobuf import json_format
from pulumi.runtime import mocks as pulumi_mocks

from meshvm import cluster
from meshvm.cluster.fake import ROOT_CERTIFICATE, FakeCluster

__all__ = ["ROOT_CERTIFICATE", "UNKNOWN", "FakeCluster", "Recorded", "Recording", "Unknown", "answering", "record"]

_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"
_UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


class Unknown:
    """Stands in recorded inputs for a value that is not known in a preview."""

    def __repr__(self) -> str:
        """How a failed assertion shows it."""
        return "<unknown>"


UNKNOWN: Final = Unknown()


@dataclass
class _Clock:
    """Waiting for a fake takes no time."""

    fake: FakeCluster

    def monotonic(self) -> float:
        return self.fake.waited

    def sleep(self, seconds: float) -> None:
        self.fake.waited += seconds


@dataclass
class Recorded:
    """One resource as the program registered it.

    :param inputs: its inputs, secrets in clear, unknown values as `UNKNOWN`.
    :param secrets: names of the inputs that are secret, wholly or in part.
    :param depends_on: names of the resources that it waits for.
    :param by_property: names of the resources that each input comes from.
    :param options: the request's other fields: deletedWith, replaceWith, ignoreChanges, deleteBeforeReplace, ...
    """

    type: str
    name: str
    parent: str
    inputs: dict[str, Any]
    secrets: set[str]
    depends_on: set[str]
    by_property: dict[str, set[str]]
    options: dict[str, Any]


class Recording(dict[str, Recorded]):
    """The registered resources by name; a name that two types share is there as `name (type)` too.

    `outputs` holds what each component registered as its outputs, by its name.
    """

    def __init__(self) -> None:
        """An empty recording."""
        super().__init__()
        self.outputs: dict[str, dict[str, Any]] = {}

    def of_type(self, type_: str) -> list[Recorded]:
        """All resources of one type."""
        return [one for one in self.values() if one.type == type_]


# What a Command prints unless the test says otherwise.
_PRINTED: Final = {kind: {"stdout": "", "stderr": ""} for kind in ("command:remote:Command", "command:local:Command")}


class _Mocks(pulumi_mocks.Mocks):
    """Outputs are the inputs and what the user gave; ids are unknown in a preview."""

    def __init__(self, outputs: Mapping[str, Mapping[str, Any]], *, preview: bool) -> None:
        self._outputs = outputs
        self._preview = preview

    def new_resource(self, args: pulumi_mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        known = {} if self._preview else {**_PRINTED.get(args.typ, {}), **self._outputs.get(args.name, {})}
        state = {**args.inputs, **known}
        return ("" if self._preview else f"{args.name}-id"), state

    def call(self, args: pulumi_mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        return dict(args.args), None


class _Recorder(pulumi_mocks.MockMonitor):
    def __init__(self, mocks: _Mocks) -> None:
        super().__init__(mocks)
        self.recording = Recording()

    def RegisterResource(self, request: Any) -> Any:  # noqa: ANN401, N802 the protocol's own
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        plain, secrets = {}, set()
        for key, value in json_format.MessageToDict(request.object).items():
            plain[key], secret = _plain(value)
            if secret:
                secrets.add(key)
        recorded = Recorded(
            type=request.type,
            name=request.name,
            parent=_name(request.parent),
            inputs=plain,
            secrets=secrets,
            depends_on={_name(urn) for urn in request.dependencies},
            by_property={key: {_name(urn) for urn in one.urns} for key, one in request.propertyDependencies.items()},
            options={
                "additional_secret_outputs": list(request.additionalSecretOutputs),
                "aliases": list(request.aliases),
                "delete_before_replace": request.deleteBeforeReplace,
                "deleted_with": _name(request.deletedWith),
                "ignore_changes": list(request.ignoreChanges),
                "protect": request.protect,
                "replace_on_changes": list(request.replaceOnChanges),
                "replace_with": [_name(urn) for urn in request.replace_with],
            },
        )
        key = request.name if request.name not in self.recording else f"{request.name} ({request.type})"
        self.recording[key] = recorded
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: ANN401, N802 the protocol's own
        outputs = json_format.MessageToDict(request.outputs)
        self.recording.outputs[_name(request.urn)] = {key: _plain(value)[0] for key, value in outputs.items()}
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]


def record(
    program: Callable[[], Any],
    *,
    preview: bool = False,
    cluster_answers: FakeCluster | None = None,
    outputs: Mapping[str, Mapping[str, Any]] | None = None,
) -> Recording:
    """Run `program` and return what it registered.

    :param program: registers resources; may return an Output to be waited for.
    :param preview: as in a preview: ids and outputs that only an `up` knows are unknown.
    :param cluster_answers: what the cluster answers; default: a small mesh.
    :param outputs: outputs of resources by name, as their providers would return them at an `up`.
    """
    recorder = _Recorder(_Mocks(outputs or {}, preview=preview))
    pulumi.runtime.set_mocks(recorder.mocks, preview=preview, monitor=recorder)
    with answering(cluster_answers or FakeCluster()):
        pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]
    return recorder.recording


@contextmanager
def answering(fake: FakeCluster) -> Iterator[FakeCluster]:
    """While this lasts, meshvm asks `fake` and no API server."""
    module: Any = cluster
    real = module.connect, module.time
    module.connect, module.time = (lambda kubeconfig, context: fake), _Clock(fake)  # noqa: ARG005 the real one's
    try:
        yield fake
    finally:
        module.connect, module.time = real


def _plain(value: Any) -> tuple[Any, bool]:  # noqa: ANN401 a tree of protobuf's plain values
    if value == _UNKNOWN:
        return UNKNOWN, False
    if isinstance(value, dict):
        if value.get(_SIGNATURE) == _SECRET:
            return _plain(value["value"])[0], True
        parts = {key: _plain(one) for key, one in value.items()}
        return {key: one for key, (one, _) in parts.items()}, any(secret for _, secret in parts.values())
    if isinstance(value, list):
        listed = [_plain(one) for one in value]
        return [one for one, _ in listed], any(secret for _, secret in listed)
    return value, False


def _name(urn: str) -> str:
    return urn.rsplit("::", 1)[-1]
