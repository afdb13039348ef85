"""Which modules does a source file import? Read from its syntax, so that nothing has to run."""

import ast
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


def sources(folder: str) -> list[Path]:
    """Every Python file under a folder of the checkout, in order."""
    return sorted((CHECKOUT / folder).rglob("*.py"))


def imports(source: Path) -> Iterator[str]:
    """The dotted names that a file imports, wherever in the file: `a.b` for `from a import b`."""
    for node in ast.walk(ast.parse(source.read_text(), str(source))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(node, source)
            yield from (f"{origin}.{name.name}" for name in node.names)


def _origin(node: ast.ImportFrom, source: Path) -> str:
    module = node.module or ""
    if not node.level:
        return module
    package = source.relative_to(CHECKOUT).parts[: -node.level]
    return ".".join([*package, module]).rstrip(".")
