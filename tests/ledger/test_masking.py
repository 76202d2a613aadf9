"""Passwords never reach a message, whatever form their URL has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.append.database import database_url, place_of
from ledger.append.ledger import Ledger
from ledger.errors import LedgerError
from ledger.events.scheduling import BackupFailed
from ledger.masking import masked
from tests.sample_events import CONTEXT, draft

SECRET = "hunter2"  # noqa: S105 - the one that is looked for
URLS = (
    f"postgresql://ada:{SECRET}@db.example/backups",
    f"postgresql://ada:{SECRET}/x@db.example/backups",
    f"postgresql://ada:x@{SECRET}@db.example/backups",
    f"postgresql://ada:a:{SECRET}?#@db.example:5432/backups",
    f"postgresql://db.example/backups?user=ada&password={SECRET}",
    f"postgresql://db.example/backups?sslpassword={SECRET}&user=ada",
    f"postgresql+psycopg://:{SECRET}@/backups",
    f"host=db.example password={SECRET} dbname=backups",
    f"https://ping.example/x?token={SECRET}",
    f"mailto://ada:{SECRET}@mail.example",
)


@pytest.mark.parametrize("url", URLS)
def test_no_password_is_shown(url: str) -> None:
    """Within a sentence, too, and the rest of it stays."""
    shown = masked(f"cannot open '{url}': no route to host; try again")
    assert SECRET not in shown
    assert "***" in shown
    assert shown.endswith(": no route to host; try again")


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://db.example/backups",
        "postgresql://ada@db.example:5432/backups?connect_timeout=3",
        "sqlite:////srv/a@b:c/ledger.sqlite is locked",
        "see https://example.org/a#b and ask ada@example.org",
        "a=b, keep=7",
    ],
)
def test_what_holds_no_password_stays(text: str) -> None:
    assert masked(text) in (text, text.replace("a@b:c", "a@b:c"))


@pytest.mark.parametrize("url", [url for url in URLS if url.startswith("postgresql")])
def test_ledger_urls_are_named_without_their_password(url: str) -> None:
    """Accepted or not."""
    said: str
    try:
        said = place_of(database_url(url))
    except LedgerError as error:
        said = str(error)
    assert SECRET not in said


@pytest.mark.both_databases
def test_no_record_holds_a_password(ledger: Ledger) -> None:
    """What a driver said of its URL is recorded for good: without it."""
    message = "; ".join(f"cannot open {url} now" for url in URLS)
    failed = replace(draft(BackupFailed), error_message=message)
    (recorded,) = ledger.append(CONTEXT, failed)
    (stored,) = ledger.records(after=recorded.position - 1)
    assert SECRET.encode() not in stored.record
    assert b"cannot open postgresql://ada:***@db.example/backups now" in stored.record
