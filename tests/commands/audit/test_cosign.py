"""Cosignatures: asked for, kept, carried along, and refused in every way that a witness may."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from commands.audit import ask_witness
from commands.audit.cosign import Cosigned, cosign_newest
from commands.audit.export import export_evidence
from commands.audit.keys import make_key, read_private_key
from commands.audit.prove import prove
from commands.audit.sign_checkpoint import AutomaticCheckpoints
from commands.audit.verify_ledger import verify_ledger
from commands.audit.witness_policy import witness_policy
from commands.audit.witness_states import witness_states
from commands.health.facts import verdict_of
from commands.notifications.incidents import incident_of
from commands.offsite.add import NewDestination, add_destination
from commands.offsite.destinations import find_destination
from commands.offsite.log.plain import publish_log
from commands.offsite.publish import publish_if_behind
from commands.scheduler.checks import Checks
from commands.scheduler.witnessing import WitnessThread
from ledger.append.kept_checkpoints import KeptCheckpoint
from ledger.append.tables import checkpoints
from ledger.events.housekeeping import CheckpointCosigned, WitnessRefused
from ledger.evidence.bundle import Choice
from ledger.tree.checkpoint import (
    Checkpoint,
    cosign_checkpoint,
    open_checkpoint,
    sign_checkpoint,
)
from ledger.verify_evidence import WITNESS, Key, Problem, check
from tests.commands.world import World
from tests.witness import Witness, new_witness, running

MakeWorld = Callable[..., World]
NAME = "example.com/backups"


@pytest.fixture
def key_path(tmp_path: Path) -> Path:
    make_key(NAME, tmp_path / "ledger.key")
    return tmp_path / "ledger.key"


@pytest.fixture
def witnesses(key_path: Path) -> Iterator[list[Witness]]:
    """Three, of which two are a quorum."""
    public = read_private_key(key_path).verifier()
    first, second, third = (new_witness(f"witness.example/w{n}", public) for n in (1, 2, 3))
    with running(first), running(second), running(third):
        yield [first, second, third]


@pytest.fixture
def signing(
    make_world: MakeWorld, key_path: Path, tmp_path: Path, witnesses: list[Witness]
) -> World:
    (tmp_path / "outside").mkdir()
    world = make_world(
        checkpoint_key=key_path,
        checkpoint_interval_minutes=10,
        checkpoint_folder=tmp_path / "outside",
        witnesses=tuple(each.setting for each in witnesses),
    )
    world.configure()
    return world


def sign_when_due(world: World) -> KeptCheckpoint | None:
    return AutomaticCheckpoints(world.site).sign_when_due()


def cosign(world: World) -> Cosigned:
    assert sign_when_due(world) is not None
    done = cosign_newest(world.site, world.context())
    assert done is not None
    return done


def events(world: World, kind: type[Any]) -> list[Any]:
    recorded = (each.event.details for each in world.site.ledger.recorded())
    return [details for details in recorded if isinstance(details, kind)]


def newest_note(world: World) -> bytes:
    with world.site.ledger.engine.connect() as connection:
        statement = select(checkpoints.c.note).order_by(checkpoints.c.id.desc()).limit(1)
        note: bytes = connection.execute(statement).scalar_one()
        return note


def test_every_witness_cosigns_and_all_of_it_is_kept(
    signing: World, key_path: Path, tmp_path: Path, witnesses: list[Witness]
) -> None:
    """In the ledger, outside, and as one event with the names."""
    done = cosign(signing)
    names = tuple(each.key.name for each in witnesses)
    assert (done.witnesses, done.refusals) == (names, {})
    keys = [each.key.verifier() for each in witnesses]
    note = newest_note(signing)
    opened = open_checkpoint(note, read_private_key(key_path).verifier(), keys, quorum=3)
    [copy] = (tmp_path / "outside").iterdir()
    assert copy.read_bytes() == note
    [event] = events(signing, CheckpointCosigned)
    assert (event.size, event.witnesses) == (opened.checkpoint.size, list(names))
    assert (event.cosigned, event.quorum) == (3, 2)
    assert cosign_newest(signing.site, signing.context()) is None


def test_what_witnesses_made_us_record_is_no_reason_to_sign_again(signing: World) -> None:
    """Otherwise an idle ledger would grow for ever by what it says of its own checkpoints."""
    cosign(signing)
    signing.advance(minutes=20)
    assert sign_when_due(signing) is None
    signing.configure(keep_count=3)
    assert sign_when_due(signing) is not None


def test_the_next_one_is_proved_from_the_one_before(
    signing: World, witnesses: list[Witness]
) -> None:
    """With the size that the witness has; one that somebody else moved on says its own (409)."""
    cosign(signing)
    signing.advance(minutes=20)
    signing.configure(keep_count=3)
    witnesses[0].requests.clear()
    assert cosign(signing).refusals == {}
    [request] = witnesses[0].requests
    assert request.startswith(b"old 2\n")


def test_a_witness_that_was_asked_by_another_machine_names_its_size(
    signing: World, witnesses: list[Witness]
) -> None:
    """409 with the size: the proof is made again, from there."""
    cosign(signing)
    with signing.site.ledger.engine.begin() as connection:
        connection.execute(checkpoints.delete())
    signing.advance(minutes=20)
    signing.configure(keep_count=3)
    witnesses[0].requests.clear()
    assert cosign(signing).refusals == {}
    assert [each.split(b"\n")[0] for each in witnesses[0].requests] == [b"old 0", b"old 2"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((400, b""), "bad_request"),
        ((403, b""), "unknown_key"),
        ((404, b""), "unknown_log"),
        ((422, b""), "wrong_proof"),
        ((409, b"1000\n"), "conflict"),
        ((409, b"0\n"), "conflict"),
        ((409, b"07\n"), "bad_answer"),
        ((409, b"many\n"), "bad_answer"),
        ((500, b"oh"), "bad_answer"),
        ((301, b""), "bad_answer"),
        ((200, b""), "bad_answer"),
        ((200, b"fine\n"), "bad_answer"),
        ((200, "— witness.example/w1 AAAAAAA=\n".encode()), "bad_answer"),
        ((200, b"\xff\n"), "bad_answer"),
        ((200, b"x" * 70_000), "unreachable"),
    ],
)
def test_a_refusal_is_recorded_once_and_harms_nobody(
    signing: World, witnesses: list[Witness], answer: tuple[int, bytes], reason: str
) -> None:
    """The others cosign; the event says which one, why, and how far it was."""
    witnesses[0].answers = [answer, answer]
    done = cosign(signing)
    assert set(done.refusals) == {"witness.example/w1"}
    assert len(done.witnesses) == 2
    [event] = events(signing, WitnessRefused)
    assert (event.witness, event.reason) == ("witness.example/w1", reason)
    cosign_newest(signing.site, signing.context())
    assert len(events(signing, WitnessRefused)) == 1
    state = witness_states(signing.site)["witness.example/w1"]
    assert state.reason == reason or state.cosigned_size is not None


@pytest.mark.slow
def test_a_witness_that_is_gone_is_named_by_status_until_it_is_back(
    signing: World, witnesses: list[Witness], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One event for the whole absence, and none of it is in the way of a check."""
    monkeypatch.setattr(ask_witness, "WAIT_SECONDS", 0.2)
    witnesses[0].answers = [(500, b"")] * 2
    cosign(signing)
    cosign_newest(signing.site, signing.context())
    texts = [each.text for each in verdict_of(signing.site, signing.clock.now()).findings]
    assert any("witness.example/w1" in each for each in texts), texts
    done = cosign_newest(signing.site, signing.context())
    assert done is not None
    assert done.witnesses == ("witness.example/w1",)
    findings = verdict_of(signing.site, signing.clock.now()).findings
    assert not any(each.kind == "witness" for each in findings)


def test_a_witness_that_saw_another_history_is_a_bad_finding(
    signing: World, witnesses: list[Witness], key_path: Path
) -> None:
    """The ledger was put back, and went another way: the proof does not fit what it has."""
    cosign(signing)
    seen = witnesses[0].seen
    seen[NAME] = _another_history(seen[NAME], key_path, witnesses[0])
    signing.advance(minutes=20)
    signing.configure(keep_count=3)
    done = cosign(signing)
    assert done.refusals["witness.example/w1"].reason == "wrong_proof"
    [finding] = [
        each
        for each in verdict_of(signing.site, signing.clock.now()).findings
        if each.kind == "witness"
    ]
    assert finding.is_bad


@pytest.mark.slow
def test_another_history_is_told_at_once_and_an_absence_is_not(
    signing: World, witnesses: list[Witness]
) -> None:
    """As a message: status is for those who look."""
    witnesses[0].answers, witnesses[1].answers = [(500, b"")], [(409, b"1000\n")]
    cosign(signing)
    told = [incident_of(each) for each in signing.site.ledger.recorded()]
    [incident] = [each for each in told if each is not None]
    assert incident.topic == "history"
    assert "witness.example/w2 has cosigned 1000 records" in incident.text


def _another_history(seen: bytes, key_path: Path, witness: Witness) -> bytes:
    key = read_private_key(key_path)
    size = open_checkpoint(seen, key.verifier()).checkpoint.size
    note = sign_checkpoint(Checkpoint(NAME, size, b"\1" * 32), key)
    return cosign_checkpoint(note, key.verifier(), witness.key, 1)


def test_verify_says_how_far_others_saw_it(signing: World) -> None:
    """And what is cosigned by too few is named among what was not checked."""
    engine, configuration = signing.site.ledger.engine, signing.site.configuration
    sign_when_due(signing)
    report = verify_ledger(engine, configuration)
    assert any("whether others were shown the same history" in each for each in report.not_checked)
    cosign_newest(signing.site, signing.context())
    report = verify_ledger(engine, configuration)
    assert report.ok
    assert "cosigned by 3 of 3 witnesses" in report.verdict


def test_a_cosignature_that_does_not_fit_is_found(signing: World) -> None:
    """Whoever can write the database put it there."""
    cosign(signing)
    note = newest_note(signing)
    head, dash, line = note.rpartition("— ".encode())
    bad = head + dash + line.replace(line[-20:-10], b"AAAAAAAAAA")
    with signing.site.ledger.engine.begin() as connection:
        connection.execute(checkpoints.insert().values(size=2, note=bad, created_at=1))
    report = verify_ledger(signing.site.ledger.engine, signing.site.configuration)
    assert [each.problem.partition(" has ")[2] for each in report.findings] == [
        "a cosignature that does not fit it"
    ]


def test_proofs_and_bundles_carry_them(
    signing: World, key_path: Path, tmp_path: Path, witnesses: list[Witness]
) -> None:
    """A proof rests on the newest cosigned checkpoint; a bundle's own is cosigned for it."""
    cosign(signing)
    key = read_private_key(key_path)
    policy = witness_policy(signing.site.configuration)
    proved = prove(signing.site.ledger.engine, 1, key, signing.clock, witnesses=policy)
    proved.proof.verify(proved.leaf_hash, key.verifier(), policy.keys, quorum=3)
    signing.advance(minutes=1)
    out = tmp_path / "bundle"
    export_evidence(signing.site, signing.context(), out, Choice(), key)
    public = Key(key.verifier().to_text())
    known = [Key(each.to_text(), WITNESS) for each in policy.keys]
    assert "3 of your witnesses" in check(str(out), public, known, 3)[0]
    stranger = new_witness("witness.example/w4").key.verifier().to_text()
    with pytest.raises(Problem, match="0 of your 1 witnesses"):
        check(str(out), public, [Key(stranger, WITNESS)], 1)
    assert witnesses[0].requests


def test_a_bundle_is_made_although_no_witness_answers(
    signing: World, key_path: Path, tmp_path: Path, witnesses: list[Witness]
) -> None:
    """And says so, where somebody asks for cosignatures."""
    for each in witnesses:
        each.answers = [(500, b"")]
    key = read_private_key(key_path)
    export_evidence(signing.site, signing.context(), tmp_path / "bundle", Choice(), key)
    public, known = Key(key.verifier().to_text()), Key(witnesses[0].setting["key"], WITNESS)
    check(str(tmp_path / "bundle"), public)
    with pytest.raises(Problem, match="0 of your 1 witnesses"):
        check(str(tmp_path / "bundle"), public, [known], 1)


def test_a_scheduler_asks_on_a_thread_of_its_own(signing: World, witnesses: list[Witness]) -> None:
    """A check returns although nobody answers; stopping waits for what is on its way."""
    with WitnessThread(signing.site) as thread:
        Checks(signing.site).check()
        thread.look()
    assert witnesses[0].seen or witnesses[0].requests == []
    thread = WitnessThread(signing.site)
    thread.ask_now()
    assert NAME in witnesses[0].seen


def test_a_ledger_that_is_published_does_not_grow_by_itself(
    signing: World, witnesses: list[Witness], tmp_path: Path
) -> None:
    """Cosigned, published, signed for that, cosigned again: it comes to an end by itself."""
    site = signing.site
    nas = NewDestination(url=f"file://{tmp_path / 'nas'}", name="nas", recipients=(), clear=True)
    add_destination(site, signing.context(), nas)
    thread = WitnessThread(site)
    sizes = []
    for _ in range(6):
        signing.advance(minutes=11)
        sign_when_due(signing)
        thread.ask_now()
        publish_if_behind(site, find_destination(site, "nas"))
        sizes.append(site.ledger.log_recorder.head().size)
    assert sizes[-1] == sizes[-2] == sizes[-3], sizes


def test_what_is_published_carries_them_where_witnesses_answer(
    signing: World, key_path: Path, tmp_path: Path, witnesses: list[Witness]
) -> None:
    """Whoever reads there need not ask us; and a witness that is away stops no publication."""
    key, policy = read_private_key(key_path), witness_policy(signing.site.configuration)
    publish_log(signing.site, str(tmp_path / "log"))
    note = (tmp_path / "log" / "checkpoint").read_bytes()
    first = open_checkpoint(note, key.verifier(), policy.keys, quorum=3).checkpoint
    for each in witnesses:
        each.answers = [(500, b"")]
    signing.configure(1, keep_count=9)
    publish_log(signing.site, str(tmp_path / "log"))
    note = (tmp_path / "log" / "checkpoint").read_bytes()
    assert open_checkpoint(note, key.verifier()).checkpoint.size > first.size


def test_who_refused_is_asked_again_after_an_interval(
    signing: World, witnesses: list[Witness]
) -> None:
    """Not at every check."""
    sign_when_due(signing)
    witnesses[0].answers = [(500, b"")]
    thread = WitnessThread(signing.site)
    thread.ask_now()
    assert NAME not in witnesses[0].seen
    thread.ask_now()
    assert NAME not in witnesses[0].seen
    signing.advance(minutes=10)
    thread.ask_now()
    assert NAME in witnesses[0].seen
