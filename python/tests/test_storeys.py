"""The order of the package's files: a file imports only from files below its own."""

from __future__ import annotations

import ast
from pathlib import Path

import hoopauth

# From the ground up. The native module stands below all: it imports files of the package by their
# names, when it needs them.
STOREYS = [
    "_hoopauth",
    "scopes",
    "_headers",
    "_errors",
    "types",
    "_adapter",
    "_requests",
    "_httpx",
    "_webhooks",
    "_auth",
    "__init__",
]


def imports(file: Path) -> set[str]:
    """The files of the package that a file imports, for its types too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name} has a relative import"
            if node.module == "hoopauth":
                found.update(name.name for name in node.names)
            elif (node.module or "").startswith("hoopauth."):
                found.add((node.module or "").removeprefix("hoopauth."))
        elif isinstance(node, ast.Import):
            names = [name.name for name in node.names]
            found.update(name.removeprefix("hoopauth.") for name in names if "hoopauth" in name)
    return found


def test_files_import_only_from_below() -> None:
    files = {file.stem: file for file in Path(hoopauth.__file__).parent.glob("*.py")}
    assert files.keys() | {"_hoopauth"} == set(STOREYS)
    for place, name in enumerate(STOREYS[1:], start=1):
        above = imports(files[name]) - set(STOREYS[:place])
        assert not above, f"{name}.py imports {above}"
