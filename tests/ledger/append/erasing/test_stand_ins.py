"""What is read in place of a record that is not as it was."""

from __future__ import annotations

import pytest

from ledger.append.erasing.stand_ins import StandIns
from ledger.errors import LedgerBroken
from tests.conftest import OpenLedger


def test_a_record_that_was_made_text_is_named(open_ledger: OpenLedger) -> None:
    """As SQLite's `replace` does, whoever drops the triggers first."""
    with open_ledger().engine.connect() as connection:
        stand_ins = StandIns(connection)
        assert stand_ins.record("backup/1", 2, b"{}") == b"{}"
        with pytest.raises(LedgerBroken, match="version 2 of backup/1 was changed"):
            stand_ins.record("backup/1", 2, "{}")  # type: ignore[arg-type]
