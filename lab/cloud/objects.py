"""What exists in the lab's cloud: one JSON file an object, so that plugins, the lab and tests see the same.

A run of the engine starts its plugins anew each time; what they made must outlive them. Secrets are never stored.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True)
class CloudObject:
    """One object.

    :param id: the cloud's id of it, e.g. `sg-0a1b...` or `projects/p/global/firewalls/ssh`.
    :param kind: the type token of its resource.
    :param inputs: what was asked for, without what is secret.
    :param outputs: what the cloud answered, without what is secret.
    """

    id: str
    kind: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)

    def get(self, name: str, default: Any = None) -> Any:
        """An output, else an input, else `default`."""
        return self.outputs.get(name, self.inputs.get(name, default))


class Objects:
    """The objects of the lab that runs in `run`.

    :param run: the lab's run directory.
    """

    def __init__(self, run: Path) -> None:
        self._folder = run / "cloud" / "objects"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._read: dict[str, tuple[int, CloudObject]] = {}  # by file name, with the time it was written

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Nobody else, in this process or another, is inside at the same time: look first, then write."""
        with (self._folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def put(self, item: CloudObject) -> None:
        """Store it; an object of the same id is overwritten."""
        file = self._file(item.id)
        fresh = file.with_suffix(".part")
        fresh.write_text(json.dumps(asdict(item), indent=1, sort_keys=True))
        fresh.replace(file)

    def get(self, id_: str) -> CloudObject | None:
        """The object of that id."""
        return self._at(self._file(id_))

    def remove(self, id_: str) -> None:
        """Forget it; harmless when it is not there."""
        self._file(id_).unlink(missing_ok=True)

    def of_kind(self, *kinds: str) -> list[CloudObject]:
        """Every object of those kinds, by id."""
        return [item for item in self.all() if item.kind in kinds]

    def all(self) -> list[CloudObject]:
        """Every object, by id."""
        found = [self._at(file) for file in sorted(self._folder.glob("*.json"))]
        return [item for item in found if item is not None]

    def _at(self, file: Path) -> CloudObject | None:
        """What the file holds, read again when it has been written again; None when it is gone."""
        try:
            with file.open() as opened:
                stamp = os.fstat(opened.fileno()).st_mtime_ns
                known = self._read.get(file.name)
                if known is not None and known[0] == stamp:
                    return known[1]
                item = CloudObject(**json.load(opened))
        except FileNotFoundError:
            return None
        self._read[file.name] = (stamp, item)
        return item

    def _file(self, id_: str) -> Path:
        return self._folder / f"{quote(id_, safe='')}.json"


def all_objects(run: Path) -> dict[str, CloudObject]:
    """Every object of the lab that runs in `run`, by id: what a test asks to see that nothing is left."""
    return {item.id: item for item in Objects(run).all()}
