"""What is configured is used, and the verdict says what was checked: never more."""

from __future__ import annotations

import sqlite3
from base64 import b64decode, b64encode
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from commands.audit.keys import make_key, read_private_key
from commands.audit.sign_checkpoint import sign_checkpoint
from commands.audit.verify_ledger import verify_ledger
from commands.errors import InvalidArgument
from ledger.verify.findings import Report
from ledger.verify.verify import Given
from tests.commands.conftest import MakeWorld
from tests.commands.world import World
from tests.ledger.tampering import Attacker


@pytest.fixture
def signed(make_world: MakeWorld, tmp_path: Path) -> World:
    """Two checkpoints, each in the ledger and in a folder outside."""
    key, outside = tmp_path / "ledger.key", tmp_path / "outside"
    make_key("lab.example/ledger", key)
    outside.mkdir()
    world = make_world(checkpoint_key=key, checkpoint_folder=outside)
    world.open()
    for user in (1, 2):
        world.configure(user)
        sign(world)
    return world


def sign(world: World) -> None:
    settings = world.site.configuration
    assert settings.checkpoint_key is not None
    key = read_private_key(settings.checkpoint_key)
    sign_checkpoint(world.site.ledger.engine, key, world.clock, settings.checkpoint_folder)


def report_on(world: World, **given: Any) -> Report:
    return verify_ledger(world.site.ledger.engine, world.site.configuration, **given)


def without(world: World, *names: str) -> World:
    """The same, where these settings are not set."""
    world.options |= dict.fromkeys(names)
    world.close()
    world.open("act")
    return world


def rewrite(world: World, *, forge: Callable[[str], str] | None = None) -> None:
    """All of history is changed; kept checkpoints are forged to fit, or dropped."""
    attacker = Attacker(world.backups / "ledger.sqlite")
    size = world.site.ledger.log_recorder.head().size
    for position in range(1, size + 1):
        attacker.edit_record(position, lambda fields: fields["actor"].update(id="nobody"))
    attacker.make_consistent()
    if forge is None:
        attacker.run("DELETE FROM ledger_checkpoints")
        return
    with closing(sqlite3.connect(attacker.path)) as connection:
        root = connection.execute("SELECT root FROM ledger_head").fetchone()[0]
        rows = connection.execute("SELECT id, note FROM ledger_checkpoints WHERE size = ?", (size,))
        for number, note in rows.fetchall():
            text = forge(bytes(note).decode().replace(*_roots(note, root)))
            connection.execute(
                "UPDATE ledger_checkpoints SET note = ? WHERE id = ?", (text.encode(), number)
            )
        connection.execute("DELETE FROM ledger_checkpoints WHERE size < ?", (size,))
        connection.commit()


def _roots(note: bytes, root: bytes) -> tuple[str, str]:
    return bytes(note).decode().split("\n")[2], b64encode(root).decode()


def zero_signature(text: str) -> str:
    """A signature line of the right key, and nothing in it."""
    body, line = text.split("\n\n")
    name, signature = line.strip().removeprefix("— ").split(" ")
    empty = b64encode(b64decode(signature)[:4] + bytes(64)).decode()
    return f"{body}\n\n— {name} {empty}\n"


def test_the_verdict_names_what_was_checked(signed: World) -> None:
    """The key's name, how many signatures, how many from outside."""
    report = report_on(signed)
    assert report.ok
    assert "2 checkpoints kept in the ledger, 2 of 2 signatures checked" in report.verdict
    assert "2 checkpoints from outside, 2 of 2 signatures checked" in report.verdict
    assert "lab.example/ledger" in report.verdict
    assert not any("signatures" in each for each in report.not_checked)


def test_history_and_kept_checkpoints_are_forged(signed: World) -> None:
    """Both the forged signature and the copies outside show it, and nobody has to ask for that."""
    rewrite(signed, forge=zero_signature)
    report = report_on(signed)
    problems = " ".join(each.problem for each in report.findings)
    assert "is not signed by the given public key" in problems
    assert "belongs to another history" in problems
    assert str(signed.site.configuration.checkpoint_folder) in problems
    assert report.verdict.startswith("The ledger is NOT what it was: ")


def test_the_folder_outside_is_enough(signed: World) -> None:
    """Without the key the roots are compared; whose they are is said to be open."""
    world = without(signed, "checkpoint_key")
    report = report_on(world)
    assert report.ok
    assert "2 checkpoints from outside, 0 of 2 signatures checked" in report.verdict
    assert any("signatures of 2 checkpoints from outside" in each for each in report.not_checked)
    rewrite(world)
    assert any("belongs to another history" in each.problem for each in report_on(world).findings)


def test_with_nothing_configured_nothing_is_claimed(signed: World) -> None:
    """Then a rewritten ledger cannot be told from a sound one, and the sentence says so."""
    world = without(signed, "checkpoint_key", "checkpoint_folder")
    rewrite(world)
    report = report_on(world)
    assert report.ok
    assert report.verdict.endswith("; no signature, and nothing from outside.")
    assert "every signature" not in report.verdict


def test_a_key_that_cannot_be_read_leaves_signatures_open(signed: World) -> None:
    """An auditor's login may not read the service's private key; the rest is checked."""
    assert signed.site.configuration.checkpoint_key is not None
    signed.site.configuration.checkpoint_key.unlink()
    report = report_on(signed)
    assert report.ok
    assert "0 of 2 signatures checked" in report.verdict
    assert any("the configured checkpoint_key" in each for each in report.not_checked)


@pytest.mark.parametrize("what", ["gone", "empty"])
def test_a_folder_without_checkpoints_is_said_to_be_so(signed: World, what: str) -> None:
    """An unmounted place must not look like a place where all is well."""
    folder = signed.site.configuration.checkpoint_folder
    assert folder is not None
    for each in folder.iterdir():
        each.unlink()
    if what == "gone":
        folder.rmdir()
    report = report_on(signed)
    assert report.ok
    assert "from outside" not in report.verdict
    assert any(str(folder) in each for each in report.not_checked)


def test_a_file_outside_that_is_no_checkpoint_is_a_finding(signed: World) -> None:
    """Somebody has been there."""
    folder = signed.site.configuration.checkpoint_folder
    assert folder is not None
    (folder / "other.checkpoint").write_text("nonsense")
    (folder / "notes.txt").write_text("not ours")
    report = report_on(signed)
    (found,) = report.findings
    assert "other.checkpoint cannot be read" in found.problem


def test_a_checkpoint_of_an_earlier_key_is_compared_all_the_same(
    signed: World, tmp_path: Path
) -> None:
    """Keys are replaced; what the old one signed is still true or not."""
    new = tmp_path / "new.key"
    make_key("lab.example/ledger-2", new)
    signed.options |= {"checkpoint_key": new}
    signed.close()
    signed.open("act")
    signed.configure(3)
    sign(signed)
    report = report_on(signed)
    assert report.ok
    assert "3 checkpoints from outside, 1 of 3 signatures checked" in report.verdict


def test_a_given_checkpoint_needs_somebodys_key(signed: World) -> None:
    """The configured one will do."""
    folder = signed.site.configuration.checkpoint_folder
    assert folder is not None
    given = Given("mine", next(folder.iterdir()).read_bytes())
    assert report_on(signed, checkpoints=[given]).ok
    world = without(signed, "checkpoint_key", "checkpoint_folder")
    with pytest.raises(InvalidArgument, match="needs --public-key"):
        report_on(world, checkpoints=[given])
