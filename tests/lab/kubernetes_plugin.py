"""How a test speaks to the Kubernetes stand-in: as the engine does, without a program."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import grpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2

from lab.plugins.kubernetes import Kubernetes
from lab.plugins.serve import inputs, start, struct


class Failed(Exception):
    """The plugin's error: its text, and what it leaves in the state.

    :param reasons: why the object is not ready; none when there is no object.
    :param state: of the object that is there all the same.
    """

    def __init__(self, error: grpc.RpcError) -> None:
        call = cast("grpc.Call", error)
        super().__init__(call.details())
        detail = provider_pb2.ErrorResourceInitFailed()
        for key, value in cast("Iterable[tuple[str, bytes]]", call.trailing_metadata()):
            if key == "grpc-status-details-bin":
                status_pb2.Status.FromString(value).details[0].Unpack(detail)
        self.id = detail.id
        self.reasons = list(detail.reasons)
        self.state = inputs(detail.properties)


@dataclass
class Resource:
    """A resource in the state of a run."""

    urn: str
    id: str
    inputs: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)


class Run:
    """One run of an engine with one provider.

    :param config: the provider's configuration.
    """

    def __init__(self, **config: str) -> None:
        self._plugin = Kubernetes()
        self._server, port = start(self._plugin, "kubernetes", "0")
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._stub = provider_pb2_grpc.ResourceProviderStub(self._channel)
        variables = {f"kubernetes:config:{key}": value for key, value in config.items()}
        self._ask("Configure", provider_pb2.ConfigureRequest(variables=variables, acceptSecrets=True))

    def end(self) -> None:
        """End the plugin."""
        self._channel.close()
        self._server.stop(None).wait()
        self._plugin.close()

    def _ask(self, method: str, request: Any) -> Any:
        try:
            return getattr(self._stub, method)(request, timeout=90)
        except grpc.RpcError as error:
            raise Failed(error) from None

    def check(self, urn: str, item: Mapping[str, Any], old: Resource | None = None) -> dict[str, Any]:
        """The inputs as the plugin completes them."""
        request = provider_pb2.CheckRequest(urn=urn, news=struct(item), olds=struct(old.inputs if old else {}))
        return inputs(self._ask("Check", request).inputs)

    def create(self, urn: str, item: Mapping[str, Any], *, preview: bool = False) -> Resource:
        """Check and create."""
        checked = self.check(urn, item)
        made = self._ask("Create", provider_pb2.CreateRequest(urn=urn, properties=struct(checked), preview=preview))
        return Resource(urn, made.id, checked, inputs(made.properties))

    def diff(self, old: Resource, item: Mapping[str, Any]) -> provider_pb2.DiffResponse:
        """Check and compare."""
        news = struct(self.check(old.urn, item, old))
        request = provider_pb2.DiffRequest(
            id=old.id, urn=old.urn, olds=struct(old.state), news=news, old_inputs=struct(old.inputs)
        )
        answer: provider_pb2.DiffResponse = self._ask("Diff", request)
        return answer

    def update(self, old: Resource, item: Mapping[str, Any], *, preview: bool = False) -> Resource:
        """Check and update."""
        checked = self.check(old.urn, item, old)
        request = provider_pb2.UpdateRequest(
            id=old.id, urn=old.urn, olds=struct(old.state), news=struct(checked), preview=preview
        )
        return Resource(old.urn, old.id, checked, inputs(self._ask("Update", request).properties))

    def read(self, urn: str, name: str, old: Resource | None = None) -> Resource | None:
        """The object as it is; None when it is gone."""
        known = old or Resource(urn, name)
        request = provider_pb2.ReadRequest(
            id=name, urn=urn, properties=struct(known.state), inputs=struct(known.inputs)
        )
        found = self._ask("Read", request)
        return Resource(urn, found.id, inputs(found.inputs), inputs(found.properties)) if found.id else None

    def delete(self, old: Resource) -> None:
        """Delete."""
        self._ask("Delete", provider_pb2.DeleteRequest(id=old.id, urn=old.urn, properties=struct(old.state)))
