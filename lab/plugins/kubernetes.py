"""The stand-in of the provider plugin `kubernetes`: objects at a real API server, as Pulumi resources."""

import contextlib
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

from lab.plugins import kubernetes_objects as objects
from lab.plugins.kubernetes_api import Api, ApiRefused, NoMatch, Unreachable
from lab.plugins.kubernetes_await import NotReady, check_read, limit, until_ready
from lab.plugins.kubernetes_check import checked, compared
from lab.plugins.kubernetes_config import Settings, config_difference
from lab.plugins.kubernetes_report import Engine, half_done
from lab.plugins.kubernetes_write import Write, create, delete, namespace_missing, refusal, relinquish, update
from lab.plugins.serve import Plugin, Refused, has_unknown, inputs, serve, struct

_VERSION: Final = "4.34.2"
_GONE: Final = (
    "If the cluster was deleted, you can remove this resource from Pulumi state by rerunning the operation with the "
    'PULUMI_K8S_DELETE_UNREACHABLE environment variable set to "true"'
)


class Kubernetes(Plugin):
    """Create by POST, update by server-side apply, read and delete; Patch resources; waiting."""

    def __init__(self) -> None:
        super().__init__()
        self._settings: Settings | None = None
        self._engine = Engine()

    @property
    def settings(self) -> Settings:
        """The provider's configuration."""
        if self._settings is None:
            raise Refused("the provider has not been configured")
        return self._settings

    def close(self) -> None:
        """Close the connections to the API server: a test's plugin shares its process."""
        if self._settings:
            self._settings.close()

    def Handshake(
        self, request: provider_pb2.ProviderHandshakeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ProviderHandshakeResponse:
        """Remember where the engine takes messages."""
        self._engine = Engine(request.engine_address)
        return super().Handshake(request, context)

    def DiffConfig(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        """Another cluster replaces the provider and everything of it."""
        return config_difference(inputs(request.olds), inputs(request.news))

    def Configure(
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        """Find the cluster; that there is none is an error only for what needs it."""
        self._settings = Settings(request.variables)
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """End every wait."""
        with contextlib.suppress(Unreachable, Refused):  # one that was never configured waits for nothing
            self.settings.api.cancel()
        return super().Cancel(request, context)

    def Check(self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext) -> provider_pb2.CheckResponse:
        """The inputs with a name and a namespace, and without what only the API server writes."""
        settings = self.settings
        if settings.unreachable and settings.on("skipUpdateUnreachable"):
            told = "Cluster is unreachable but skipUpdateUnreachable flag is set to true, skipping..."
            self._engine.tell(request.urn, told)
            return provider_pb2.CheckResponse(inputs=request.olds)
        given, old = inputs(request.news), objects.dashed(inputs(request.olds))
        item = checked(settings, request.urn, objects.dashed(given), old)
        return provider_pb2.CheckResponse(inputs=struct(objects.sealed(item, given)))

    def Diff(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        """The program's object against the live one of the state, as far as the program had written it."""
        new = objects.dashed(inputs(request.news))
        return compared(self.settings, request.urn, inputs(request.olds), new, request.ignoreChanges)

    def Create(self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext) -> provider_pb2.CreateResponse:
        """A new object, ready; in a preview what the API server would make, if it can be asked."""
        urn, given = request.urn, inputs(request.properties)
        item = objects.dashed(given)
        if request.preview and not self._previews(urn, item):
            return provider_pb2.CreateResponse(properties=request.properties)
        write = self._write(urn, item, self._manager({}, item), request.preview)
        api = self._reached()
        version, asis = str(item["apiVersion"]), provider_pb2.CreateResponse(properties=request.properties)
        try:
            live = create(api, write, lambda text: self._engine.tell(urn, text, status=True))
        except NoMatch as error:
            kind = objects.kind_of_urn(urn)
            raise Refused(
                f'creation of resource "{urn}" with kind {kind.version}/{kind.kind} failed because the Kubernetes API '
                "server reported that the apiVersion for this resource does not exist. "
                f"Verify that any required CRDs have been created: {error}"
            ) from None
        except ApiRefused as error:
            if request.preview and (error.reason in {"Forbidden", "AlreadyExists"} or namespace_missing(error)):
                return asis
            told = refusal(error)
            raise Refused(
                f'resource "{urn}" was not successfully created by the Kubernetes API server: {told}'
            ) from None
        if request.preview:
            live.pop("status", None)
            return provider_pb2.CreateResponse(
                properties=struct(objects.state_of(item, live, given, version, write.manager))
            )
        try:
            live = until_ready(api, item, live, limit(item, request.timeout))
        except ValueError as error:  # as the original: the object is there, and no state knows of it
            raise Refused(
                f'resource "{urn}" was not successfully created by the Kubernetes API server: {error}'
            ) from None
        except NotReady as error:
            state = objects.state_of(item, error.live, given, version, write.manager)
            half_done(
                context,
                objects.identity(error.live),
                f'resource "{urn}" was successfully created, but the Kubernetes API server reported that it failed to '
                f"fully initialize or become live: {error}",
                error.reasons,
                state,
            )
        state = objects.state_of(item, live, given, version, write.manager)
        return provider_pb2.CreateResponse(id=objects.identity(live), properties=struct(state))

    def Read(self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext) -> provider_pb2.ReadResponse:
        """The object as it is now; nothing when it, or its kind, is gone."""
        urn = request.urn
        settings, given, before = self.settings, inputs(request.inputs), inputs(request.properties)
        if settings.unreachable:
            return self._unread(request)
        namespace, _, name = request.id.rpartition("/")
        item = objects.normalised(objects.dashed(given))
        fresh = not item.get("kind")
        if fresh:
            _, live = objects.parted(before)
            kind = objects.kind_of(live) if live.get("kind") else objects.kind_of_urn(urn)
            fresh = not live.get("kind")
            item = {"apiVersion": kind.version, "kind": kind.kind, "metadata": {"name": name, "namespace": namespace}}
        try:
            live = settings.api.get(objects.kind_of(item), objects.namespace_of(item), name)
        except NoMatch:
            return provider_pb2.ReadResponse()
        except ApiRefused as error:
            if error.code == 404:
                return provider_pb2.ReadResponse()
            raise Refused(str(error)) from None
        whole = fresh and objects.kind_of(live).builtin  # of a custom kind the original knows no inputs
        shape = objects.as_inputs(live) if whole else objects.pruned(live, item)
        version = str(before.get(objects.INITIAL_VERSION) or item["apiVersion"])
        state = objects.state_of(shape, live, given, version, self._manager(before, item))
        answer = provider_pb2.ReadResponse(
            id=request.id, properties=struct(state), inputs=struct(objects.sealed(shape, given))
        )
        try:
            if not fresh:
                check_read(settings.api, item, live)
        except NotReady as error:
            half_done(context, request.id, str(error), error.reasons, state, objects.sealed(shape, given))
        return answer

    def _unread(self, request: provider_pb2.ReadRequest) -> provider_pb2.ReadResponse:
        self._engine.tell(request.urn, f"configured Kubernetes cluster is unreachable: {self.settings.unreachable}")
        if self.settings.on("deleteUnreachable"):
            return provider_pb2.ReadResponse()
        if self.settings.on("skipUpdateUnreachable"):
            return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)
        raise Refused(f"failed to read resource state due to unreachable cluster. {_GONE}")

    def Update(self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext) -> provider_pb2.UpdateResponse:
        """The changed object, ready; in a preview what the API server would make of it."""
        urn, given, before = request.urn, inputs(request.news), inputs(request.olds)
        item = objects.normalised(objects.dashed(given))
        if request.preview and (has_unknown(item) or not self._served(item)):
            return provider_pb2.UpdateResponse(properties=request.news)
        api = self._reached()
        _, old = objects.parted(before)
        write = self._write(urn, item, self._manager(before, item), request.preview)
        version = str(before.get(objects.INITIAL_VERSION) or item["apiVersion"])
        try:
            live, written = update(api, write, old, request.ignoreChanges)
            if not request.preview:
                live = until_ready(api, item, live, limit(item, request.timeout))
        except NoMatch as error:
            raise Refused(
                f'update of resource "{urn}" failed because the Kubernetes API server reported that the apiVersion for '
                f"this resource does not exist. Verify that any required CRDs have been created: {error}"
            ) from None
        except (ApiRefused, NotReady, ValueError) as error:
            if request.preview and isinstance(error, ApiRefused) and error.reason == "Forbidden":
                return provider_pb2.UpdateResponse(properties=request.news)
            now = self._live_after(api, urn, old, error)
            state = objects.state_of(item, now, given, version, write.manager)
            name = objects.identity(now)
            told = (
                f'the Kubernetes API server reported that "{name}" failed to fully initialize or become live: {error}'
            )
            half_done(context, name, told, getattr(error, "reasons", []), state)
        former = str(before.get(objects.MANAGER) or write.manager)
        if write.apply and not request.preview and former != write.manager:
            relinquish(api, live, former)
        state = objects.state_of(written, live, given, version, write.manager)
        return provider_pb2.UpdateResponse(properties=struct(state))

    def _live_after(self, api: Api, urn: str, old: Mapping[str, Any], error: Exception) -> dict[str, Any]:
        try:
            return api.get(objects.kind_of(old), objects.namespace_of(old), objects.name_of(old))
        except (ApiRefused, NoMatch) as missing:
            raise Refused(
                f'update of resource "{urn}" failed: {error}\nunable to get cluster state: {missing}'
            ) from None

    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Remove the object and wait until it is gone; a Patch gives its fields up."""
        before = inputs(request.properties)
        written, live = objects.parted(before)
        if self.settings.unreachable:
            self._engine.tell(request.urn, f"configured Kubernetes cluster is unreachable: {self.settings.unreachable}")
            if self.settings.on("deleteUnreachable"):
                return empty_pb2.Empty()
            raise Refused(f"configured Kubernetes cluster is unreachable. {_GONE}")
        api, manager = self._reached(), self._manager(before, written)
        try:
            if self.settings.server_side and objects.is_patch(request.urn, written):
                relinquish(api, live, manager)
            else:
                delete(api, written, live, request.id.rpartition("/")[2], limit(written, request.timeout))
        except NoMatch:
            return empty_pb2.Empty()
        except ApiRefused as error:
            self._undeleted(request.urn, live, error)
        except NotReady as error:
            names = ", ".join(objects.metadata(error.live).get("finalizers") or [])
            self._engine.tell(request.urn, f"finalizers might be preventing deletion ({names})")
            version = str(before.get(objects.INITIAL_VERSION, ""))
            state = objects.state_of(live, error.live, before, version, manager)
            half_done(context, objects.identity(error.live), str(error), error.reasons, state)
        return empty_pb2.Empty()

    def _undeleted(self, urn: str, live: Mapping[str, Any], error: ApiRefused) -> NoReturn:
        missing = [cause for cause in error.causes if cause.get("reason") == "FieldValueRequired"]
        if objects.is_patch(urn, live) and error.reason == "Invalid" and missing:
            raise Refused(
                "this Patch resource is currently managing a required field, so it can't be deleted directly. Either "
                "set the `retainOnDelete` resource option, or transfer ownership of the field before deleting: "
                f"{missing[0].get('field')}"
            ) from None
        raise Refused(str(error)) from None

    def _reached(self) -> Api:
        try:
            return self.settings.api
        except Unreachable as error:
            raise Refused(str(error)) from None

    def _served(self, item: Mapping[str, Any]) -> bool:
        with contextlib.suppress(Unreachable, NoMatch, ApiRefused):
            return bool(self.settings.api.place(objects.kind_of(item)))
        return False

    def _previews(self, urn: str, item: Mapping[str, Any]) -> bool:
        plain = not has_unknown(item) and not objects.is_patch(urn, item)
        return plain and self.settings.server_side and self._served(item)

    def _manager(self, state: Mapping[str, Any], item: Mapping[str, Any]) -> str:
        if not self.settings.server_side:
            return objects.CREATOR
        chosen = objects.annotation(item, "pulumi.com/patchFieldManager") or state.get(objects.MANAGER)
        return str(chosen or objects.generated(f"{objects.CREATOR}-"))

    def _write(self, urn: str, item: Mapping[str, Any], manager: str, preview: bool) -> Write:
        settings = self.settings
        force, upsert = settings.on("enablePatchForce"), settings.on("upsertExistingObjects")
        return Write(urn, item, manager, preview, force, settings.server_side, upsert)


def main() -> None:
    """Serve the plugin."""
    serve(Kubernetes(), "kubernetes", _VERSION)


if __name__ == "__main__":
    main()
