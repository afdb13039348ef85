"""Objects of the table with something in them changed at random: for whoever compares two judges."""

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from hypothesis import strategies as st

from tests.verdict_cases import CASES, Case

Place = tuple[Any, ...]

# What has been right or wrong in some place, and may be either in another one.
VALUES: Final[list[Any]] = [
    *(None, True, False, 0, 1, -1, 1.5, 80.0, 65535, 65536, 2**31, 2**32),
    *("", "*", "a", "A", "-a", "a-", "a b", "a_b", "a.b", "a.b.", "a.5", "a\n", "é", "日本", "a" * 63, "a" * 64),
    *("10.0.0.7", "1.2.3.04", "::1", "fe80::1%eth0", "::ffff:1.2.3.4", "10.0.0.0/8", "10.0.0.0/08", "::/0"),
    *("unix://", "unix:///a", "unix://@", "unix://@a/", "unix:///", "127.0.0.1:80", ":80", "[]:80", "[::1]:+80"),
    *("./*", "*/*", "~/~", "//", "a/b", "./*.", "*.a", "*-a.b", "**", "a*"),
    *("0s", "1ms", "1.5h", "-1s", "1s1ms", ".5s", "1.s", "1d", "tcp", "hTTpS", "UDP", "DoubleHBONE"),
    *([], {}, [None], ["a"], [{}], {"": ""}, {"a": "b"}, {"a": 1}, {"a": None}),
]
# An expression is not read by lint, and what meshvm never writes is not judged by it.
_NOT_JUDGED: Final = ("expression", "metrics", "targetRef", "tracing")


def _places(value: Any, here: Place = (), key: str = "spec") -> Iterator[tuple[Place, str]]:
    """The way to everything in `value`, itself too, and the field that it is."""
    yield here, key
    inside: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, one in inside:
        yield from _places(one, (*here, step), step if isinstance(step, str) else f"{key}[]")


def _at(value: Any, place: Place) -> Any:
    for step in place:
        value = value[step]
    return value


def _seen() -> dict[str, list[Any]]:
    """The values of the table, by the field that they are."""
    found: dict[str, list[Any]] = {}
    for case in CASES:
        for place, key in _places(case.spec):
            found.setdefault(key, []).append(_at(case.spec, place))
    return found


_SEEN: Final = _seen()
_SMALL: Final = [case for case in CASES if not case.metadata and len(str(case.spec)) < 400]


@st.composite
def changed_cases(draw: st.DrawFn) -> Case:
    """A case of which nobody knows who refuses it."""
    case = draw(st.sampled_from(_SMALL))
    spec = case.spec
    for _ in range(draw(st.integers(1, 3))):
        place, key = draw(st.sampled_from(list(_places(spec))))
        value = draw(st.sampled_from(VALUES) | st.sampled_from(_SEEN.get(key, VALUES)))
        current = _at(spec, place)
        if isinstance(current, dict) and draw(st.booleans()):
            further = draw(st.sampled_from(sorted(_SEEN)))
            value = {**current, further.removesuffix("[]"): draw(st.sampled_from(_SEEN[further]))}
        spec = _with(spec, place, value)
    if any(word in json.dumps(spec) for word in _NOT_JUDGED):
        spec = case.spec
    return replace(case, name="changed", spec=spec, by="", path="", warned=False)


def _with(spec: Any, place: Place, value: Any) -> Any:
    if not place:
        return value
    changed = copy.deepcopy(spec)
    _at(changed, place[:-1])[place[-1]] = value
    return changed
