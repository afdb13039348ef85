"""What does a YAML text mean to Istio, which reads it as Go does, and which text means this value to every reader?

Istio's programs read YAML 1.1 by rules of their own (go.yaml.in/yaml/v2): `n` is a boolean, `1e3` a number, `12:30` and
`2020-01-01` are strings. PyYAML decides each of these otherwise, so a label could change on its way.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import yaml

_NULL: Final = re.compile(r"(?:~|null|Null|NULL|)\Z")
_BOOL: Final = re.compile(r"(?:y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON|n|N|no|No|NO|false|False|FALSE|off|Off|OFF)\Z")
_TRUE: Final = frozenset({"y", "yes", "true", "on"})
# Underscores are taken out of a number before anything else looks at it.
_INT: Final = re.compile(r"[-+]?(?:0_*[xX][0-9a-fA-F_]+|0_*[bB][01_]+|0_*[oO]?[0-7_]+|[1-9][0-9_]*|0)\Z")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9][0-9_]*|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_NO_NUMBER: Final = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")


Write = Callable[[str], str]


class _Reader(yaml.SafeLoader):
    """Reads plain words as Go does."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 as PyYAML has it


def _bool(_: _Reader, node: yaml.ScalarNode) -> bool:
    return node.value.lower() in _TRUE


def _int(_: _Reader, node: yaml.ScalarNode) -> int:
    text = node.value.replace("_", "").lower()
    sign = -1 if text.startswith("-") else 1
    text = text.lstrip("+-")
    base = {"0x": 16, "0b": 2, "0o": 8}.get(text[:2])
    if base:
        return sign * int(text[2:], base)
    return sign * int(text, 8 if len(text) > 1 and text[0] == "0" else 10)


def _float(_: _Reader, node: yaml.ScalarNode) -> float:
    return float(node.value.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))


def _merge(_: _Reader, node: yaml.ScalarNode) -> str:
    """As a key it means "merge"; as a value, nothing."""
    return str(node.value)


def _str(_: _Reader, node: yaml.ScalarNode) -> str:
    r"""Half a character, as JSON may write it (`\ud83d\ude42`), is none in YAML."""
    if _SURROGATE.search(node.value):
        raise yaml.constructor.ConstructorError(problem="half a character", problem_mark=node.start_mark)
    return str(node.value)


_KINDS: Final = (
    ("str", None, _str),
    ("null", _NULL, None),
    ("bool", _BOOL, _bool),
    ("int", _INT, _int),
    ("float", _FLOAT, _float),
    ("float", _NO_NUMBER, None),
    ("merge", re.compile(r"<<\Z"), _merge),
)
for _kind, _pattern, _construct in _KINDS:
    if _pattern:
        _Reader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", _pattern, None)
    if _construct:
        _Reader.add_constructor(f"tag:yaml.org,2002:{_kind}", _construct)


def load(text: str) -> list[Any]:
    """The documents of a text; raises ValueError when it is not YAML."""
    try:
        return list(yaml.load_all(text, Loader=_Reader))
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


# Plain for Go, PyYAML and YAML 1.2 alike, unless it is a word with a meaning.
_PLAIN: Final = re.compile(r"[A-Za-z0-9_/.+(^$;\\](?:[!-~]|(?<!:) (?![# ]))*(?<![: ])\Z")
_SINGLE: Final = re.compile(r"[ -~]+\Z")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}")
_BASE_60: Final = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?\Z")
# What JSON leaves as it is and YAML has no place for, or reads as the end of a line.
_NOT_IN_YAML: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_JSON: Final = json.JSONEncoder(ensure_ascii=False).encode
_PARTS: Final = re.compile(r"\d+|[^\W\d_]+|[\W_]")


def dump(value: Mapping[str, Any], *, quoted: bool) -> str:
    """The text of a document of plain values, its keys in the order in which Istio's tools write them.

    :param quoted: every string in double quotes, so that no reader takes one for anything else; else only those that
        need it, as a person would write them.
    """
    lines: list[str] = []
    _block(value, "", lines, _quote if quoted else _as_a_person)
    return "".join(f"{line}\n" for line in lines)


def _block(value: Mapping[str, Any], indent: str, lines: list[str], write: Write) -> None:
    for key, written in _in_order(tuple(value)):
        _entry(f"{indent}{written}:", value[key], indent, lines, write)


@lru_cache(maxsize=1024)
def _in_order(keys: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Keys as they are and as they are written; ten thousand machines have the same ones."""
    return tuple((key, _as_a_person(key)) for key in sorted(keys, key=_order))


def _entry(head: str, value: Any, indent: str, lines: list[str], write: Write) -> None:  # noqa: ANN401 any plain value
    # Most values are strings.
    if isinstance(value, str):
        lines.append(f"{head} {write(value)}")
    elif isinstance(value, Mapping) and value:
        lines.append(head)
        _block(value, f"{indent}  ", lines, write)
    elif isinstance(value, Sequence) and value:
        lines.append(head)
        for item in value:
            _item(item, indent, lines, write)
    else:
        lines.append(f"{head} {_plain(value)}")


def _item(item: Any, indent: str, lines: list[str], write: Write) -> None:  # noqa: ANN401 any plain value
    if isinstance(item, str):
        lines.append(f"{indent}- {write(item)}")
    elif isinstance(item, Mapping) and item:
        inner: list[str] = []
        _block(item, f"{indent}  ", inner, write)
        lines.append(f"{indent}- {inner[0].lstrip(' ')}")
        lines.extend(inner[1:])
    else:
        lines.append(f"{indent}- {_flow(item)}")


def _plain(value: object) -> str:
    """Anything but a string or a collection that holds something."""
    # JSON's booleans, null, whole numbers and empty collections are YAML's, and its other numbers when they have a dot.
    text = json.dumps({} if isinstance(value, Mapping) else value)
    return text.replace("e", ".0e") if isinstance(value, float) and "." not in text else text


def _flow(value: object) -> str:
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_quote(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return _plain(value)


def _quote(text: str) -> str:
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", _JSON(text))


def _as_a_person(text: str) -> str:
    if _is_a_word(text) or not _SINGLE.match(text):
        return _quote(text)
    return text if _PLAIN.match(text) else "'" + text.replace("'", "''") + "'"


def _is_a_word(text: str) -> bool:
    """Whether any of the YAML readers takes it for something other than a string."""
    patterns = (_NULL, _BOOL, _INT, _FLOAT, _NO_NUMBER, _DATE, _BASE_60)
    return any(pattern.match(text) for pattern in patterns)


def _order(key: str) -> list[tuple[int, int, str]]:
    """Digits by their number, and before letters; what is neither before both."""
    return [
        (1, int(part), str(len(part))) if part.isdecimal() else (2 if part.isalpha() else 0, 0, part)
        for part in _PARTS.findall(key)
    ]
