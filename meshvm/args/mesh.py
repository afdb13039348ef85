"""The cluster's side: the gateway that VMs come in by, and what several VMs share."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi

from meshvm.args.enums import Flavor, GatewayMode
from meshvm.args.firewall import SharedRulesArgs
from meshvm.args.workload import PortArgs, ProbeArgs


class CreateGatewayArgs(TypedDict):
    """The east-west gateway that meshvm makes; needs Istio's injection webhook in the cluster."""

    namespace: NotRequired[str]
    """Namespace of the gateway. It must exist. Default: `istio-system`."""
    name: NotRequired[str]
    """Name of its Deployment and Service. Default: `istio-eastwestgateway`."""
    istio_namespace: NotRequired[str]
    """Namespace of istiod. Default: `istio-system`."""
    revisions: NotRequired[Sequence[str]]
    """Revisions of istiod that VMs reach by this gateway, each by its own name; the first one injects the gateway.
    Default: the one without a name alone."""
    network: NotRequired[str]
    """Network of the cluster's pods, when VMs are in another one: opens port 15443 for services between networks.
    Default: none, only istiod is exposed."""
    min_replicas: NotRequired[int]
    """Least number of replicas. Default: 2, so that one may go while VMs stay connected."""
    max_replicas: NotRequired[int]
    """Greatest number of replicas, by 80 % of the requested processor time. Default: 5."""
    service_annotations: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Annotations of the Service: what the cloud's load balancer reads. Default: none."""
    source_ranges: NotRequired[Sequence[str]]
    """Address ranges from which the load balancer takes connections. Default: whatever the cloud's default is."""


class VmGatewayArgs(TypedDict):
    """Arguments of VmGateway. With `EXISTING` give one of `service`, `host` and `address`, with `CREATE` none."""

    mode: GatewayMode
    """Where the gateway comes from."""
    create: NotRequired[CreateGatewayArgs]
    """The gateway to make, with mode `CREATE`. Default: one with the defaults of its arguments."""
    service: NotRequired[pulumi.Input[str]]
    """The gateway's Service as `namespace/name`, for example `istio-system/istio-eastwestgateway`. Its address is read
    from the load balancer's status (an IP address before a host name), and its ports must include 15012."""
    host: NotRequired[pulumi.Input[str]]
    """Host name of the gateway, when no Service is to be read."""
    address: NotRequired[pulumi.Input[str]]
    """IP address of the gateway, when no Service is to be read."""
    kubeconfig: NotRequired[pulumi.Input[str]]
    """Credentials for reading the Service: a path or the content of a kubeconfig file; make the content a secret.
    Default: the ambient ones (`KUBECONFIG`, `~/.kube/config`, the pod's own account)."""
    context: NotRequired[pulumi.Input[str]]
    """Context of the kubeconfig. Default: its current one."""


class GroupArgs(TypedDict):
    """A WorkloadGroup that several machines share; istiod makes their entries from it."""

    name: str
    """Name of the group, and of the workload in telemetry."""
    service_account: str
    """Service account of all its machines."""
    labels: NotRequired[Mapping[str, str]]
    """Labels of its entries. Those of the machine itself win. Default: none."""
    annotations: NotRequired[Mapping[str, str]]
    """Annotations of its entries. Default: none."""
    ports: NotRequired[Sequence[PortArgs]]
    """Ports of its entries. Default: none."""
    probe: NotRequired[ProbeArgs]
    """How to ask whether the application is healthy. Default: TCP on the first port; none without ports."""
    network: NotRequired[str]
    """Network of its machines. Default: the cluster's."""
    locality: NotRequired[str]
    """Locality as `region/zone/subzone`. Default: none."""
    weight: NotRequired[int]
    """Share of the traffic of each entry. Default: none."""


class SubjectArgs(TypedDict):
    """Somebody who gets a Role: a subject of a RoleBinding."""

    kind: str
    """`User`, `Group` or `ServiceAccount`."""
    name: str
    """Its name."""
    namespace: NotRequired[str]
    """Namespace of a ServiceAccount. Default: the workloads' namespace."""


class MeshExpansionArgs(TypedDict):
    """Arguments of MeshExpansion."""

    namespace: pulumi.Input[str]
    """Namespace of the workloads. It must exist, unless `create_namespace` is given."""
    gateway: pulumi.Input[Mapping[str, Any]]
    """The gateway by which VMs reach istiod: the output `endpoint` of a VmGateway."""
    flavor: NotRequired[Flavor]
    """Which control plane runs the mesh. Default: `ISTIO`."""
    create_namespace: NotRequired[bool]
    """True: make the namespace. Default: false, and one that exists is not adopted."""
    service_accounts: NotRequired[Sequence[str]]
    """Service accounts to create in `namespace`, one for each kind of workload. Leave out those that exist: an
    existing one is not adopted but refused."""
    groups: NotRequired[Sequence[GroupArgs]]
    """WorkloadGroups that several machines share, for `registration: AUTO`. Default: none."""
    token_subjects: NotRequired[Sequence[SubjectArgs]]
    """Who may put machines into the mesh: gets a Role for tokens of `service_accounts` and for reading what MeshVm
    reads, and nothing more. Default: nobody, no Role is made."""
    shared_rules: NotRequired[Sequence[SharedRulesArgs]]
    """Firewall rules of machines that have one security group, tag or service account together. Default: none."""
    network: NotRequired[str]
    """Network of the cluster's pods, when the VMs are in another one: becomes the label
    `topology.istio.io/network` of istiod's namespace. Default: none, all is one network."""
    istio_namespace: NotRequired[str]
    """Namespace of istiod. Default: `istio-system`."""
    revision: NotRequired[str]
    """Revision of istiod that the VMs connect to, or a revision tag. Default: the cluster's default revision."""
    mesh_config: NotRequired[pulumi.Input[str]]
    """The MeshConfig as YAML, as in the ConfigMap `istio`. Default: read from the cluster. When this and the next three
    are given, the cluster is not asked."""
    root_certificate: NotRequired[pulumi.Input[str]]
    """Root certificate of the mesh, PEM. Default: read from the cluster."""
    cluster_id: NotRequired[pulumi.Input[str]]
    """Id by which istiod knows this cluster. Default: read from the cluster."""
    proxy_version: NotRequired[pulumi.Input[str]]
    """Version of the control plane, such as `1.30.3`. Default: read from the cluster."""
    kubeconfig: NotRequired[pulumi.Input[str]]
    """Credentials for reading the mesh's facts: a path or the content of a kubeconfig file; make the content a secret.
    Default: the ambient ones. Needs `get` on the ConfigMaps `istio`, `istio-sidecar-injector` and
    `istio-ca-root-cert` and on the Deployment `istiod`; for the default revision and for tags also on
    MutatingWebhookConfigurations."""
    context: NotRequired[pulumi.Input[str]]
    """Context of the kubeconfig. Default: its current one."""
