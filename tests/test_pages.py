"""Pages that are found, links that lead somewhere, decisions with a date and a status."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

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
