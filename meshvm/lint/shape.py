"""Does a value have the keys of its TypedDict, none unknown, none missing; and plain values where they must be plain.

Python does not check a TypedDict when a program runs, and a key that nobody reads would be lost without a word.
"""

import difflib
import inspect
import re
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Final

from meshvm.errors import ArgumentError
from meshvm.lint.rules import shown

# Keys that a user may well expect, and why they are not there: (shape, key) to what is wrong and what to write instead.
_WHY_NOT: Final = {
    ("ProbeArgs", "grpc"): (
        "the API server takes a probe by gRPC, but istiod's webhook refuses it as an unknown method",
        "probe by tcp on the same port, or by exec with a gRPC client on the machine",
    ),
    ("IdentityArgs", "token"): (
        "meshvm mints the token itself, at the `up`, just before the machine uses it",
        "leave it out",
    ),
}


def whole_numbers(value: Any) -> Any:  # noqa: ANN401 arguments of any shape
    """`value` with every float that is a whole number as an int: from other languages all numbers come as floats, and
    the SDK's provider host hands them on as they are."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: whole_numbers(one) for key, one in value.items()}
    return [whole_numbers(one) for one in value] if isinstance(value, list) else value


def check_shape(value: object, shape: type, path: str = "") -> None:
    """An error for the first key of `value` that is unknown or missing in the TypedDict `shape`."""
    if not isinstance(value, Mapping):
        raise ArgumentError(path or "args", f"a {type(value).__name__} is not a map", f"give a {shape.__name__}")
    hints = inspect.get_annotations(shape)
    prefix = f"{path}." if path else ""
    for key in value:
        if key not in hints:
            raise _unknown(key, shape, prefix)
    for key in sorted(typing.cast("Any", shape).__required_keys__):
        if value.get(key) is None:
            raise ArgumentError(f"{prefix}{key}", "it is required", "give it a value")
    for key, hint in hints.items():
        if value.get(key) is not None:
            _check_nested(value[key], hint, f"{prefix}{key}")


def _unknown(key: object, shape: type, prefix: str) -> ArgumentError:
    named = str(key) if re.match(r"[\w.-]{1,80}\Z", str(key)) else shown(key)
    if (shape.__name__, key) in _WHY_NOT:
        return ArgumentError(f"{prefix}{named}", *_WHY_NOT[shape.__name__, str(key)])
    hints = inspect.get_annotations(shape)
    near = difflib.get_close_matches(named, list(hints), 1)
    instead = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(hints))}"
    return ArgumentError(f"{prefix}{named}", "there is no such argument", instead)


def _check_nested(value: object, hint: Any, path: str) -> None:  # noqa: ANN401 type hints have no common type
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.NotRequired, typing.Required}:
        _check_nested(value, parts[0], path)
    elif typing.is_typeddict(hint):
        check_shape(value, hint, path)
    elif origin is Sequence:
        _check_list(value, parts[0], path)
    elif origin is Mapping:
        _check_map(value, parts[1], path)
    elif isinstance(hint, type):
        _check_plain(value, hint, path)


def _check_list(value: object, hint: Any, path: str) -> None:  # noqa: ANN401
    if isinstance(value, str | bytes | bytearray) or not isinstance(value, Sequence):
        raise ArgumentError(path, f"a {type(value).__name__} is not a list", "give a plain list")
    for index, element in enumerate(value):
        _check_nested(element, hint, f"{path}[{index}]")


def _check_map(value: object, hint: Any, path: str) -> None:  # noqa: ANN401
    if not isinstance(value, Mapping):
        raise ArgumentError(path, f"a {type(value).__name__} is not a map", "give a plain map")
    for key, one in value.items():
        if not isinstance(key, str):
            raise ArgumentError(path, f"the key {shown(key)} is not a string", "write every key as a string")
        _check_nested(one, hint, f"{path}[{key!r}]")


def _check_plain(value: object, hint: type, path: str) -> None:
    if issubclass(hint, Enum):
        known = [one.value for one in hint]
        if value not in known:
            raise ArgumentError(path, f"{shown(value)} is not one of them", f"write one of {', '.join(known)}")
    elif hint in {str, int, bool} and (not isinstance(value, hint) or (hint is int and isinstance(value, bool))):
        raise ArgumentError(path, f"a {type(value).__name__} is not a plain {hint.__name__}", f"give a {hint.__name__}")
