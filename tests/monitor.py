"""What does a component plugin register? An engine as small as the plugin's SDK lets it be."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import engine_pb2_grpc, resource_pb2, resource_pb2_grpc

_FEATURES = {"secrets", "resourceReferences", "outputValues", "aliasSpecs", "deletedWith", "replaceWith"}


class Monitor(resource_pb2_grpc.ResourceMonitorServicer, engine_pb2_grpc.EngineServicer):
    """Takes every registration; outputs are the inputs, as in a preview."""

    def __init__(self) -> None:
        self.registered: dict[str, resource_pb2.RegisterResourceRequest] = {}
        self._server = grpc.server(ThreadPoolExecutor(16))
        resource_pb2_grpc.add_ResourceMonitorServicer_to_server(self, self._server)
        engine_pb2_grpc.add_EngineServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def stop(self) -> None:
        """End the server."""
        self._server.stop(None).wait()

    def inputs(self, name: str) -> dict[str, Any]:
        """The inputs of a registered resource, as they were on the wire."""
        return json_format.MessageToDict(self.registered[name].object)

    def SupportsFeature(self, request: Any, context: Any) -> Any:  # noqa: N802 the protocol's own
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in _FEATURES)

    def GetDeploymentInfo(self, request: Any, context: Any) -> Any:  # noqa: N802 the protocol's own
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "older engines have none")

    def Log(self, request: Any, context: Any) -> Any:  # noqa: N802 the protocol's own
        return empty_pb2.Empty()

    def RegisterResource(self, request: Any, context: Any) -> Any:  # noqa: N802 the protocol's own
        self.registered[request.name] = request
        urn = f"urn:pulumi:stack::project::{request.type}::{request.name}"
        return resource_pb2.RegisterResourceResponse(urn=urn, object=request.object)

    def RegisterResourceOutputs(self, request: Any, context: Any) -> Any:  # noqa: N802 the protocol's own
        return empty_pb2.Empty()
