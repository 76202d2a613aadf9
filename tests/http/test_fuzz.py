"""A short run of the fuzzer; the long one is `python -m tests.http.fuzz`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.http.fuzz import fuzz, place_with_two_users


@pytest.mark.filterwarnings("ignore")  # schemathesis' own
def test_no_request_that_the_schema_allows_breaks_or_leaks(tmp_path: Path) -> None:
    """Every operation, a few times, as each role; and the other user's secret is still there."""
    with place_with_two_users(tmp_path) as (world, app, tokens):
        assert fuzz(app, tokens, examples=4) > 100
        assert world.site.ledger.log_recorder.head().size > 0
