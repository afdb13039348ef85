"""A machine that is played by a few commands: what does a part of a script decide there, all by itself?"""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from meshvm.bootstrap.bundle import program
from meshvm.bootstrap.quote import quote

SPIFFE = "spiffe://cluster.local/ns/bookinfo/sa/ratings"
VALUES = {
    "MESHVM_ADDRESS": "10.0.0.7",
    "MESHVM_BRIDGES": "",
    "MESHVM_CAPTURE": "IPTABLES",
    "MESHVM_CERTIFICATE": "",
    "MESHVM_DNS": "true",
    "MESHVM_DUAL_STACK": "",
    "MESHVM_GATEWAY": "gateway.test",
    "MESHVM_GATEWAY_KIND": "host",
    "MESHVM_GATEWAY_PORT": "15012",
    "MESHVM_IDENTITY": "FILES",
    "MESHVM_ISTIOD": "istiod.istio-system.svc",
    "MESHVM_LOG_ROTATION": "where logrotate is",
    "MESHVM_NAT": "",
    "MESHVM_PACKAGE": "https://packages.test:8443/istio-sidecar.deb",
    "MESHVM_PRIVATE_KEY": "",
    "MESHVM_ROOT_CERTIFICATE": "",
    "MESHVM_SIDECAR_PORTS": "9080 15080",
    "MESHVM_SPIFFE_ID": SPIFFE,
}


def played(
    folder: Path, call: str, values: Mapping[str, str] | None = None, script: str = "join", **commands: str
) -> subprocess.CompletedProcess[str]:
    """Run a part of a script: its functions, commands of the machine that are played, and a state of its own."""
    for name, text in commands.items():
        command = folder / "bin" / name.replace("_", "-")
        command.parent.mkdir(exist_ok=True)
        command.write_text(f"#!/bin/sh\n{text}\n")
        command.chmod(0o755)
    (folder / "state").mkdir(exist_ok=True)
    given = "".join(f"{name}={quote(value)}\n" for name, value in {**VALUES, **(values or {})}.items())
    names = {"STATE": "state", "LOG": "log", "LOCK": "lock", "HOSTS": "hosts", "CERTS": "certs"}
    places = "ACTION=join\n" + "".join(f"{name}={folder}/{place}\n" for name, place in names.items())
    path = f"PATH={folder}/bin:$PATH\nexec 3>&2 2>/dev/null\n"
    text = f"{given}{program(script)}{places}{path}{call}\n"
    return subprocess.run(["sh", "-s"], input=text, capture_output=True, text=True, check=False)


def said(done: subprocess.CompletedProcess[str]) -> str:
    """The sentence of a failure, without the machine's name; empty when it did not fail."""
    return done.stderr.partition(": ")[2].strip()
