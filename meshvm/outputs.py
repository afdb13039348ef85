"""What meshvm needs of Pulumi's Outputs that the SDK has no word for."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
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


def checked(
    component: str, path: str, value: pulumi.Input[str], rule: Callable[[str, str], None]
) -> pulumi.Output[str]:
    """`value` as an Output that fails when the rule does: at once for a plain value, else as soon as it is known."""

    def check(known: str) -> str:
        with reported(component):
            rule(path, known)
        return known

    if isinstance(value, pulumi.Output):
        return value.apply(check)
    return pulumi.Output.from_input(check(cast("str", value)))


def settled(settings: Mapping[str, Setting], inputs: Mapping[str, pulumi.Output[Any]]) -> dict[str, pulumi.Output[str]]:
    """Each setting as an Output of its own, which waits for its own inputs alone."""

    def one(setting: Setting) -> pulumi.Output[str]:
        wanted = [inputs[need] for need in needs(setting)]
        return pulumi.Output.all(*wanted).apply(lambda values: setting(*values))

    return {name: one(setting) for name, setting in settings.items()}


def at_up(given: pulumi.Output[T], ask: Callable[[T], U]) -> pulumi.Output[U]:
    """What `ask` answers at an `up`; in a preview it is not asked, and the answer is unknown."""
    if pulumi.runtime.is_dry_run():
        return given.apply(lambda _: cast("U", pulumi.UNKNOWN))
    return _in_thread(given, ask)


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
