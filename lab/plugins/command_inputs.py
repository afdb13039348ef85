"""What inputs the command plugin accepts, and what it makes of them: defaults, secrets, and its words for a mistake."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lab.plugins.values import UNKNOWN, Secret, plain

_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_ASSET: Final = "c44067f5952c0a294b673a41bacd8c17"
_ARCHIVE: Final = "0def7320c3a5731c473e5ecbe6d01bc7"
_OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"

# The original's names of types, as its messages print them.
ANY: Final = "interface {}"
BOOL: Final = "bool"
INT: Final = "int"
LIST: Final = "[]interface {}"
MAP: Final = "map[string]string"
NUMBER: Final = "float64"
SOURCE: Final = "types.AssetOrArchive"
STRING: Final = "string"
STRINGS: Final = "[]string"
_ZEROS: Final[Mapping[str, Any]] = {BOOL: False, INT: 0, LIST: [], MAP: {}, NUMBER: 0, STRING: "", SOURCE: {}}


@dataclass(frozen=True)
class Field:
    """One input: its type, and whether it is required, secret by itself, or has a default."""

    kind: "str | Record"
    required: bool = False
    secret: bool = False
    default: Any = None


@dataclass(frozen=True)
class Record:
    """An object with fixed fields, in the order in which the original checks them."""

    name: str
    fields: Mapping[str, Field]

    @property
    def short(self) -> str:
        """The name without its package."""
        return self.name.rpartition(".")[2]

    def __str__(self) -> str:
        return self.name


_LOGIN: Final[Mapping[str, Field]] = {
    "user": Field(STRING, default="root"),
    "password": Field(STRING, secret=True),
    "host": Field(STRING, required=True),
    "port": Field(NUMBER, default=22),
    "privateKey": Field(STRING, secret=True),
    "privateKeyPassword": Field(STRING, secret=True),
    "agentSocketPath": Field(STRING),
    "dialErrorLimit": Field(INT, default=10),
    "perDialTimeout": Field(INT, default=15),
    "hostKey": Field(STRING),
}
_PROXY: Final = Record("remote.ProxyConnection", _LOGIN)
_CONNECTION: Final = Field(Record("remote.Connection", {**_LOGIN, "proxy": Field(_PROXY)}), required=True, secret=True)
_COMMANDS: Final[Mapping[str, Field]] = {
    "triggers": Field(LIST),
    "create": Field(STRING),
    "update": Field(STRING),
    "delete": Field(STRING),
}
_PROCESS: Final[Mapping[str, Field]] = {
    "stdin": Field(STRING),
    "logging": Field(STRING),
    "interpreter": Field(STRINGS),
    "dir": Field(STRING),
    "environment": Field(MAP),
    "assetPaths": Field(STRINGS),
    "archivePaths": Field(STRINGS),
    "addPreviousOutputInEnv": Field(BOOL),
}
REMOTE_COMMAND: Final = Record(
    "remote.CommandInputs",
    {
        **_COMMANDS,
        "stdin": Field(STRING),
        "logging": Field(STRING),
        "connection": _CONNECTION,
        "environment": Field(MAP),
        "addPreviousOutputInEnv": Field(BOOL),
    },
)
COPY_TO_REMOTE: Final = Record(
    "remote.CopyToRemoteInputs",
    {
        "connection": _CONNECTION,
        "triggers": Field(LIST),
        "source": Field(SOURCE, required=True),
        "remotePath": Field(STRING, required=True),
    },
)
LOCAL_COMMAND: Final = Record("local.CommandInputs", {**_COMMANDS, **_PROCESS})
LOCAL_RUN: Final = Record("local.RunInputs", {**_PROCESS, "command": Field(STRING, required=True)})


def mistakes(record: Record, values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What does not fit `record`: the property and the reason, in the original's words."""
    found = list(_mistakes(record, values))
    return found + [
        (name, f"Unrecognized field '{name}' on '{record}'") for name in sorted(values) if name not in record.fields
    ]


def decoding(found: list[tuple[str, str]]) -> str:
    """Several mistakes as the one text that the original makes of them."""
    return f"{len(found)} failures decoding:" + "".join(f"\n\t{name}: {reason}" for name, reason in found)


def _mistakes(record: Record, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, field in record.fields.items():
        value = _opened(values.get(name))
        if value is UNKNOWN or (value is None and not field.required):
            continue
        if value is None:
            yield name, f"Missing required field '{name}' on '{record}'"
        elif isinstance(field.kind, Record) and isinstance(value, Mapping):
            inner = mistakes(field.kind, value)
            if inner:
                yield name, f"An error occurred decoding '{record.short}.{name}': {decoding(inner)}"
        else:
            yield from _wrong(record, name, field.kind, value)


def _wrong(record: Record, name: str, kind: "str | Record", value: Any) -> Iterator[tuple[str, str]]:
    if kind == STRINGS and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _wrong(record, f"{name}[{index}]", STRING, _opened(item))
    elif kind == MAP and isinstance(value, Mapping):
        for key, item in value.items():
            yield from _wrong(record, f"{name}[{key}] value", STRING, _opened(item))
    elif value is not UNKNOWN and kind != SOURCE and (given := _kind(value)) != kind and (given, kind) != (NUMBER, INT):
        if isinstance(value, Mapping):
            what = f"Cannot decode Object{{}} to type {kind}; it isn't a struct, and no custom decoder exists"
            yield name, f"An error occurred decoding '{record.short}.{name}': {what}"
        else:
            yield name, f"Field '{name}' on '{record}' must be a '{kind}'; got '{given}' instead"


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, int | float):
        return NUMBER
    if isinstance(value, list):
        return LIST
    return "map[string]interface {}" if isinstance(value, Mapping) else STRING


def settled(kind: "str | Record", value: Any) -> Any:
    """`value` as the original's check hands it on: defaults filled in, its own secrets marked.

    A value that is secret and unknown at once loses the unknown: it becomes the secret of an empty value. That is the
    original's doing, and what a preview of a machine not yet made shows.
    """
    if isinstance(value, Secret):
        value = Secret(_zero(kind) if value.value is UNKNOWN else settled(kind, value.value))
    if value is UNKNOWN or isinstance(value, Secret):
        return value
    if isinstance(kind, Record):
        return {name: item for name, item in _fields(kind, value) if item is not None}
    if kind == SOURCE:
        return _source(value)
    if kind == LIST:
        return [settled(ANY, item) if isinstance(item, Secret) else item for item in value]
    if kind == MAP:
        return {key: settled(STRING, item) for key, item in value.items()}
    return int(value) if kind == INT else value


def _fields(record: Record, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, field in record.fields.items():
        value = values.get(name)
        if field.kind == STRINGS and _opened(value) is UNKNOWN:
            continue  # the original loses a list of strings that is not known yet
        item = field.default if value is None else settled(field.kind, value)
        yield name, Secret(item) if field.secret and item is not None and not isinstance(item, Secret) else item


def marked(kind: "str | Record", values: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs as they came, with the record's own secrets marked: so no refusal shows one."""
    result = {name: value for name, value in values.items() if value is not None}
    for name, field in kind.fields.items() if isinstance(kind, Record) else ():
        if name not in result:
            continue
        value = result[name]
        if isinstance(field.kind, Record) and isinstance(_opened(value), Mapping):
            inner = marked(field.kind, _opened(value))
            value = Secret(inner) if isinstance(value, Secret) else inner
        result[name] = Secret(value) if field.secret and not isinstance(value, Secret) else value
    return result


def wire(value: Any) -> Any:
    """`value` ready for `struct`, in the original's form of a secret that is unknown or empty."""
    if isinstance(value, Secret):
        if value.value is UNKNOWN:
            return {_SIGNATURE: _OUTPUT, "secret": True}
        return {_SIGNATURE: _SECRET} if value.value is None else Secret(wire(value.value))
    if isinstance(value, Mapping):
        return {key: wire(item) for key, item in value.items() if item is not None}
    return [wire(item) for item in value] if isinstance(value, list) else value


def source_mistakes(value: Any) -> list[tuple[str, str]]:
    """What is wrong with the source of a copy; one that is unknown yet counts as missing, in a preview too."""
    source = _opened(value)
    signature = source.get(_SIGNATURE) if isinstance(source, Mapping) else None
    if signature not in {_ASSET, _ARCHIVE}:
        return [("asset", "either asset or archive must be set")]
    if signature == _ASSET and not source.get("path") and not source.get("text"):
        return [("asset", "asset must be a path-based file asset or a text asset")]
    if signature == _ARCHIVE and not source.get("path"):
        return [("archive", "archive must be a path to a file or directory")]
    return []


def copied(value: Any) -> tuple[str, str]:
    """The path and the text of a source: one of them is empty."""
    source = plain(value)
    return str(source.get("path") or ""), str(source.get("text") or "")


def _source(value: Any) -> Any:
    signature = value.get(_SIGNATURE) if isinstance(value, Mapping) else None
    if signature == _ASSET:
        return {"hash": "", "path": "", "text": "", "uri": "", **value}
    return {"assets": {}, "hash": "", "path": "", "uri": "", **value} if signature == _ARCHIVE else {}


def _zero(kind: "str | Record") -> Any:
    if isinstance(kind, Record):
        empty = {name: _zero(field.kind) for name, field in kind.fields.items() if field.required}
        return settled(kind, empty)
    return _ZEROS.get(kind)


def _opened(value: Any) -> Any:
    return value.value if isinstance(value, Secret) else value
