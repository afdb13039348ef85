"""With which credentials is which API server asked?"""

from pathlib import Path

import httpx2 as httpx
import lightkube
import yaml
from lightkube.config.kubeconfig import KubeConfig
from lightkube.core.exceptions import ConfigError

from meshvm.errors import ArgumentError


def client(kubeconfig: str | None, context: str | None) -> tuple[lightkube.Client, str]:
    """A client of the API server that a kubeconfig names, and that server's address.

    :param kubeconfig: path or content of a kubeconfig file; None takes the ambient credentials.
    :param context: context of the kubeconfig; None takes its current one.
    """
    try:
        config = _load(kubeconfig).get(context_name=context)
    except ConfigError:
        wrong = f"the context {context!r} is not in the kubeconfig" if context else "no context is the current one"
        raise ArgumentError("context", wrong, "write the name of one that is in it") from None
    except KeyError:
        raise _unreadable() from None
    if config is None:
        raise _unreadable()
    try:
        return lightkube.Client(config=config, timeout=httpx.Timeout(10.0)), config.cluster.server
    except Exception:  # noqa: BLE001 each part of a certificate that is none has an error of its own
        raise _unreadable() from None


def _load(kubeconfig: str | None) -> KubeConfig:
    try:
        if kubeconfig is None:
            return KubeConfig.from_env()
        # Content has several lines, or is JSON on one.
        if "\n" in kubeconfig or kubeconfig.lstrip().startswith("{"):
            return KubeConfig.from_dict(yaml.safe_load(kubeconfig))
        return KubeConfig.from_file(Path(kubeconfig).expanduser())
    except Exception:  # noqa: BLE001 file system, YAML and lightkube's models have errors without a common root
        raise _unreadable() from None


def _unreadable() -> ArgumentError:
    # No text of the original error: it may quote the file, and the file holds credentials.
    return ArgumentError("kubeconfig", "it cannot be read as a kubeconfig file", "give the path or the content of one")
