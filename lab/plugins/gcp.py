"""A stand-in of the `gcp` plugin: the resource types and functions that meshvm and its examples use."""

from typing import Final

import grpc
from pulumi.runtime.proto import provider_pb2

from lab.plugins.cloud import CloudPlugin
from lab.plugins.gcp_instances import Instance, foreseen
from lab.plugins.gcp_lookups import INVOKES
from lab.plugins.gcp_network import Address, Firewall, Network, NetworkPeering, ServiceAccount, Subnetwork
from lab.plugins.serve import inputs, serve, struct

VERSION: Final = "10.2.0"


class GcpPlugin(CloudPlugin):
    """The plugin. A preview says of an instance's interfaces what Google will add to them."""

    def Create(self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext) -> provider_pb2.CreateResponse:
        """As any resource; the addresses of a new instance are unknown in a preview."""
        response = super().Create(request, context)
        if request.preview and isinstance(self._kind(request.urn), Instance):
            response.properties.CopyFrom(struct(foreseen(inputs(response.properties), {})))
        return response

    def Update(self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext) -> provider_pb2.UpdateResponse:
        """As any resource; an instance that stays keeps its addresses in a preview."""
        response = super().Update(request, context)
        if request.preview and isinstance(self._kind(request.urn), Instance):
            response.properties.CopyFrom(struct(foreseen(inputs(response.properties), inputs(request.olds))))
        return response


def plugin() -> CloudPlugin:
    """The plugin, not yet serving."""
    kinds = (Network(), Subnetwork(), NetworkPeering(), Firewall(), Address(), ServiceAccount(), Instance())
    return GcpPlugin("gcp", kinds, INVOKES)


def main() -> None:
    """Serve it."""
    serve(plugin(), "gcp", VERSION)


if __name__ == "__main__":
    main()
