"""How a property travels between engine and plugin: protobuf structs and Python values, secrets and unknowns kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import struct_pb2

# The engine's own words on the wire (sdk/go/common/resource/properties.go and plugin/rpc.go).
_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"
_OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWNS: Final = frozenset(
    {
        _UNKNOWN,  # a string; the next ones are a boolean, a number, a list, an asset, an archive, an object
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)
_EXACT: Final = 2**53


class Unknown:
    """A value that a preview does not know yet; there is one, `UNKNOWN`."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that the engine encrypts in the state; its `repr` shows nothing of it."""

    value: Any

    def __repr__(self) -> str:
        return "Secret(...)"


def inputs(message: struct_pb2.Struct) -> dict[str, Any]:
    """The struct as a dict: secrets as `Secret`, unknowns as `UNKNOWN`, whole numbers as `int`, assets as they came."""
    return {key: _value(value) for key, value in message.fields.items()}


def struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    """The reverse of `inputs`."""
    return struct_pb2.Struct(fields={str(key): _message(value) for key, value in values.items()})


def plain(value: Any) -> Any:
    """`value` with every `Secret` in it, at any depth, replaced by what it holds."""
    if isinstance(value, Secret):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def redacted(value: Any) -> Any:
    """`value` fit for a log or a journal: secrets as `[secret]`, unknowns as `[unknown]`."""
    if isinstance(value, Secret):
        return "[secret]"
    if value is UNKNOWN:
        return "[unknown]"
    if isinstance(value, Mapping):
        return {key: redacted(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(item) for item in value]
    return value


def has_unknown(value: Any) -> bool:
    """Whether `UNKNOWN` is anywhere in it."""
    if isinstance(value, Secret):
        return has_unknown(value.value)
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(has_unknown(item) for item in value)
    return value is UNKNOWN


def has_secret(value: Any) -> bool:
    """Whether a `Secret` is anywhere in it."""
    if isinstance(value, Mapping):
        return any(has_secret(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(has_secret(item) for item in value)
    return isinstance(value, Secret)


def _value(message: struct_pb2.Value) -> Any:
    kind = message.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if message.string_value in _UNKNOWNS else message.string_value
    if kind == "number_value":
        number = message.number_value
        return int(number) if number.is_integer() and abs(number) <= _EXACT else number
    if kind == "bool_value":
        return message.bool_value
    if kind == "list_value":
        return [_value(item) for item in message.list_value.values]
    if kind == "struct_value":
        return _object(message.struct_value)
    return None


def _object(message: struct_pb2.Struct) -> Any:
    signature = message.fields[_SIGNATURE].string_value if _SIGNATURE in message.fields else ""
    if signature == _SECRET:
        return Secret(_value(message.fields["value"]))
    if signature == _OUTPUT:
        value = _value(message.fields["value"]) if "value" in message.fields else UNKNOWN
        secret = "secret" in message.fields and message.fields["secret"].bool_value
        return Secret(value) if secret else value
    return inputs(message)


def _message(value: Any) -> struct_pb2.Value:
    if isinstance(value, Secret):
        sealed = {_SIGNATURE: struct_pb2.Value(string_value=_SECRET), "value": _message(value.value)}
        return struct_pb2.Value(struct_value=struct_pb2.Struct(fields=sealed))
    if isinstance(value, Mapping):
        return struct_pb2.Value(struct_value=struct(value))
    if isinstance(value, list | tuple):
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[_message(item) for item in value]))
    return _scalar(value)


def _scalar(value: Any) -> struct_pb2.Value:
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, int | float):
        return struct_pb2.Value(number_value=value)
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    if value is UNKNOWN:
        return struct_pb2.Value(string_value=_UNKNOWN)
    raise TypeError(f"a property cannot be a {type(value).__name__}")
