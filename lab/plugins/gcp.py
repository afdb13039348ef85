"""A stand-in of the `gcp` plugin: the resource types and functions that meshvm and its examples use."""

from typing import Final

from lab.plugins.cloud import CloudPlugin
from lab.plugins.gcp_instances import Instance
from lab.plugins.gcp_lookups import INVOKES
from lab.plugins.gcp_network import Address, Firewall, Network, ServiceAccount, Subnetwork
from lab.plugins.serve import serve

VERSION: Final = "10.2.0"


def plugin() -> CloudPlugin:
    """The plugin, not yet serving."""
    kinds = (Network(), Subnetwork(), Firewall(), Address(), ServiceAccount(), Instance())
    return CloudPlugin("gcp", kinds, INVOKES)


def main() -> None:
    """Serve it."""
    serve(plugin(), "gcp", VERSION)


if __name__ == "__main__":
    main()
