"""How do files get into a folder so that nobody else can read them, not even for an instant?"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files, mode 0600, each at once and whole; a folder that is made is its owner's alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, text in files.items():
        _replace(folder / name, text.encode())


def _replace(path: Path, content: bytes) -> None:
    """An older file keeps its content and its mode until it is gone: nothing is written into one that others read."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
