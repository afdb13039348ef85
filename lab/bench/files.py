"""How long do the files of 10,000 different machines take, and how much memory?

The pure functions alone, in a process of their own. Time is the process's own, which on a quiet machine is the time
that passes: nothing here waits.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from lab.base.steps import Steps
from lab.bench.sample import MESH, meshvm_args
from meshvm.bootstrap.values import join_settings, join_values, request_to_ask
from meshvm.inputs import known_inputs
from meshvm.istio.files import hosts
from meshvm.istio.settings import Setting, cluster_env_settings, needs
from meshvm.istio.workload import Options, files, group_of, read_mesh

_MACHINES: Final = 10_000
_SECONDS: Final = 2.0
_MEGABYTES: Final = 200.0
_MESH_CONFIG: Final = """\
defaultConfig:
  meshId: mesh1
  proxyMetadata: {ISTIO_META_IDLE_TIMEOUT: 30s}
  tracing: {zipkin: {address: "zipkin.istio-system:9411"}}
trustDomain: cluster.local
"""

Files = dict[str, str]


def ask(steps: Steps) -> None:
    """Measure in fresh processes and say the ratios."""
    for way, what in (("istioctl", "as istioctl has them"), ("meshvm", "as a MeshVm has them")):
        run = [sys.executable, "-m", "lab.bench.files", way]
        done = subprocess.run(run, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout)
        steps.say("")
        steps.say(
            f"the files of {_MACHINES:,} machines, {what}: {found['seconds']:.2f} s, {found['megabytes']:.0f} MB at "
            f"most, {found['text'] / 1e6:.0f} MB of it text"
        )
        steps.say(
            f"  ratio to the limits of {_SECONDS:.0f} s and {_MEGABYTES:.0f} MB: {found['seconds'] / _SECONDS:.2f} and "
            f"{found['megabytes'] / _MEGABYTES:.2f} (at most 1)"
        )


def measured(prepare: Callable[[int], Any], make: Callable[[Any], Files]) -> dict[str, float]:
    """What it takes to make the files of all machines and to hold them.

    :param prepare: what they are made of; not part of the time.
    """
    made, seconds = [], 0.0
    for number in range(_MACHINES):
        given = prepare(number)
        began = time.process_time()
        made.append(make(given))
        seconds += time.process_time() - began
    # Kilobytes on Linux.
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "megabytes": megabytes, "text": sum(len(text) for one in made for text in one.values())}


def as_istioctl() -> dict[str, float]:
    """From a WorkloadGroup of each machine, as `meshvm entry configure` does."""
    mesh = read_mesh(_MESH_CONFIG)

    def make(given: tuple[dict[str, Any], str]) -> Files:
        group, address = given
        options = Options(cluster_id="Kubernetes", internal_ip=address)
        return files(group_of(group), mesh, options, MESH["rootCertificate"], [MESH["gatewayAddress"]])

    return measured(lambda number: (_group(number), _address(number)), make)


def as_meshvm() -> dict[str, float]:
    """From the checked arguments of each MeshVm: what its join gets on standard input."""

    def prepare(number: int) -> Mapping[str, Any]:
        return known_inputs("bench", f"vm-{number}", meshvm_args(f"i-{number}", _address(number)))

    def make(inputs: Mapping[str, Any]) -> Files:
        values = join_values(
            _resolved(join_settings(), inputs),
            _resolved(cluster_env_settings(), inputs),
            root_certificate=inputs["mesh"]["rootCertificate"],
            token="token",
            token_error="",
            run="",
            ask=request_to_ask(inputs["instance_address"], inputs["ports"], inputs["probe"]),
        )
        return {
            "cluster.env": values["MESHVM_CLUSTER_ENV"],
            "hosts": hosts(values["MESHVM_GATEWAY"].split(), values["MESHVM_ISTIOD"]),
            "mesh.yaml": values["MESHVM_MESH_CONFIG"],
            "root-cert.pem": values["MESHVM_ROOT_CERTIFICATE"],
        }

    return measured(prepare, make)


def _resolved(settings: Mapping[str, Setting], inputs: Mapping[str, Any]) -> dict[str, str]:
    return {name: setting(*(inputs[need] for need in needs(setting))) for name, setting in settings.items()}


def _address(number: int) -> str:
    return f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"


def _group(number: int) -> dict[str, Any]:
    port = 9080 + number % 10
    return {
        "metadata": {"name": f"vm-{number}", "namespace": MESH["namespace"]},
        "spec": {
            "metadata": {"labels": {"app": f"app-{number}", "version": f"v{number % 7}"}},
            "template": {
                "ports": {"http": port, "grpc": 7070},
                "serviceAccount": f"account-{number}",
                "network": f"network-{number % 5}",
            },
            "probe": {"httpGet": {"port": port, "path": f"/health/{number}"}, "periodSeconds": 5},
        },
    }


if __name__ == "__main__":
    print(json.dumps({"istioctl": as_istioctl, "meshvm": as_meshvm}[sys.argv[1]]()))
