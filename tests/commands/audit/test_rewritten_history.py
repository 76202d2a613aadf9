"""The owner of a ledger, with every key, writes all of history anew; somebody outside finds it.

Found with the witness's state alone, or with the watcher's alone (test_watch.py), by an auditor
who was not there. Everything inside the rewritten ledger agrees with everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from commands.audit.cosign import cosign_newest
from commands.audit.export import export_evidence
from commands.audit.keys import make_key, read_private_key
from commands.audit.sign_checkpoint import sign_checkpoint
from commands.audit.verify_ledger import verify_ledger
from commands.audit.witness_policy import demanded_policy
from commands.health.facts import verdict_of
from ledger.append.tables import checkpoints
from ledger.evidence.bundle import Choice
from ledger.tree.signed_note import SignerKey
from ledger.verify.verify import Given, verify
from ledger.verify_evidence import WITNESS, Key, Problem, check
from tests.commands.world import World
from tests.witness import Witness, new_witness, running

MakeWorld = Callable[..., World]
NAME = "example.com/backups"


@pytest.fixture
def key(tmp_path: Path) -> SignerKey:
    make_key(NAME, tmp_path / "ledger.key")
    return read_private_key(tmp_path / "ledger.key")


@pytest.fixture
def witness(key: SignerKey) -> Iterator[Witness]:
    with running(new_witness("witness.example/w1", key.verifier())) as found:
        yield found


@pytest.fixture
def rewritten(make_world: MakeWorld, tmp_path: Path, key: SignerKey, witness: Witness) -> World:
    """What was witnessed is gone; in its place a longer history, signed with the same key."""
    options = {"checkpoint_key": tmp_path / "ledger.key", "witnesses": (witness.setting,)}
    for name, records in (("true", 3), ("rewritten", 8)):
        world = make_world(name, **options)
        for keep_count in range(1, records):
            world.configure(keep_count=keep_count)
        sign_checkpoint(world.site.ledger.engine, key, world.clock)
        if name == "true":
            cosign_newest(world.site, world.context())
            world.close()
    return world


def test_everything_inside_agrees(rewritten: World, key: SignerKey) -> None:
    """With the ledger and its key alone nobody can tell."""
    report = verify(rewritten.site.ledger.engine, public_keys=[key.verifier()])
    assert report.ok


def test_what_the_witness_has_is_enough(rewritten: World, key: SignerKey, witness: Witness) -> None:
    """The checkpoint that it cosigned last, from its operator: another history."""
    given = Given("the witness's checkpoint", witness.seen[NAME])
    report = verify(rewritten.site.ledger.engine, checkpoints=[given], public_keys=[key.verifier()])
    assert not report.ok
    assert any("belongs to another history" in each.problem for each in report.findings)


def test_the_witness_s_key_is_enough(
    rewritten: World, key: SignerKey, witness: Witness, tmp_path: Path
) -> None:
    """It cosigns no other history, so nothing that the owner can show has its cosignature."""
    site = rewritten.site
    policy = demanded_policy([witness.setting["key"]], 1)
    report = verify_ledger(site.ledger.engine, site.configuration, witnesses=policy)
    assert [each.problem for each in report.findings] == [
        "no checkpoint is cosigned by enough of the given witnesses"
    ]
    export_evidence(site, rewritten.context(), tmp_path / "bundle", Choice(), key)
    known = [Key(witness.setting["key"], WITNESS)]
    with pytest.raises(Problem, match="0 of your 1 witnesses"):
        check(str(tmp_path / "bundle"), Key(key.verifier().to_text()), known, 1)


def test_the_old_cosigned_checkpoint_does_not_help_its_owner(
    rewritten: World, key: SignerKey, witness: Witness
) -> None:
    """Put back into the rewritten ledger, it contradicts the tree."""
    note = witness.seen[NAME]
    size = int(note.split(b"\n")[1])
    with rewritten.site.ledger.engine.begin() as connection:
        connection.execute(checkpoints.insert().values(size=size, note=note, created_at=1))
    report = verify_ledger(rewritten.site.ledger.engine, rewritten.site.configuration)
    assert any("belongs to another history" in each.problem for each in report.findings)
    assert "cosigned by" not in report.verdict


def test_the_witness_refuses_and_status_says_why(rewritten: World, witness: Witness) -> None:
    """The owner cannot keep it quiet either: the refusal is recorded."""
    before = witness.seen[NAME]
    done = cosign_newest(rewritten.site, rewritten.context())
    assert done is not None
    assert done.refusals["witness.example/w1"].reason == "wrong_proof"
    assert witness.seen[NAME] == before
    findings = verdict_of(rewritten.site, rewritten.clock.now()).findings
    [finding] = [each for each in findings if each.kind == "witness"]
    assert finding.is_bad
    assert "seen another history" in finding.text


def test_an_older_copy_is_refused_as_well(
    make_world: MakeWorld, tmp_path: Path, key: SignerKey, witness: Witness
) -> None:
    """Fewer records than were cosigned: put back or forked."""
    options = {"checkpoint_key": tmp_path / "ledger.key", "witnesses": (witness.setting,)}
    for name, records in (("true", 6), ("older", 3)):
        world = make_world(name, **options)
        for keep_count in range(1, records):
            world.configure(keep_count=keep_count)
        sign_checkpoint(world.site.ledger.engine, key, world.clock)
        done = cosign_newest(world.site, world.context())
    assert done is not None
    assert done.refusals["witness.example/w1"].reason == "conflict"
    assert done.refusals["witness.example/w1"].witness_size == 6
