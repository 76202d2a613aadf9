"""What is kept of an erased record: all that folds need, and nothing personal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ledger.errors import RecordError
from ledger.events import REGISTRY, Details
from ledger.events.catalog import BackupCreated, BackupDeleted, HoldPlaced
from ledger.events.housekeeping import RecordRedacted
from ledger.events.retention import RetentionApplied
from ledger.events.scheduling import BackupStarted, SchedulePaused
from ledger.records.erasure import (
    ERASED,
    NO_EVENT_ID,
    erased_name,
    file_names_of,
    kept_of,
    personal_texts,
    redacted_among,
    stand_in,
)
from ledger.records.record import Event, decode_event, encode_event
from ledger.tree.merkle import leaf_hash
from tests.sample_events import BACKUP, NAME, draft, event

NEW_NAMES = {NAME: erased_name(BACKUP)}


def redaction_of(erased: Event, position: int = 1, **changes: Any) -> RecordRedacted:
    fields: dict[str, Any] = {
        "position": position,
        "leaf_hash": leaf_hash(encode_event(erased)).hex(),
        "event_type": erased.event_type,
        "stream": erased.stream,
        "stream_version": erased.stream_version,
        "ticket": "DSR-1",
        "reason": "article 17",
        "kept": kept_of(erased, NEW_NAMES),
        "guessable": False,
    }
    return RecordRedacted(**fields | changes)


def without(facts: dict[str, Any], kind: type[Details]) -> dict[str, Any]:
    """The facts without the fields that can be erased."""
    gone = {each.partition(".")[0] for each in (*kind.personal, *kind.file_names)}
    return {name: value for name, value in facts.items() if name not in gone}


@pytest.mark.parametrize("kind", REGISTRY.values(), ids=lambda kind: kind.event_type)
def test_what_stands_in_is_the_same_event_without_its_texts(kind: type[Details]) -> None:
    """Of every type: same place, same time, same outcome, same facts; no nonce, no id, nobody."""
    erased = event(draft(kind), 3)
    kept = kept_of(erased, NEW_NAMES)
    assert "nonce" not in json.dumps(kept)
    assert erased.event_id not in json.dumps(kept) or kind is RecordRedacted
    found = decode_event(stand_in(redaction_of(erased)))
    assert without(found.details.to_facts(), kind) == without(erased.details.to_facts(), kind)
    for name in ("event_type", "stream", "stream_version", "timestamp", "success", "action"):
        assert getattr(found, name) == getattr(erased, name)
    assert (found.user_id, found.correlation_id) == (erased.user_id, erased.correlation_id)
    assert found.actor.kind == erased.actor.kind
    assert found.actor.id == (erased.actor.id if kind is RecordRedacted else ERASED)
    assert found.details.nonce is found.causation_id is None
    assert found.error_message == (None if erased.success else ERASED)
    run_id = erased.correlation_id if kind is BackupStarted else NO_EVENT_ID
    assert found.event_id == run_id
    assert personal_texts(found) == {}
    assert set(file_names_of(found).values()) <= {erased_name(BACKUP)}


def test_a_text_that_was_never_there_stays_null() -> None:
    """Removed is not the same as absent."""
    silent = kept_of(event(draft(SchedulePaused, note=None)), {})
    told = kept_of(event(draft(SchedulePaused, note="in Rome")), {})
    assert (silent["details"]["note"], told["details"]["note"]) == (None, ERASED)


def test_numbers_in_a_list_stay() -> None:
    """Names of tables go, their counts do not."""
    kept = kept_of(event(draft(BackupCreated)), {})
    tables = event(draft(BackupCreated)).details.to_facts()["tables"]
    assert kept["details"]["tables"] == [{"name": ERASED, "rows": each["rows"]} for each in tables]


def test_a_file_name_stays_where_it_is_not_to_go() -> None:
    """It is named for each backup, in lists as well."""
    applied, deleted = event(draft(RetentionApplied)), event(draft(BackupDeleted))
    assert file_names_of(applied) == file_names_of(deleted) == {BACKUP: NAME}
    assert kept_of(applied, {})["details"]["deleted"][0]["filename"] == NAME
    assert kept_of(applied, NEW_NAMES)["details"]["deleted"][0]["filename"] == erased_name(BACKUP)
    assert kept_of(deleted, {})["details"]["filename"] == NAME


@pytest.mark.parametrize("change", ["missing", "more", "details", "actor_id"])
def test_what_was_kept_has_exactly_its_keys(change: str) -> None:
    """Anything else is not a redaction that this software made."""
    kept = kept_of(event(draft(HoldPlaced)), {})
    if change == "missing":
        del kept["timestamp"]
    elif change == "details":
        kept["details"] = ["no object"]
    else:
        kept["actor_id" if change == "actor_id" else "event_id"] = "anna"
    with pytest.raises(RecordError):
        stand_in(redaction_of(event(draft(HoldPlaced)), kept=kept))


def test_redactions_are_found_among_all_records_from_the_first() -> None:
    """Also one that was redacted itself: what it kept is read through the later one."""
    held, paused = event(draft(HoldPlaced)), event(draft(SchedulePaused, note="in Rome"))
    first = event(draft(RecordRedacted, **_facts(redaction_of(held, 1))))
    second = event(draft(RecordRedacted, **_facts(redaction_of(first, 3))))
    records = [b"", encode_event(paused), b"", encode_event(second), encode_event(paused)]
    found = redacted_among(records)
    assert sorted(found) == [1, 3]
    assert decode_event(found[1][1]).details.to_facts()["reason"] == ERASED
    assert found[1][0].ticket == ERASED
    assert redacted_among([b"", encode_event(paused)]) == {}
    own, later = (event(draft(RecordRedacted, **_facts(redaction_of(held, at)))) for at in (1, 2))
    for forged in (own, later):  # a redaction speaks of what came before it, and of nothing else
        assert redacted_among([encode_event(forged), encode_event(held)]) == {}


def _facts(details: RecordRedacted) -> dict[str, Any]:
    facts = details.to_facts()
    return {name: facts[name] for name in facts}
