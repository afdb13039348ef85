"""One VM in the mesh: the graph of docs/graph.md, in the order in which it is made."""

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
from pulumi_command import local, remote

from meshvm import at_up, specs
from meshvm.args import MeshVmArgs, Registration
from meshvm.bootstrap.bundle import bundle, command
from meshvm.bootstrap.values import OPTIONAL, join_settings
from meshvm.connection import connection
from meshvm.errors import ArgumentError
from meshvm.inputs import join_input, known_inputs
from meshvm.istio import objects
from meshvm.istio.settings import asked_for, cluster_env_settings
from meshvm.lint import vm as lint
from meshvm.lint.objects import check_object
from meshvm.lint.rules import dns_label
from meshvm.lint.shape import check_shape, whole_numbers
from meshvm.neighbours import checks
from meshvm.outputs import derived, detached, owner, reported, settled
from meshvm.rules import Rules

# A status is printed again by an update, because an update overwrites the Command's output.
_PRINT_STATUS = '[ "$(id -u)" = 0 ] && exec cat /var/lib/meshvm/status; exec sudo -n cat /var/lib/meshvm/status'
_GATE = '[ -z "$MESHVM_UNHEALTHY" ] || { echo "$MESHVM_UNHEALTHY" >&2; exit 1; }'
# These objects own nothing: without waiting for the garbage collector they are gone at once.
_DELETE_AT_ONCE = {"pulumi.com/deletionPropagationPolicy": "background"}


class MeshVm(pulumi.ComponentResource):
    """One virtual machine as a workload of an Istio mesh.

    It owns the machine's registration (WorkloadEntry), its Sidecar, its firewall rules, and what the bootstrap puts on
    the machine. It does not own the machine, the service account or the services that select it. Two MeshVms of one
    service roll one after the other when one `depends_on` the other.
    """

    spiffe_id: pulumi.Output[str]
    """The identity in the machine's certificate."""
    entry_name: pulumi.Output[str]
    """Name of its WorkloadEntry."""
    status: pulumi.Output[Mapping[str, Any]]
    """What the last join verified on the machine: proxyVersion, spiffeId, certificateExpiry, ready, configuration
    (`received` from istiod), request (one request through the sidecar, or why none was made), note (what does not
    stop a machine but should be known, such as a bridge of containers that is not captured; else empty) and when."""
    flows: pulumi.Output[Sequence[str]]
    """The flows that it needs, one sentence each: its rules, or without `aws` and `gcp` what somebody else has to
    open."""
    flow_table: pulumi.Output[Sequence[Mapping[str, str]]]
    """The same flows as maps of strings: name, at (where the rule stands), direction (seen from there), protocol, port,
    peerKind, peer, why."""

    def __init__(self, name: str, args: MeshVmArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Put one machine into the mesh.

        :param name: name of the component, and of the workload.
        :param args: see MeshVmArgs.
        :param opts: options of the component; `providers` names the Kubernetes provider.
        """
        args = whole_numbers(args)
        self._name, self._args, self._label = name, args, f'MeshVm "{name}"'
        with reported(self._label):
            # The Sidecar and the label that it selects by have the component's name.
            dns_label("name", name)
            _check(args, opts)
        super().__init__("meshvm:index:MeshVm", name, {}, opts)
        self._inputs = known_inputs(self._label, name, args)
        self._machine = self._inputs["machine"]
        self._namespace = derived(lambda mesh: str(mesh["namespace"]), self._inputs["mesh"])
        self._checks = checks(self._label, args, self._inputs)
        # A join that runs now prints this word in its status; one of an earlier run printed another.
        self._run = secrets.token_hex(8)
        # The resource that the machine is, if the program made it.
        self._vm = owner(pulumi.Output.from_input(self._machine))

        rules = Rules(self, self._label, name, args, self._inputs["mesh"], self._inputs["address"])
        host = self._host(rules.before_host)
        drain = self._drain([host, *rules.before_drain])
        sidecar = self._sidecar()
        registered = self._registered(drain)
        join = self._join([*(registered or [drain]), sidecar, *self._access_log()], sidecar)
        self._gate(join)

        self.spiffe_id = pulumi.Output.from_input(self._inputs["spiffe"])
        self.entry_name = pulumi.Output.from_input(self._inputs["entry"])
        self.status = join.stdout.apply(_status)
        flows: list[Any] = [*rules.sentences]
        self.flows = pulumi.Output.from_input(flows)
        self.flow_table = rules.table
        outputs = {"spiffe_id": self.spiffe_id, "entry_name": self.entry_name, "flow_table": self.flow_table}
        self.register_outputs({**outputs, "status": self.status, "flows": self.flows})

    def _options(self, **options: Any) -> pulumi.ResourceOptions:  # noqa: ANN401 the SDK's own options
        return pulumi.ResourceOptions(parent=self, **options)

    def _host(self, ssh_rules: Sequence[pulumi.Resource]) -> remote.Command:
        """The first and the last session on the machine."""
        values = derived(lambda machine: bundle("host", {"MESHVM_MARK": machine}), self._machine)
        return remote.Command(
            f"{self._name}-host",
            connection=connection(self._args["ssh"]),
            create=command("host", "prepare"),
            update=":",
            delete=command("host", "offboard"),
            stdin=values,
            triggers=[{"machine": self._machine}],
            add_previous_output_in_env=False,
            opts=self._options(deleted_with=self._vm, depends_on=list(ssh_rules)),
        )

    def _drain(self, before: Sequence[pulumi.Resource]) -> local.Command:
        """The time between leaving the rotation and stopping the sidecar."""
        seconds = self._args.get("drain_seconds")
        return local.Command(
            f"{self._name}-drain",
            create=":",
            delete=f"sleep {15 if seconds is None else seconds}",
            triggers=[{"machine": self._machine}],
            add_previous_output_in_env=False,
            opts=self._options(depends_on=list(before)),
        )

    def _sidecar(self) -> pulumi.Resource:
        return self._object("sidecar", "Sidecar", self._name, specs.sidecar(self._name, self._args, self._inputs))

    def _access_log(self) -> list[pulumi.Resource]:
        if not self._inputs["access_log"]:
            return []
        spec = objects.telemetry_spec(vm=self._name, access_log=self._inputs["access_log"])
        return [self._object("access-log", "Telemetry", self._name, spec, api_version=objects.TELEMETRY_API_VERSION)]

    def _registered(self, drain: pulumi.Resource) -> list[pulumi.Resource]:
        """What registers the machine, if it is the machine's own: its entry, or the group that istiod makes it from."""
        inputs, ports = self._inputs, self._inputs["ports"]
        if inputs["registration"] == Registration.ENTRY:
            annotations = objects.entry_annotations(ports, inputs["annotations"])
            options: dict[str, Any] = {"depends_on": [drain], "replace_with": [self._vm]}
            return [
                self._object(
                    "entry", "WorkloadEntry", inputs["entry"], specs.entry(self._args, inputs), annotations, **options
                )
            ]
        if self._args.get("group"):
            return []
        return [self._object("group", "WorkloadGroup", self._name, specs.group(self._args, inputs), depends_on=[drain])]

    def _object(
        self,
        suffix: str,
        kind: str,
        name: pulumi.Input[str],
        spec: pulumi.Input[Mapping[str, Any]],
        annotations: Mapping[str, str] | None = None,
        api_version: str = objects.API_VERSION,
        **options: Any,  # noqa: ANN401 the SDK's own options
    ) -> pulumi.Resource:
        """An object of Istio's in the mesh's namespace. What the API server would refuse is refused before."""
        metadata = {
            "name": name,
            "namespace": self._namespace,
            "annotations": {**(annotations or {}), **_DELETE_AT_ONCE},
        }
        whole = {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}
        self._checks.append(derived(self._judge, whole))
        return k8s.apiextensions.CustomResource(
            f"{self._name}-{suffix}",
            api_version=api_version,
            kind=kind,
            metadata=metadata,
            spec=spec,
            opts=self._options(**options),
        )

    def _judge(self, whole: Mapping[str, Any]) -> None:
        with reported(self._label):
            for warning in check_object(whole):
                pulumi.log.warn(f"{self._label}: {whole['kind']}: {warning}", resource=self)

    def _join(self, before: Sequence[pulumi.Resource], seen: pulumi.Resource) -> remote.Command:
        """The session that puts the machine into the mesh. What a preview prints is in `triggers`, one flat map of
        strings; what comes on standard input holds the token, fresh at each `up`, and is left out of the diff."""
        settings = settled(asked_for(join_settings(), self._inputs, OPTIONAL), self._inputs)
        variables = settled(asked_for(cluster_env_settings(), self._inputs), self._inputs)
        token = at_up.token(self._label, self._args, self._inputs, seen, before)
        return remote.Command(
            f"{self._name}-join",
            connection=connection(self._args["ssh"]),
            create=command("join", "join"),
            update=_PRINT_STATUS,
            stdin=join_input(self._label, self._inputs, settings, variables, token, self._checks, self._run),
            triggers=[{**settings, **variables}],
            add_previous_output_in_env=False,
            logging=remote.Logging.NONE,
            opts=self._options(
                depends_on=list(before),
                # The token is another one each time; a join that failed is to run again, also after a revert.
                ignore_changes=["stdin"],
                delete_before_replace=True,
            ),
        )

    def _gate(self, join: remote.Command) -> None:
        """Fails unless the application answers its probe. A machine without ports has nothing to answer.

        Whether the entry is in rotation is asked at each `up`, and fails it when the gate is new or this run joined the
        machine; an application that is down while nothing of it changes is a warning. So the verdict itself is left out
        of the diff, and a trigger replaces the gate when this run's join made the machine unhealthy.
        """
        if not self._args.get("ports"):
            return
        told: pulumi.Input[str] = ""
        failed: pulumi.Input[str] = ""
        if not pulumi.runtime.is_dry_run():
            unhealthy = at_up.unhealthy(self._label, self._args, self._inputs, join.stdout)
            told = detached(unhealthy)
            failed = detached(pulumi.Output.all(join.stdout, unhealthy).apply(lambda known: self._failed(*known)))
        local.Command(
            f"{self._name}-gate",
            create=_GATE,
            environment={"MESHVM_UNHEALTHY": told},
            triggers=[{"machine": self._machine, "unhealthy": failed}],
            add_previous_output_in_env=False,
            opts=self._options(depends_on=[join], ignore_changes=["environment"], delete_before_replace=True),
        )

    def _failed(self, stdout: str, unhealthy: str) -> str:
        """The verdict, when the join that printed `stdout` ran in this run; else a warning."""
        if _printed(stdout).get("run") == self._run:
            return unhealthy
        if unhealthy:
            pulumi.log.warn(unhealthy, resource=self)
        return ""


def _check(args: MeshVmArgs, opts: pulumi.ResourceOptions | None) -> None:
    check_shape(args, MeshVmArgs)
    lint.check(args, objects.VM_LABEL)
    for option in ("deleted_with", "retain_on_delete"):
        if getattr(opts, option, None):
            wrong = "the engine hands it to the WorkloadEntry, which would stay behind and get traffic for ever"
            raise ArgumentError(f"opts.{option}", wrong, "leave it out: MeshVm finds the machine from machine_id")


def _status(stdout: str) -> dict[str, str]:
    """The status that join printed, without what only the gate reads."""
    return {key: str(value) for key, value in _printed(stdout).items() if key != "run"}


def _printed(stdout: str) -> dict[str, Any]:
    try:
        printed = json.loads(stdout)
    except ValueError:
        return {}
    return printed if isinstance(printed, dict) else {}
