"""erase, erase status, ledger redact: shown, asked, done once, and said in one line where not."""

from __future__ import annotations

import pytest

from tests.acceptance.place import Place


@pytest.fixture
def lived_in(place: Place) -> Place:
    """A backup that a person named, held, released and deleted; another one that stays."""
    place.done("backup", "create", "annas-own")
    place.done("backup", "hold", "annas-own", "--reason", "said by anna")
    place.done("backup", "release", "annas-own")
    place.done("backup", "delete", "annas-own", "--yes")
    place.done("settings", "set", "7")
    place.done("settings", "pause", "7", "--note", "on holiday in Rome")
    place.done("backup", "create")
    return place


def holds(place: Place) -> list[str]:
    """The positions of the hold and of its release, which both say why."""
    events = enumerate(place.events(), 1)
    return [str(at) for at, each in events if "hold_" in each["event_type"]]


def test_a_record_is_redacted(lived_in: Place) -> None:
    """The plan says what goes; the log says who did it, and shows what stands in."""
    positions = holds(lived_in)
    ended = lived_in.done(
        "ledger", "redact", *positions, "--reason", "a name", "--ticket", "IT-4", "--yes"
    )
    assert "reason, actor" in ended.out
    assert "Erased 2 records" in ended.out
    lines = lived_in.done("audit", "log", "--json").lines
    erased = [each for each in lines if "erased" in each]
    assert [str(each["position"]) for each in erased] == positions
    assert [each["record"]["details"]["reason"] for each in erased] == ["[erased]"] * 2
    assert lines[-1]["record"]["details"]["ticket"] == "IT-4"
    assert "IT-4" in lived_in.done("audit", "log").out
    verified = lived_in.json("audit", "verify")
    assert (verified["ok"], verified["findings"]) == (True, [])
    assert any("2 records were erased" in each for each in verified["notes"])
    assert "said by anna" not in lived_in.ledger.read_bytes().decode("latin-1")
    assert lived_in.done("projections", "diff").code == 0
    rows = lived_in.done("audit", "log", "--csv").out
    assert "nonce" not in rows
    assert "[erased]" in rows


def test_json_has_the_plan_and_what_was_done(lived_in: Place) -> None:
    found = lived_in.json("erase", "--user", "7", "--ticket", "DSR-1", "--yes")
    assert found["ticket"] == "DSR-1"
    assert found["left"] == found["not_done"] == []
    types = [each["event_type"] for each in found["erased"]]
    assert types == ["backup_scheduler.settings_created", "backup_scheduler.paused"]
    assert found["erased"][1]["fields"] == ["note", "actor"]
    assert len(found["redactions"]) == 2
    assert lived_in.json("erase", "--user", "7", "--ticket", "DSR-1", "--yes")["redactions"] == []
    (status,) = lived_in.json("erase", "status")
    assert (status["ticket"], status["gone_by"]) == ("DSR-1", "unknown")
    assert "DSR-1: 2 records erased" in lived_in.done("erase", "status").out


def test_nobody_to_ask_means_nothing_is_done(lived_in: Place) -> None:
    """Without --yes a person is asked."""
    before = lived_in.events()
    ended = lived_in.run("erase", "--user", "7", "--ticket", "DSR-1")
    assert (ended.code, "there is no terminal to ask" in ended.err) == (2, True)
    assert lived_in.events() == before


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("erase", "--ticket", "T"), "name one person"),
        (("erase", "--user", "7", "--actor", "a", "--ticket", "T"), "name one person"),
        (("erase", "--user", "7"), "--ticket"),
        (("erase", "--user", "x", "--ticket", "T"), "is not a user id"),
        (("erase", "--user", "7", "--ticket", " "), "give a ticket"),
        (("ledger", "redact", "999", "--reason", "r", "--ticket", "T"), "no record at position"),
        (("ledger", "redact", "0", "--reason", "r", "--ticket", "T"), "use 1 or more"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    lived_in: Place, args: tuple[str, ...], words: str
) -> None:
    """With exit code 2, and nothing changed."""
    before = lived_in.events()
    ended = lived_in.run(*args)
    assert ended.code == 2
    assert words in ended.err
    assert lived_in.events() == before


def test_nothing_of_a_stranger_is_there(lived_in: Place) -> None:
    """That is said, and is not a failure."""
    ended = lived_in.done("erase", "--actor", "nobody-we-know", "--ticket", "DSR-2", "--yes")
    assert "There is nothing to erase" in ended.out
