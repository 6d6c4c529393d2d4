"""Tests of the pages: their tables agree with the code."""

from __future__ import annotations

import pathlib
import re

from conftest import ROOT

BENCHES = "".join(
    path.read_text()
    for path in (ROOT / "benches").rglob("*.*")
    if path.suffix in {".rs", ".c", ".py"}
)


def rows(page: str, heading: str) -> list[list[str]]:
    """The rows of the first table below a heading."""
    _, _, below = (ROOT / page).read_text().partition(f"\n## {heading}\n")
    table = re.search(r"^\|.*\|\n\|[-|]+\|\n((?:\|.*\|\n)+)", below, re.MULTILINE)
    assert table, f"{page} has no table below {heading}"
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table[1].splitlines()]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_promise_of_the_benchmarks_has_its_row() -> None:
    # As benches/src/main.rs gives them to `promise`, `at_most` and `decided`: the name, and behind
    # it, as the first number, the limit.
    calls = re.findall(
        r"\b(?:at_most|promise|decided)\(\s*(?:&format!\()?\"([a-z0-9_{}]+)\".*?(?<![\w.])(\d[\d_]*(?:\.\d+)?(?:e\d+)?)",
        BENCHES,
        re.DOTALL,
    )
    code = {
        name.replace("{name}", storm): float(limit.replace("_", ""))
        for name, limit in calls
        for storm in ("refresh_storm", "storm_sqlite", "storm_postgres")
    }
    assert len(code) == len(calls) + 2 * 2 > 20
    page = {}
    for name, _, limit in rows("docs/benchmarks.md", "Promises"):
        number = re.search(r"\d+(?:\.\d+)?", limit)
        assert number, limit
        page[quoted(name)[0]] = float(number[0])
    assert page == code


def test_every_line_of_the_benchmarks_has_its_row() -> None:
    lines = re.findall(
        r"\bline\(\s*\"([a-z_]+)\"|\btwo_threads\(\"([a-z_]+)\"|\"bench\": \"([a-z_]+)\"", BENCHES
    )
    lines += re.findall(r"printf\(line, \"([a-z_]+)\"()()|rounds: .*?\"([a-z_]+)\"", BENCHES)
    printed = {name for found in lines for name in found if name} - {"promise"}
    assert {quoted(bench)[0] for bench, *_ in rows("docs/benchmarks.md", "Lines")} == printed


def test_every_example_has_its_row() -> None:
    text = (ROOT / "examples" / "README.md").read_text()
    programs = {
        path.stem
        for path in (ROOT / "examples").glob("*/*.*")
        if path.suffix in {".rs", ".c", ".cpp", ".py"}
    }
    named = set(re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE))
    assert named == programs


def test_every_link_of_the_pages_leads_somewhere() -> None:
    for page in pages():
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            path, _, heading = link.partition("#")
            if "://" in link:
                continue
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), f"{page.relative_to(ROOT)}: {link}"
            if heading:
                assert heading in anchors(target), f"{page.relative_to(ROOT)}: {link}"


def test_every_place_in_the_architecture_exists() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    core = ROOT / "crates" / "hoopauth" / "src"
    places = re.findall(r"`([a-z_/-]+(?:\.rs|/))`", page)
    assert len(places) > 50
    names = {path.name for path in core.rglob("*.rs")}
    for place in places:
        exists = (ROOT / place).exists() or (core / place).exists() or place in names
        assert exists, place


def pages() -> list[pathlib.Path]:
    """Return the pages that people read."""
    folders = ("bindings", "crates", "docs", "examples", "python")
    below = [page for folder in folders for page in (ROOT / folder).rglob("*.md")]
    return [*ROOT.glob("*.md"), *(page for page in below if "target" not in page.parts)]


def anchors(page: pathlib.Path) -> set[str]:
    """Return the names by which links reach the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
