"""Bundles of a ledger in which records were erased: they say what is missing, and why."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from ledger.evidence.bundle import Choice, sign_manifest
from tests.ledger.bundles import judge, make_bundle
from tests.ledger.redacting import redact
from tests.ledger.tampering import KEY, Attacker, sign

PAUSED, HELD = 4, 16
CHOICES = {
    "whole": Choice(),
    "range": Choice(first_position=1, last_position=20),
    "user": Choice(user="1"),
}


@pytest.fixture
def erased(attacker: Attacker) -> Attacker:
    """Two records were erased, and of one of the events that say so ticket and reason, too."""
    redact(attacker.path, PAUSED)
    at = redact(attacker.path, HELD)
    redact(attacker.path, at)
    sign(attacker.path)
    return attacker


@pytest.mark.slow
@pytest.mark.parametrize("name", CHOICES)
def test_a_bundle_says_what_is_missing_and_why(erased: Attacker, tmp_path: Path, name: str) -> None:
    """The events that say who erased what go along, whatever was chosen."""
    written = make_bundle(erased.path, tmp_path / name, CHOICES[name])
    verdict = judge(tmp_path / name)
    assert verdict.code == 0, verdict.said
    gone = {"whole": 3, "range": 3, "user": 1}[name]
    assert (
        f"each is unchanged, {gone} erased on request, as other records here show" in verdict.said
    )
    lines = (tmp_path / name / "events.jsonl").read_bytes().splitlines()
    assert len(lines) == written.records
    assert sum(line.startswith(b"erased ") for line in lines) == gone
    assert "GDPR" in (tmp_path / name / "README.txt").read_text()


def test_a_bundle_from_before_still_verifies(attacker: Attacker, tmp_path: Path) -> None:
    """It holds what it was made of; nobody can take that back."""
    make_bundle(attacker.path, tmp_path / "before")
    redact(attacker.path, HELD)
    assert judge(tmp_path / "before").code == 0


def changed(folder: Path, position: int, line: bytes) -> Path:
    """The bundle with another line for a position, its manifest signed again."""
    lines = (folder / "events.jsonl").read_bytes().splitlines()
    lines[position - 1] = line
    (folder / "events.jsonl").write_bytes(b"\n".join([*lines, b""]))
    (folder / "manifest").unlink()
    (folder / "manifest").write_bytes(sign_manifest(folder, KEY))
    return folder


def test_a_record_that_nobody_erased_is_left_out(erased: Attacker, tmp_path: Path) -> None:
    """Its leaf alone fits the tree, and that is not enough."""
    make_bundle(erased.path, tmp_path / "bundle")
    bundle = changed(tmp_path / "bundle", 17, b"erased " + _leaf(erased, 17).encode())
    verdict = judge(bundle)
    assert verdict.code == 3
    assert "the record at position 17 is gone, and no event says why" in verdict.said


def test_an_event_that_says_so_is_erased_without_another(
    attacker: Attacker, tmp_path: Path
) -> None:
    """Then nothing says why the first one is gone."""
    at = redact(attacker.path, HELD)
    sign(attacker.path)
    make_bundle(attacker.path, tmp_path / "bundle")
    verdict = judge(changed(tmp_path / "bundle", at, b"erased " + _leaf(attacker, at).encode()))
    assert verdict.code == 3
    assert f"the record at position {HELD} is gone" in verdict.said


@pytest.mark.parametrize("line", [b"erased", b"erased 42", b"erased " + b"A" * 64, b"null"])
def test_a_line_of_another_form_is_no_erased_record(
    erased: Attacker, tmp_path: Path, line: bytes
) -> None:
    """It is taken for a record, whose hash does not fit."""
    make_bundle(erased.path, tmp_path / "bundle")
    assert judge(changed(tmp_path / "bundle", HELD, line)).code == 3


def _leaf(attacker: Attacker, position: int) -> str:
    record = attacker.record(position)
    assert json.loads(record)
    return sha256(b"\0" + record).hexdigest()
