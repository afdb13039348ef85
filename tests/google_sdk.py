"""What of Google Cloud's SDK do the example and its rules use? A stand-in of that, because the SDK is not in the lock.

It registers the same types and names with the same inputs; it knows no argument's type and no default.
"""

import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

import pulumi

INSTALLED: Final = importlib.util.find_spec("pulumi_gcp") is not None

# Module and class of each type, its token, and what the cloud adds to its inputs.
_TYPES: Final[Mapping[tuple[str, str], tuple[str, tuple[str, ...]]]] = {
    ("compute", "Firewall"): ("gcp:compute/firewall:Firewall", ()),
    ("compute", "Instance"): ("gcp:compute/instance:Instance", ("instanceId",)),
    ("compute", "Network"): ("gcp:compute/network:Network", ("selfLink",)),
    ("compute", "NetworkPeering"): ("gcp:compute/networkPeering:NetworkPeering", ()),
    ("compute", "Subnetwork"): ("gcp:compute/subnetwork:Subnetwork", ()),
    ("serviceaccount", "Account"): ("gcp:serviceaccount/account:Account", ("email",)),
}
# It imports the SDK, and keeps what it found.
_READER: Final = "meshvm.firewall.gcp"


@contextmanager
def stand_in() -> Iterator[None]:
    """While this lasts, `pulumi_gcp` is the stand-in."""
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_ours(name)}
    try:
        sys.modules.update(_modules())
        yield
    finally:
        for name in [name for name in sys.modules if _is_ours(name)]:
            del sys.modules[name]
        sys.modules.update(before)


def _is_ours(module: str) -> bool:
    return module == _READER or module.partition(".")[0] == "pulumi_gcp"


def _modules() -> dict[str, ModuleType]:
    whole = ModuleType("pulumi_gcp")
    found = {whole.__name__: whole}
    for (part, class_name), (token, outputs) in _TYPES.items():
        name = f"{whole.__name__}.{part}"
        found.setdefault(name, ModuleType(name))
        vars(whole)[part] = found[name]
        vars(found[name])[class_name] = type(class_name, (_Resource,), {"token": token, "added": outputs})
    return found


class _Resource(pulumi.CustomResource):
    """A resource whose arguments and outputs are written as the SDK has them, in Python's way."""

    token = ""
    added: tuple[str, ...] = ()

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None, **given: Any) -> None:
        inputs = {_camel(key): _inputs(value) for key, value in given.items()}
        super().__init__(self.token, name, {**dict.fromkeys(self.added), **inputs}, opts)

    def __getattr__(self, name: str) -> Any:
        """An output, by its name in Python."""
        if _camel(name) not in self.__dict__:
            raise AttributeError(name)
        return self.__dict__[_camel(name)].apply(_answer)


class _Answer(dict[str, Any]):
    """A nested output; its keys are attributes, in Python's way."""

    def __getattr__(self, name: str) -> Any:
        return self[_camel(name)]


def _answer(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _Answer({key: _answer(one) for key, one in value.items()})
    return [_answer(one) for one in value] if isinstance(value, list) else value


def _inputs(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_camel(key): _inputs(one) for key, one in value.items()}
    return [_inputs(one) for one in value] if isinstance(value, list) else value


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), name)
