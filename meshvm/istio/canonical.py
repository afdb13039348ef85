"""How is a value of each type of protocol buffers written in the one form that Istio's own tools write?

They read YAML into protocol buffers and write those as canonical JSON: names in camel case, enums by name, durations in
seconds, and what has its type's zero left out. Each function here takes what was read and the path where it stood.
"""

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from meshvm.errors import ArgumentError

_LEAVE_OUT: Final = object()
Read = Callable[[object, str], object]
"""Gives the value as it is written, or raises an ArgumentError that names the path."""


def _expect(path: str, value: object, kind: str) -> ArgumentError:
    instead = "put it in quotes" if kind == "a string" and not isinstance(value, Mapping | list) else f"write {kind}"
    return ArgumentError(path, f"{_shown(value)} is not {kind}", instead)


def text(value: object, path: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise _expect(path, value, "a string")
    return value


def boolean(value: object, path: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise _expect(path, value, "true or false")
    return value


def number(value: object, path: str) -> float:
    """A number; also one in quotes, as protocol buffers have it in JSON."""
    if not isinstance(value, int | float | str) or isinstance(value, bool):
        raise _expect(path, value, "a number")
    try:
        known = float(value)
    except ValueError:
        raise _expect(path, value, "a number") from None
    return int(known) if known.is_integer() else known


def whole(value: object, path: str) -> int:
    """A whole number."""
    known = number(value, path)
    if not isinstance(known, int):
        raise _expect(path, value, "a whole number")
    return known


def whole_64(value: object, path: str) -> str:
    """A whole number of 64 bits, which is written in quotes: JSON's numbers are not that long."""
    return str(whole(value, path))


_SECONDS: Final = re.compile(r"-?[0-9]*\.?[0-9]+s\Z")


def duration(value: object, path: str) -> str:
    """Seconds, with none, three, six or nine places."""
    if not isinstance(value, str) or not _SECONDS.match(value):
        raise _expect(path, value, "a duration in seconds such as 45s")
    seconds = Decimal(value[:-1]).normalize()
    places = max(0, -int(seconds.as_tuple().exponent))
    return f"{seconds:.{next(size for size in (0, 3, 6, 9) if places <= size or size == 9)}f}s"


def unless(read: Read, zero: object) -> Read:
    """A field that is left out when it has its type's zero: plain ones are, wrapped ones are not."""

    def given(value: object, path: str) -> object:
        known = read(value, path)
        return _LEAVE_OUT if known == zero else known

    return given


def enum(*names: str, plain: bool = True, **numbers: int) -> Read:
    """One of some names, also by its number.

    :param plain: the first one is left out, as the zero of a plain field is.
    :param numbers: names whose numbers do not follow.
    """
    by_number = {**dict(enumerate(names)), **{at: name for name, at in numbers.items()}}

    def named(value: object, path: str) -> object:
        name = by_number.get(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if name not in by_number.values():
            raise _expect(path, value, f"one of {', '.join(by_number.values())}")
        return _LEAVE_OUT if plain and name == names[0] else name

    return named


def every(read: Read) -> Read:
    """A list; an empty one is left out."""

    def listed(value: object, path: str) -> object:
        if not isinstance(value, list):
            raise _expect(path, value, "a list")
        return [read(item, f"{path}[{index}]") for index, item in enumerate(value)] or _LEAVE_OUT

    return listed


def by_name(read: Read) -> Read:
    """A map by strings; an empty one is left out."""

    def mapped(value: object, path: str) -> object:
        if not isinstance(value, Mapping):
            raise _expect(path, value, "a map")
        known = {_key(key, path): read(item, f"{path}.{key}") for key, item in value.items()}
        return known or _LEAVE_OUT

    return mapped


def message(**fields: Read) -> Callable[[object, str], dict[str, Any]]:
    """A message of named fields. Null is no value; a field that is not known is of a newer Istio, and stays."""

    def known_fields(value: object, path: str) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise _expect(path, value, "a map")
        known: dict[str, Any] = {}
        for key, item in value.items():
            if item is None:
                continue
            name = camel(_key(key, path))
            read = fields.get(name)
            result = read(item, f"{path}.{name}" if path else name) if read else item
            if result is not _LEAVE_OUT:
                known[name] = result
        return known

    return known_fields


def _key(key: object, path: str) -> str:
    # YAML has maps by number, JSON has not.
    if isinstance(key, int) and not isinstance(key, bool):
        return str(key)
    if not isinstance(key, str):
        raise ArgumentError(path, f"the key {_shown(key)} is not a string", "put it in quotes")
    return key


def _shown(value: object) -> str:
    # As YAML has it.
    return json.dumps(value) if value is None or isinstance(value, bool) else repr(value)


def camel(name: str) -> str:
    """Either spelling of a field is read: `proxy_metadata` and `proxyMetadata`."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest) if rest and name.islower() else name
