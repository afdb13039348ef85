"""Which commands and flags are there? Those of `istioctl x workload`, and a few that make a cluster unnecessary."""

import csv
import ipaddress
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console

from meshvm.cli.configure import Flags, configure
from meshvm.errors import ArgumentError, MeshvmError
from meshvm.istio.workload import PORT_NUMBERS, group_document

_FILE: Final = click.Path(path_type=Path, dir_okay=False, allow_dash=True)
_WEIGHTS: Final = click.IntRange(0, 2**32 - 1)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def meshvm() -> None:
    """Put virtual machines into an Istio mesh."""


@meshvm.group()
def entry() -> None:
    """Machines: the files that one needs."""


@meshvm.group()
def group() -> None:
    """WorkloadGroups: what machines have in common."""


def _address(context: click.Context, parameter: click.Parameter, value: str) -> str:
    del context
    if not value:
        return ""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no IP address", param=parameter) from None
    return value


def _switch(name: str, *, default: bool, text: str) -> Callable[[Any], Any]:
    """A flag as istioctl has it: `--flag`, `--flag=true`, `--flag=false`."""
    parameter = name.removeprefix("--").replace("-", "_")
    return click.option(
        name, parameter, is_flag=False, flag_value="true", type=bool, default=default, show_default=True, help=text
    )


@entry.command("configure")
@click.option("-f", "--file", type=_FILE, help="WorkloadGroup as a YAML file; `-` is standard input.")
@click.option("--name", default="", help="Name of the WorkloadGroup in the cluster.")
@click.option("-n", "--namespace", default="", help="Namespace of the WorkloadGroup.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder for the files.")
@click.option("--clusterID", "cluster_id", help="Id by which istiod knows the cluster.  [default: asked for]")
@click.option(
    "--tokenDuration", "token_duration", type=int, default=3600, show_default=True, help="The token's life, in seconds."
)
@click.option(
    "--ingressService",
    "ingress_service",
    default="istio-eastwestgateway",
    show_default=True,
    help="Service of the gateway to istiod, as SERVICE or SERVICE.NAMESPACE.",
)
@click.option("--ingressIP", "ingress_ip", default="", help="Address of the gateway; a host name is resolved.")
@_switch("--autoregister", default=False, text="Let istiod make the WorkloadEntry when the machine connects.")
@_switch("--capture-dns", default=True, text="Let the sidecar answer the machine's DNS questions.")
@click.option("--internalIP", "internal_ip", default="", callback=_address, help="The machine's own address.")
@click.option(
    "--externalIP", "external_ip", default="", callback=_address, help="Its address behind a NAT, instead of its own."
)
@click.option("-r", "--revision", default="", help="Revision of istiod.  [default: the cluster's]")
@click.option(
    "-i",
    "--istioNamespace",
    "istio_namespace",
    default="istio-system",
    envvar="ISTIOCTL_ISTIONAMESPACE",
    show_default=True,
    help="Namespace of istiod.",
)
@click.option("-c", "--kubeconfig", default="", help="Kubeconfig file.  [default: the ambient credentials]")
@click.option("--context", default="", help="Its context.  [default: the current one]")
@click.option("--mesh-config", "mesh_config", type=_FILE, help="MeshConfig as a YAML file, instead of the cluster's.")
@click.option("--root-cert", "root_cert", type=_FILE, help="Root certificate of the mesh, PEM; not the cluster's.")
@click.option("--no-token", "no_token", is_flag=True, help="Mint no token.")
def configure_command(**given: Any) -> None:  # noqa: ANN401 each flag has its own type
    """Write the files of one machine: mesh.yaml, cluster.env, root-cert.pem, istio-token and hosts.

    With --file, --mesh-config, --root-cert and --no-token no cluster is asked.
    """
    flags = Flags(**given)
    if not flags.file and not (flags.name and flags.namespace):
        raise click.UsageError("give --file, or --name and --namespace of a WorkloadGroup in the cluster")
    if flags.internal_ip and flags.external_ip:
        raise click.UsageError("--internalIP and --externalIP exclude each other: give one")
    with _told():
        configure(flags, _note)
    click.echo(f"The machine's files are in {flags.output}.")


@group.command("create")
@click.option("--name", required=True, help="Name of the WorkloadGroup.")
@click.option("-n", "--namespace", required=True, help="Its namespace.")
@click.option("-l", "--labels", multiple=True, help="Labels of its entries: KEY=VALUE,...")
@click.option("-a", "--annotations", multiple=True, help="Annotations of its entries: KEY=VALUE,...")
@click.option("-p", "--ports", multiple=True, help="Ports of its entries: NAME=NUMBER,...")
@click.option(
    "-s", "--serviceAccount", "service_account", default="default", show_default=True, help="Their service account."
)
@click.option("--network", default="", help="Their network.")
@click.option("--locality", default="", help="Their locality, as REGION/ZONE/SUBZONE.")
@click.option("-w", "--weight", type=_WEIGHTS, default=0, help="Share of the traffic of each.")
def create_command(**given: Any) -> None:  # noqa: ANN401 each flag has its own type
    """Print a WorkloadGroup as YAML. Nothing is asked of a cluster, and nothing is put into one."""
    with _told():
        for flag in ("labels", "annotations"):
            given[flag] = dict(_pairs(given[flag], f"--{flag}"))
        given["ports"] = {name: _port(name, number) for name, number in _pairs(given["ports"], "--ports")}
        text = group_document(**given)
    click.echo(text, nl=False)


def _pairs(values: tuple[str, ...], flag: str) -> Iterator[tuple[str, str]]:
    """What a flag holds, given once or several times: pairs, separated by commas; one in quotes may hold some."""
    for row in csv.reader(values):
        for item in row:
            key, _, value = item.partition("=")
            if not key:
                raise ArgumentError(flag, f"{item!r} has no name before the =", "write KEY=VALUE")
            yield key, value


def _port(name: str, number: str) -> int:
    if not number.isascii() or not number.isdecimal() or int(number) not in PORT_NUMBERS:
        raise ArgumentError("--ports", f"{name}={number} is no port", "write NAME=NUMBER with a number from 1 to 65535")
    return int(number)


@contextmanager
def _told() -> Iterator[None]:
    """A mistake or a refusal is one sentence and exit code 1."""
    try:
        yield
    except MeshvmError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None


def _note(text: str) -> None:
    # Made for each: standard error may be another one by now.
    Console(stderr=True, soft_wrap=True, highlight=False).print("note:", style="yellow", end=" ")
    click.echo(text, err=True)
