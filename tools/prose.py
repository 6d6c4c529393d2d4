#!/usr/bin/env python3
"""Check two rules of prose: lines have at most 100 columns, and doc comments open plainly.

    tools/prose.py           every file of the tree, without the paths of `TO_DO`
    tools/prose.py --all     every file of the tree
    tools/prose.py PATH...   these files, and all files in these folders

Prints `file:line: rule` for each finding and exits 1 if there is one.

Width. A tab counts as 4 columns. These lines may be wider:

- lines of data (`DATA`);
- rows of tables, in Markdown and in comments: they begin with `|`;
- lines with a word of more than 60 characters, such as a URL or a key, which cannot be broken.

Generated files (`GENERATED`) are not checked; their sources are.

Opening. The first word of a doc comment (`///`, `//!`, `/** */`, a Python docstring) must be a
verb or a noun. Pronouns and conjunctions (`OPENERS`) hide the subject: "Whether it is fresh."
should be "Returns `true` while the token is fresh." The first line of a comment is checked;
the first lines of its other paragraphs are not.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent

WIDTH = 100
LONGEST_WORD = 60
TAB = 4

# Files and folders whose prose is still to be rewritten.
TO_DO = [
    "Makefile",
]

# Folders that hold no source text.
NO_SOURCE = {"target", "corpus", "__pycache__", "node_modules", "dist", "env"}

# Endings of files that are read by people.
CODE = {".rs", ".c", ".h", ".hpp", ".cpp", ".js", ".py", ".pyi"}
TEXT = {".md", ".toml", ".sh", ".txt", ".in"}
NAMES = {"Makefile"}

# Files that hold data, one record in a line.
DATA = {"tests/c/symbols.txt", "python/requirements-test.txt"}

# A file with these words in its first lines is written by a program.
GENERATED = re.compile(r"(?:Generated (?:from|by)|Made by cbindgen|Written by `make) ")

OPENERS = re.compile(
    r"(?:What|Whatever|Whether|Who|Whom|Whose|Which|When|Whenever|Where|Wherever|Why|How"
    r"|That|Those|It|Its|They|Their|He|His|As|Of|By"
    r"|(?:At|For|From|In|On|To|Under|Until|With) (?:what|which|whom|whose|when|where|how)"
    r")\b(?![-'])"
)

DOC_LINE = re.compile(r"\s*(//[/!])(?!/)(.*)")
DOC_BLOCK = re.compile(r"\s*/\*\*<?(?![*/])(.*)")


def too_wide(line: str) -> bool:
    """Tell if `line` breaks the rule of width.

    >>> too_wide("x " * 50)
    False
    >>> too_wide("x " * 60)
    True
    >>> too_wide("/// | " + "x " * 60), too_wide("see https://example.com/" + "x" * 90)
    (False, False)
    """
    line = line.rstrip()
    if len(line.expandtabs(TAB)) <= WIDTH:
        return False
    table = line.lstrip(" \t/*#!").startswith("|")
    return not table and all(len(word) <= LONGEST_WORD for word in line.split())


def riddling(text: str) -> str | None:
    """Return the words that a doc comment must not begin with, if `text` begins with such.

    >>> riddling("Whether it is fresh."), riddling("By how much it grows.")
    ('Whether', 'By')
    >>> riddling("Returns what is left."), riddling("`That` and others."), riddling("Its name.")
    (None, None, 'Its')
    """
    found = OPENERS.match(text.strip())
    return found.group() if found else None


def openings(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Yield the line number and the text of each first line of a doc comment in Rust, C and C++.

    >>> list(openings(["/// A.", "///", "/// B.", "fn b() {}", "//! C.", "/** D. */"]))
    [(1, ' A.'), (5, ' C.'), (6, ' D. */')]
    >>> list(openings(["/**", " * E.", " */"]))
    [(2, ' E.')]
    """
    mark = ""  # how the doc comment of the last line is marked
    for number, line in enumerate(lines, 1):
        if mark == "/**" and (text := line.strip().lstrip("*")):
            yield number, text
            mark = ""
        elif found := DOC_LINE.match(line):
            if mark != found[1]:
                yield number, found[2]
            mark = found[1]
        elif found := DOC_BLOCK.match(line):
            mark = "" if found[1].strip() else "/**"
            if not mark:
                yield number, found[1]
        elif mark != "/**":
            mark = ""


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line number and the text of each docstring of a Python module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text and isinstance(node.body[0], ast.Expr):
                yield node.body[0].lineno, text


def findings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line number and the rule of each finding in one file."""
    source = path.read_text(encoding="utf-8")
    lines = source.split("\n")
    name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
    if GENERATED.search("\n".join(lines[:6])):
        return
    if name not in DATA:
        for number, line in enumerate(lines, 1):
            if too_wide(line):
                columns = len(line.expandtabs(TAB))
                yield number, f"{columns} columns; at most {WIDTH}"
    if path.suffix in {".py", ".pyi"}:
        opened = docstrings(source)
    elif path.suffix in CODE:
        opened = openings(lines)
    else:
        return
    for number, text in opened:
        if words := riddling(text):
            yield number, f'doc comment begins with "{words}"; begin with a verb or a noun'


def is_text(path: Path) -> bool:
    """Tell if people read the file."""
    return path.suffix in CODE | TEXT or path.name in NAMES


def walk(folder: Path) -> Iterator[Path]:
    """Yield the text files in a folder, as far as Git would keep them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        names = [folder / name for name in listed.stdout.split("\0") if name]
    else:
        names = []
        for place, folders, files in os.walk(folder):
            folders[:] = [f for f in folders if f not in NO_SOURCE and not f.startswith(".")]
            names += [Path(place, name) for name in files]
    for path in sorted(names):
        if is_text(path) and path.is_file() and not NO_SOURCE.intersection(path.parts):
            yield path


def chosen(arguments: list[str]) -> Iterator[Path]:
    """Yield the files that the arguments name."""
    for argument in arguments or [str(ROOT)]:
        path = Path(argument).resolve()
        if path.is_dir():
            yield from walk(path)
        elif path.is_file():
            yield path
        else:
            sys.exit(f"{argument}: no such file or folder")


def main(arguments: list[str]) -> int:
    """Check the files that `arguments` name; return the exit status."""
    skip_to_do = not arguments
    found = 0
    for path in chosen([a for a in arguments if a != "--all"]):
        name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
        if skip_to_do and name.startswith(tuple(TO_DO)):
            continue
        for number, rule in sorted(findings(path)):
            print(f"{name}:{number}: {rule}")
            found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
