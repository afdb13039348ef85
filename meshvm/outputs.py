"""What meshvm needs of Pulumi's Outputs that the SDK has no word for."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import pulumi

from meshvm.errors import ArgumentError, ClusterError, MeshvmError
from meshvm.istio.settings import Setting, needs

T = TypeVar("T")
U = TypeVar("U")


class PropertyError(pulumi.RunError, pulumi.InputPropertyError):
    """An error of meshvm's as Pulumi shows it: a sentence without a traceback, and the property in every language."""

    def __init__(self, component: str, error: MeshvmError) -> None:
        path = error.path if isinstance(error, ArgumentError) else ""
        reason = error.reason if isinstance(error, ArgumentError) else str(error)
        pulumi.InputPropertyError.__init__(self, path, reason)
        self._text = f"{component}: {error}"

    def __str__(self) -> str:
        """The whole sentence."""
        return self._text

    @property
    def __traceback__(self) -> None:
        """None: the SDK's provider host would print it after the sentence, to a user of another language."""
        return

    @__traceback__.setter
    def __traceback__(self, _: object) -> None:
        """Python sets one whenever an error passes a future."""


@contextmanager
def reported(component: str) -> Iterator[None]:
    """Turn errors of meshvm's into what Pulumi shows without a traceback."""
    try:
        yield
    except MeshvmError as error:
        raise PropertyError(component, error) from None


def checked(component: str, path: str, value: pulumi.Input[str], rule: Callable[[str, str], None]) -> pulumi.Input[str]:
    """`value`, looked at by the rule: at once when it is plain, else as an Output that fails when it is known."""

    def check(known: str) -> str:
        with reported(component):
            rule(path, known)
        return known

    return derived(check, value)


def derived(function: Callable[..., T], *inputs: Any) -> pulumi.Input[T]:  # noqa: ANN401 inputs may be of any type
    """What `function` makes of the inputs: at once when all of them are plain, else an Output of it.

    A program of a thousand machines whose values are mostly plain is not to pay for tens of thousands of Outputs.
    """
    waiting: list[pulumi.Output[Any]] = []
    for one in inputs:
        _find(one, waiting)
    if not waiting:
        return function(*inputs)

    def of(known: Sequence[Any]) -> T:
        values = iter(known)
        return function(*(_filled(one, values) for one in inputs))

    # Of one, without a list of it: most settings read the mesh's facts alone.
    return gathered(waiting).apply(of) if len(waiting) > 1 else waiting[0].apply(lambda known: of([known]))


def _find(value: object, waiting: list[pulumi.Output[Any]]) -> None:
    """Add the Outputs in a value, in order. `Output.from_input` of a map would make one of each key and each value."""
    # Strings first: they are most of it, and whether something is a Mapping takes ten times as long to find out.
    if isinstance(value, str):
        return
    if isinstance(value, (pulumi.Output, Awaitable)):
        waiting.append(value if isinstance(value, pulumi.Output) else pulumi.Output.from_input(value))
    elif isinstance(value, Mapping):
        for one in value.values():
            _find(one, waiting)
    elif isinstance(value, (list, tuple)):
        for one in value:
            _find(one, waiting)


def _filled(value: Any, known: Iterator[Any]) -> Any:  # noqa: ANN401 values of any type
    """A value with what its Outputs turned out to be, in order."""
    if isinstance(value, str):
        return value
    if isinstance(value, (pulumi.Output, Awaitable)):
        return next(known)
    if is_plain(value):
        return value
    if isinstance(value, Mapping):
        return {key: _filled(one, known) for key, one in value.items()}
    return [_filled(one, known) for one in value]


class _Whole:
    """A value that the SDK takes as it is. Into a map it would look: `Output.all` makes an Output of each key and each
    value, which for the mesh's facts is forty of them for each setting that reads one."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


def gathered(values: Sequence[Any]) -> pulumi.Output[list[Any]]:
    """Several values as one Output that is known when all of them are. What is in an Output is taken as it is."""
    outputs = [one if isinstance(one, pulumi.Output) else pulumi.Output.from_input(one) for one in values]
    whole = pulumi.Output.all(*(one.apply(_Whole) for one in outputs))
    return whole.apply(lambda known: [one.value for one in known])


def is_plain(value: object) -> bool:
    """Whether nothing in `value` has to be waited for."""
    # Strings first: they are most of it, and whether something is a Mapping takes ten times as long to find out.
    if isinstance(value, str):
        return True
    if isinstance(value, Mapping):
        return all(is_plain(one) for one in value.values())
    if isinstance(value, (list, tuple)):
        return all(is_plain(one) for one in value)
    return not isinstance(value, (pulumi.Output, Awaitable))


def settled(settings: Mapping[str, Setting], inputs: Mapping[str, Any]) -> dict[str, pulumi.Input[str]]:
    """Each setting by itself: it waits for its own inputs alone."""
    waits = {name for name, one in inputs.items() if not is_plain(one)}

    def one(setting: Setting) -> pulumi.Input[str]:
        wanted = needs(setting)
        values = [inputs[need] for need in wanted]
        if len(values) == 1 and isinstance(values[0], pulumi.Output):
            return values[0].apply(setting)
        return derived(setting, *values) if waits.intersection(wanted) else setting(*values)

    return {name: one(setting) for name, setting in settings.items()}


def at_up(given: Callable[[], pulumi.Output[T]], ask: Callable[[T], U]) -> pulumi.Output[U]:
    """What `ask` answers at an `up`; in a preview it is not asked, and the answer is unknown.

    :param given: makes what is asked with; not called in a preview, which has nothing to wait for.
    """
    if pulumi.runtime.is_dry_run():
        return pulumi.Output.from_input(cast("U", pulumi.UNKNOWN))
    return _in_thread(given(), ask)


def asked(
    component: str, given: pulumi.Output[T], ask: Callable[[T], U], unreached: object = pulumi.UNKNOWN
) -> pulumi.Output[U]:
    """What `ask` finds out of the cluster, in a preview too: where no cluster is in reach, the preview goes on with
    `unreached`, and an `up` fails."""

    def answer(value: T) -> U:
        with reported(component):
            try:
                return ask(value)
            except ClusterError as error:
                if error.unreachable and pulumi.runtime.is_dry_run():
                    return cast("U", unreached)
                raise

    return _in_thread(given, answer)


def _in_thread(given: pulumi.Output[T], ask: Callable[[T], U]) -> pulumi.Output[U]:
    """What `ask` answers, in a thread of its own, because whoever is asked may take long."""

    async def answer(value: T) -> U:
        return await asyncio.to_thread(ask, value)

    return given.apply(answer)


def detached(output: pulumi.Output[T]) -> pulumi.Output[T]:
    """The value without the resources that it comes from, for an `up` alone.

    A resource that is deleted before it is replaced takes along whatever has an input from it that forces a
    replacement; one that is merely after it (`depends_on`) stays.
    """

    async def value() -> T:
        return cast("T", await output.future())

    return cast("pulumi.Output[T]", pulumi.Output.from_input(asyncio.ensure_future(value())))


def credentials(args: Mapping[str, Any]) -> list[pulumi.Output[Any]]:
    """Kubeconfig and context, to ask the cluster with: its answers are no secrets because these are."""
    given = (args.get("kubeconfig"), args.get("context"))
    return [pulumi.Output.unsecret(pulumi.Output.from_input(one)) for one in given]


class Owner:
    """The one custom resource that an Output comes from, for options that take a resource.

    The SDK reads nothing but its `urn`. A plain value has no owner and a text put together of several has none either:
    then the URN is empty, and the option has no effect.
    """

    def __init__(self, output: pulumi.Output[Any]) -> None:
        async def find() -> str | None:
            resources = [one for one in await output.resources() if isinstance(one, pulumi.CustomResource)]
            return await resources[0].urn.future() if len(resources) == 1 else None

        self.urn: pulumi.Output[str | None] = pulumi.Output.from_input(asyncio.ensure_future(find()))


def owner(output: pulumi.Output[Any]) -> pulumi.Resource:
    """The owner of an Output in the place of a resource."""
    return cast("pulumi.Resource", Owner(output))
