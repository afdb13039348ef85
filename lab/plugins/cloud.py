"""What the stand-ins of the cloud plugins share: types that behave as the original's, calls announced, objects kept.

A resource type is a subclass of `Kind`. Its calls reach the lab's cloud only at `up` and `destroy`: a preview dials
nothing. A type that no `Kind` stands for is refused by name; nothing is echoed back silently.
"""

import hashlib
import os
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

from lab.cloud.client import CloudClient, CloudRefused
from lab.cloud.objects import CloudObject, Objects
from lab.plugins.difference import compare
from lab.plugins.serve import UNKNOWN, Plugin, Refused, has_secret, has_unknown, inputs, plain, redacted, struct

Values = dict[str, Any]
Invoke = Callable[["Account", Values], Values]
_DEFAULTS = "__defaults"  # where the bridge under the original plugins notes which inputs it filled in


class Account:
    """The account that a plugin works in: its configuration, the objects there are, and the way to the lab's cloud.

    :param config: the provider's configuration.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = plain(config)
        run = os.environ.get("MESHVM_LAB")
        if not run:
            raise Refused("MESHVM_LAB is not set: start the lab, and run the engine with the environment it prints.")
        self.objects = _objects(run)

    @property
    def client(self) -> CloudClient:
        """The lab's cloud, where machines are started and every call is written down."""
        where = os.environ.get("MESHVM_CLOUD")
        if not where:
            raise Refused("MESHVM_CLOUD is not set: start the lab, and run the engine with the environment it prints.")
        return CloudClient(Path(where))

    def announce(self, call: str, kind: str, name: str, given: Values, id_: str = "") -> None:
        """Write the call down before it is done. The lab may have been told to fail it."""
        try:
            self.client.call(call, type=kind, name=name, inputs=redacted(given), id=id_)
        except CloudRefused as error:
            raise Refused(f"{call}: {error}") from error


@cache
def _objects(run: str) -> Objects:
    """One for each run, so that what has been read stays read."""
    return Objects(Path(run))


class Kind:
    """One resource type: which calls it makes, what it answers, which inputs replace it."""

    token: ClassVar[str]
    calls: ClassVar[tuple[str, str, str]]  # create, update, delete
    required: ClassVar[tuple[str, ...]] = ()
    replacing: ClassVar[frozenset[str]] = frozenset()
    computed: ClassVar[tuple[str, ...]] = ()  # outputs that a preview does not know
    autonamed: ClassVar[str] = ""  # the property that gets a name of its own when none is given
    defaults: ClassVar[Mapping[str, Any]] = {}
    alone: ClassVar[bool] = True  # whether nothing else may happen in the account meanwhile; not for what takes seconds

    def faults(self, given: Values) -> list[tuple[str, str]]:
        """What is wrong with the inputs: property and reason. Unknown values are `UNKNOWN`."""
        return []

    def replaced_by(self, old: Values, new: Values) -> Collection[str]:
        """The properties of which a change replaces the resource."""
        return self.replacing

    def update_calls(self, changed: Collection[str], given: Values) -> tuple[str, ...]:
        """The calls that an update of these inputs makes; refused when they cannot change as the program says."""
        return (self.calls[1],)

    def create(self, account: Account, name: str, given: Values) -> tuple[str, Values]:
        """Make it: its id and its outputs beyond the inputs."""
        raise NotImplementedError

    def update(self, account: Account, item: CloudObject, given: Values, changed: Collection[str]) -> Values:
        """Change it in place: its outputs beyond the inputs."""
        return {name: value for name, value in item.outputs.items() if name not in given}

    def delete(self, account: Account, item: CloudObject) -> None:
        """Whether it may go, and what goes with it; the object itself is removed by the caller."""

    def exists(self, account: Account, item: CloudObject) -> bool:
        """Whether what the object stands for is still there, e.g. a machine that was ended from outside."""
        return True


class CloudPlugin(Plugin):
    """A plugin of `Kind`s and lookups."""

    def __init__(self, cloud: str, kinds: Collection[Kind], invokes: Mapping[str, Invoke]) -> None:
        super().__init__()
        self._cloud = cloud
        self._kinds = {kind.token: kind for kind in kinds}
        self._invokes = invokes

    def _kind(self, urn: str) -> Kind:
        token = urn.split("::")[2].rpartition("$")[2]
        if token not in self._kinds:
            known = ", ".join(sorted(self._kinds))
            raise Refused(
                f"the stand-in of {self._cloud} does not know the resource type {token}; it knows {known}. "
                f"Put the real plugin on PATH, or add the type to lab/plugins."
            )
        return self._kinds[token]

    def Check(self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext) -> provider_pb2.CheckResponse:
        """Required inputs, the type's own rules, defaults and a name, as the original gives them."""
        kind = self._kind(request.urn)
        given = inputs(request.news)
        seed = request.randomSeed or uuid.uuid4().bytes
        checked = _with_defaults(kind, given, inputs(request.olds), request.urn.rpartition("::")[2], seed)
        faults = [(name, f'Missing required argument "{name}"') for name in kind.required if checked.get(name) is None]
        faults = faults or kind.faults(plain(checked))
        return provider_pb2.CheckResponse(
            inputs=struct(checked),
            failures=[provider_pb2.CheckFailure(property=name, reason=reason) for name, reason in faults],
        )

    def Diff(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        """What changed, and whether it replaces; a name that is given and stays the same is deleted first."""
        kind = self._kind(request.urn)
        old, new = inputs(request.old_inputs), inputs(request.news)
        made_up = new.pop(_DEFAULTS, None) or []
        old.pop(_DEFAULTS, None)
        chosen = bool(kind.autonamed) and kind.autonamed not in made_up
        same_name = chosen and plain(old.get(kind.autonamed)) == plain(new.get(kind.autonamed))
        return compare(old, new, kind.replaced_by(plain(old), plain(new)), delete_first=same_name)

    def Create(self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext) -> provider_pb2.CreateResponse:
        """Announce the call, make the object, keep it. A preview answers with unknowns."""
        kind = self._kind(request.urn)
        given = inputs(request.properties)
        visible = {name: value for name, value in given.items() if name != _DEFAULTS}
        if request.preview:
            unknown = dict.fromkeys(kind.computed, UNKNOWN)
            return provider_pb2.CreateResponse(properties=struct({**unknown, **visible}))
        account = Account(self.config)
        name = request.urn.rpartition("::")[2]
        account.announce(kind.calls[0], kind.token, name, visible)
        with _turn(account, kind):
            id_, outputs = kind.create(account, name, plain(visible))
            _keep(account, CloudObject(id_, kind.token), visible, outputs)
        return provider_pb2.CreateResponse(id=id_, properties=struct({**outputs, **_shown(visible, outputs)}))

    def Read(self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext) -> provider_pb2.ReadResponse:
        """What the cloud has; nothing when it is gone. Inputs changed behind the engine's back are seen."""
        kind = self._kind(request.urn)
        account = Account(self.config)
        item = account.objects.get(request.id)
        if item is None or not kind.exists(account, item):
            return provider_pb2.ReadResponse()
        state, given = inputs(request.properties), inputs(request.inputs)
        found = {name: value for name, value in item.inputs.items() if plain(given.get(name)) != value}
        return provider_pb2.ReadResponse(
            id=request.id,
            properties=struct({**state, **found, **item.outputs}),
            inputs=struct({**given, **found}),
        )

    def Update(self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext) -> provider_pb2.UpdateResponse:
        """Announce the calls of what changed, change the object."""
        kind = self._kind(request.urn)
        old, given, state = inputs(request.old_inputs), inputs(request.news), inputs(request.olds)
        visible = {name: value for name, value in given.items() if name != _DEFAULTS}
        kept = {name: value for name, value in state.items() if name not in old}
        if request.preview:
            return provider_pb2.UpdateResponse(properties=struct({**kept, **visible}))
        account = Account(self.config)
        item = account.objects.get(request.id)
        if item is None:
            raise Refused(f"{request.id} does not exist any more: run `pulumi refresh`.")
        changed = {name for name in {*old, *given} - {_DEFAULTS} if plain(old.get(name)) != plain(given.get(name))}
        for call in kind.update_calls(changed, plain(visible)):
            account.announce(call, kind.token, request.urn.rpartition("::")[2], visible, request.id)
        with _turn(account, kind):
            outputs = kind.update(account, item, plain(visible), changed)
            _keep(account, item, visible, outputs)
        return provider_pb2.UpdateResponse(properties=struct({**kept, **outputs, **_shown(visible, outputs)}))

    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Announce the call, remove the object; one that is gone already is no error."""
        kind = self._kind(request.urn)
        account = Account(self.config)
        given = inputs(request.old_inputs)
        given.pop(_DEFAULTS, None)
        account.announce(kind.calls[2], kind.token, request.urn.rpartition("::")[2], given, request.id)
        with _turn(account, kind):
            item = account.objects.get(request.id)
            if item is not None:
                kind.delete(account, item)
                account.objects.remove(request.id)
        return empty_pb2.Empty()

    def Invoke(self, request: provider_pb2.InvokeRequest, context: grpc.ServicerContext) -> provider_pb2.InvokeResponse:
        """A lookup; nothing is announced."""
        if request.tok not in self._invokes:
            known = ", ".join(sorted(self._invokes))
            raise Refused(
                f"the stand-in of {self._cloud} does not know the function {request.tok}; it knows {known}. "
                f"Put the real plugin on PATH, or add the function to lab/plugins."
            )
        asked = plain(inputs(request.args))
        answer = {**asked, **self._invokes[request.tok](Account(self.config), asked)}
        response = provider_pb2.InvokeResponse()
        getattr(response, "return").CopyFrom(struct(answer))  # a keyword in Python
        return response


@contextmanager
def _turn(account: Account, kind: Kind) -> Iterator[None]:
    with account.objects.exclusive() if kind.alone else nullcontext():
        try:
            yield
        except CloudRefused as error:
            raise Refused(str(error)) from error


def short_hex(seed: bytes | str, length: int) -> str:
    """`length` hex digits that follow from the seed."""
    raw = seed if isinstance(seed, bytes) else seed.encode()
    return hashlib.sha256(raw).hexdigest()[:length]


def _with_defaults(kind: Kind, given: Values, old: Values, name: str, seed: bytes) -> Values:
    """The inputs with what was left out; a name made up before is kept while the resource lives."""
    filled = {key: value for key, value in kind.defaults.items() if given.get(key) is None}
    if kind.autonamed and given.get(kind.autonamed) is None:
        kept = old.get(kind.autonamed) if kind.autonamed in (old.get(_DEFAULTS) or []) else None
        filled[kind.autonamed] = kept or f"{name}-{short_hex(seed, 7)}"
    return {**given, **filled, **({_DEFAULTS: sorted(filled)} if filled else {})}


def _shown(visible: Values, outputs: Values) -> Values:
    """The inputs as outputs; where the cloud answered in its own form (and nothing is secret), the cloud's form."""
    return {key: value for key, value in visible.items() if key not in outputs or has_secret(value)}


def _keep(account: Account, item: CloudObject, given: Values, outputs: Values) -> None:
    open_inputs = {k: v for k, v in given.items() if not has_secret(v) and not has_unknown(v)}
    hidden = set(given) - set(open_inputs)
    shown = {key: value for key, value in outputs.items() if key not in hidden}
    account.objects.put(CloudObject(item.id, item.kind, open_inputs, shown))
