"""Pages that are found, links that lead somewhere, decisions with a date and a status."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from commands.site.configuration import Configuration
from tests.readme import ROOT

DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
STATUS = re.compile(r"Date: (\d{4}-\d\d-\d\d)\. Status: (?:accepted|superseded by \[)")


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_has_a_number_a_date_and_a_status(page: Path) -> None:
    """In the same place in each, so that a reader sees at once whether it is still in force."""
    title, _, rest = page.read_text("utf-8").partition("\n\n")
    assert title.startswith(f"# {int(page.stem[:4])}. ")
    status = STATUS.match(rest)
    assert status, f"{page.name}: below the title: Date: YYYY-MM-DD. Status: accepted."
    assert date.fromisoformat(status[1])


DOCS = ROOT / "docs"
INDEX = DOCS / "index.md"
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(DOCS.rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"\]\((\.\./[\w/]+\.py)\): `(\w+)`")


def local_links(page: Path) -> Iterator[tuple[Path, str]]:
    """The files that a page links to, each with the heading in it, if one is named."""
    for target in LINK.findall(FENCED.sub("", page.read_text("utf-8"))):
        if "://" not in target and not target.startswith("mailto:"):
            path, _, heading = target.partition("#")
            yield (page.parent / path).resolve() if path else page, heading


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links, as GitHub makes it."""
    text = FENCED.sub("", page.read_text("utf-8"))
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page: Path) -> None:
    for path, heading in local_links(page):
        assert path.exists(), f"{page.name}: there is no {path}"
        assert not heading or heading in anchors(path), f"{page.name}: no #{heading} in {path.name}"


def test_the_index_leads_to_every_page() -> None:
    linked = {path for path, _ in local_links(INDEX)}
    pages = {*DOCS.glob("*.md"), *ROOT.glob("*.md")} - {INDEX, ROOT / "CHANGELOG.md"}
    assert sorted(path.name for path in pages - linked) == []


def test_every_example_is_in_their_readme() -> None:
    folder = ROOT / "examples"
    linked = {path for path, _ in local_links(folder / "README.md")}
    files = {path for path in folder.iterdir() if path.is_file() and path.name != "README.md"}
    assert files
    assert sorted(path.name for path in files - linked) == []


def test_the_index_names_functions_where_they_are() -> None:
    named = NAMED.findall(INDEX.read_text("utf-8"))
    assert named
    for path, name in named:
        code = (DOCS / path).read_text("utf-8")
        assert re.search(rf"^(?:def|class) {name}\b", code, re.MULTILINE), f"{path}: {name}"


def test_every_setting_is_on_its_page() -> None:
    """A setting that stands nowhere is found by nobody; one that is gone misleads."""
    rows = re.findall(
        r"^\| (`[^|]*`) \|", (DOCS / "CONFIGURATION.md").read_text("utf-8"), re.MULTILINE
    )
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(named) == sorted(Configuration.model_fields)
