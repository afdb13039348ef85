"""The examples as the lab runs them: the same files that a user runs, with the lab's values as configuration."""

import runpy
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from lab.lab import CHECKOUT, Lab
from lab.stack import Stack

AWS = CHECKOUT / "examples" / "aws-bookinfo"
PROJECT = "meshvm-aws-bookinfo"
GCP = CHECKOUT / "examples" / "gcp"
GCP_PROJECT = "meshvm-gcp-bookinfo"
_PLACES = {
    PROJECT: {"aws:region": "eu-central-1"},
    GCP_PROJECT: {"gcp:project": "lab-project", "gcp:region": "europe-west3", "gcp:zone": "europe-west3-a"},
}

NOWHERE: Final = """\
apiVersion: v1
kind: Config
clusters: [{name: none, cluster: {server: "https://127.0.0.1:9"}}]
users: [{name: none, user: {}}]
contexts: [{name: none, context: {cluster: none, user: none}}]
current-context: none
"""
"""A kubeconfig that leads to no cluster."""


def program(folder: Path) -> Callable[[], None]:
    """The example's program, run as `python __main__.py` in its folder would run it."""

    def run() -> None:
        before = set(sys.modules)
        sys.path.insert(0, str(folder))
        try:
            runpy.run_path(str(folder / "__main__.py"), run_name="__main__")
        finally:
            sys.path.remove(str(folder))
            for name in set(sys.modules) - before:
                origin = getattr(sys.modules[name], "__file__", None)
                if origin and Path(origin).is_relative_to(folder):
                    del sys.modules[name]

    return run


def config(*, kubeconfig: str, package: str, sha256: str, runner: str, project: str = PROJECT) -> Mapping[str, str]:
    """The configuration of an example."""
    values = {"kubeconfig": kubeconfig, "package": package, "sha256": sha256, "runnerRange": runner}
    return {**_PLACES[project], **{f"{project}:{key}": value for key, value in values.items()}}


def aws_bookinfo(lab: Lab, name: str, **settings: str) -> Stack:
    """A stack of examples/aws-bookinfo in the lab; `settings` beside those that an example needs, `bastion="true"`."""
    stack = _stack(lab, name, AWS, PROJECT)
    stack.set_config({f"{PROJECT}:{key}": value for key, value in settings.items()})
    return stack


def gcp_bookinfo(lab: Lab, name: str) -> Stack:
    """A stack of examples/gcp in the lab; it needs the extra `gcp`."""
    return _stack(lab, name, GCP, GCP_PROJECT)


def _stack(lab: Lab, name: str, folder: Path, project: str) -> Stack:
    values = config(
        kubeconfig=str(lab.cluster.kubeconfig),
        package=lab.package_url,
        sha256=lab.package_sha256,
        runner=f"{lab.network.host_ip}/32",
        project=project,
    )
    return Stack(lab.folder, name, program(folder), config=values, env=lab.env, project=project)
