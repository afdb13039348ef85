"""Does a value have the keys of its TypedDict: none unknown, none missing, nested ones too.

Python does not check a TypedDict when a program runs, and a key that nobody reads would be lost without a word.
"""

import difflib
import inspect
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from meshvm.errors import ArgumentError


def check_shape(value: object, shape: type, path: str = "") -> None:
    """An error for the first key of `value` that is unknown or missing in the TypedDict `shape`."""
    if not isinstance(value, Mapping):
        raise ArgumentError(path or "args", f"a {type(value).__name__} is not a map", f"give a {shape.__name__}")
    hints = inspect.get_annotations(shape)
    prefix = f"{path}." if path else ""
    for key in value:
        if key not in hints:
            near = difflib.get_close_matches(str(key), list(hints), 1)
            instead = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(hints))}"
            raise ArgumentError(f"{prefix}{key}", "there is no such argument", instead)
    for key in sorted(typing.cast("Any", shape).__required_keys__):
        if value.get(key) is None:
            raise ArgumentError(f"{prefix}{key}", "it is required", "give it a value")
    for key, hint in hints.items():
        if value.get(key) is not None:
            _check_nested(value[key], hint, f"{prefix}{key}")


def _check_nested(value: object, hint: Any, path: str) -> None:  # noqa: ANN401 type hints have no common type
    if typing.get_origin(hint) in {typing.NotRequired, typing.Required}:
        hint = typing.get_args(hint)[0]
    if typing.is_typeddict(hint):
        check_shape(value, hint, path)
        return
    item = typing.get_args(hint)[0] if typing.get_origin(hint) is Sequence else None
    if item is None:
        return
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ArgumentError(path, f"a {type(value).__name__} is not a list", "give a plain list")
    for index, element in enumerate(value):
        if typing.is_typeddict(item):
            check_shape(element, item, f"{path}[{index}]")
