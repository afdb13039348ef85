"""Where things that were built or installed are kept between runs: one folder an item and version."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path


def cache_root() -> Path:
    """`$MESHVM_CACHE`, else `meshvm` in the user's cache folder."""
    chosen = os.environ.get("MESHVM_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "meshvm"


def kept(item: str, version: str, build: Callable[[Path], None]) -> tuple[Path, bool]:
    """The folder of `item` at `version`, built when it is not there yet; and whether it was built now.

    A build goes to a folder beside it that is renamed when it is complete, so a run that was cut off leaves
    nothing that looks finished; a lock keeps two runs from building the same thing.
    """
    root = cache_root()
    root.mkdir(parents=True, exist_ok=True)
    place = root / f"{item}-{version}"
    with (root / f"{item}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if place.is_dir():
            return place, False
        fresh = root / f"{item}-{version}.part"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        build(fresh)
        fresh.rename(place)
    return place, True
