"""Schemas of Istio's objects as the API server checks them: types, bounds, words, required fields.

A check takes the path, the value and the warnings so far; it raises for what the API server refuses, and returns what
the API server keeps. A field that it does not know it drops without an error, so that is a warning here.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from meshvm.errors import ArgumentError
from meshvm.lint.rules import shown

Check = Callable[[str, Any, list[str]], Any]


def text(longest: int | None = None, least: int = 0) -> Check:
    """A string, of bounded length."""

    def check(path: str, value: Any, _warnings: list[str]) -> Any:  # noqa: ANN401 as it comes
        if not isinstance(value, str):
            raise ArgumentError(path, f"{shown(value)} is not a string", "write a string")
        if longest is not None and len(value) > longest:
            raise ArgumentError(path, f"it has {len(value)} characters", f"write {longest} at most")
        if len(value) < least:
            raise ArgumentError(path, "it is empty", "write something, or leave it out")
        return value

    return check


def whole(least: int = 0, most: int = 2**32 - 1) -> Check:
    """A whole number; by default an unsigned one of 32 bits. The API server makes 80 of 80.0."""

    def check(path: str, value: Any, _warnings: list[str]) -> Any:  # noqa: ANN401 as it comes
        number = int(value) if isinstance(value, float) and value.is_integer() else value
        if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
            raise ArgumentError(path, f"{shown(value)} is no whole number from {least} to {most}", "write one")
        return number

    return check


def port_number(path: str, value: Any, warnings: list[str]) -> Any:  # noqa: ANN401 as it comes
    """A port, where the definition has a rule for it; the rule sees 80.0 as it is, and refuses it."""
    if isinstance(value, float):
        raise ArgumentError(path, f"{value!r} is not a whole number", "write one from 1 to 65535")
    return whole(1, 65535)(path, value, warnings)


def word(*known: str) -> Check:
    """One of some words."""

    def check(path: str, value: Any, _warnings: list[str]) -> Any:  # noqa: ANN401 as it comes
        if value not in known:
            raise ArgumentError(path, f"{shown(value)} is not one of them", f"write one of {', '.join(known)}")
        return value

    return check


def boolean(path: str, value: Any, _warnings: list[str]) -> Any:  # noqa: ANN401 as it comes
    """True or false."""
    if not isinstance(value, bool):
        raise ArgumentError(path, f"{shown(value)} is neither true nor false", "write one of the two")
    return value


def anything(_path: str, value: Any, _warnings: list[str]) -> Any:  # noqa: ANN401 as it comes
    """What meshvm never writes, and so does not judge."""
    return value


def many(of: Check, most: int | None = None, least: int = 0) -> Check:
    """A list."""

    def check(path: str, value: Any, warnings: list[str]) -> Any:  # noqa: ANN401 as it comes
        if not isinstance(value, list | tuple):
            raise ArgumentError(path, f"{shown(value)} is not a list", "write a list")
        if (most is not None and len(value) > most) or len(value) < least:
            bounds = f"from {least} to {most}" if most is not None else f"{least} at least"
            raise ArgumentError(path, f"it has {len(value)} elements", f"write {bounds}")
        return [of(f"{path}[{index}]", one, warnings) for index, one in enumerate(value)]

    return check


def keyed(of: Check, most: int) -> Check:
    """A map with keys of the user's own."""

    def check(path: str, value: Any, warnings: list[str]) -> Any:  # noqa: ANN401 as it comes
        given = _given(path, value)
        if len(value) > most:
            raise ArgumentError(path, f"it has {len(value)} keys", f"write {most} at most")
        return {key: of(f"{path}[{key!r}]", one, warnings) for key, one in given.items()}

    return check


def fields(known: Mapping[str, Check], required: tuple[str, ...] = ()) -> Check:
    """An object with known fields."""

    def check(path: str, value: Any, warnings: list[str]) -> Any:  # noqa: ANN401 as it comes
        given = _given(path, value)
        for key in required:
            if key not in given:
                raise ArgumentError(f"{path}.{key}", "it is required", "give it a value")
        for key in sorted(given.keys() - known.keys()):
            told = key if re.match(r"\w{1,80}\Z", key) else repr(key)
            warnings.append(f"{path}.{told}: there is no such field, and the API server drops it; leave it out")
        return {key: known[key](f"{path}.{key}", one, warnings) for key, one in given.items() if key in known}

    return check


def _given(path: str, value: Any) -> Mapping[str, Any]:  # noqa: ANN401 as it comes
    """What has a value in a map: the API server takes a null for nothing."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ArgumentError(path, f"{shown(value)} is not a map of names to values", "write a map")
    return {key: one for key, one in value.items() if one is not None}
