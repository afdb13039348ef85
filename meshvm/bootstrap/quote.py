"""The one function that puts a value into shell text."""

from meshvm.errors import MeshvmError


def quote(value: str) -> str:
    """`value` as one word of any POSIX shell, in single quotes, whatever is in it.

    A shell variable cannot hold a NUL byte: such a value is refused rather than cut short.
    """
    if "\0" in value:
        message = "a value for the machine contains a NUL byte, which no shell variable can hold; remove it"
        raise MeshvmError(message)
    return "'" + value.replace("'", "'\\''") + "'"
