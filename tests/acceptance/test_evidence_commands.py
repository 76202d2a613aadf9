"""backup-ledger audit verify, checkpoint, prove, export, verify-bundle, keygen."""

from __future__ import annotations

import sqlite3
import stat
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from ledger.tree.checkpoint import TlogProof, open_checkpoint
from ledger.tree.signed_note import SignerKey, VerifierKey, generate_key
from tests.acceptance.place import CONFLICT, FAILED, NOT_FOUND, USAGE, Place, require_clear

FOUND = 3


@pytest.fixture
def kept(place: Place) -> Place:
    """A ledger of five events, and a key."""
    place.done("backup", "create", "one")
    place.done("settings", "set", "1", "--time", "03:00")
    place.fill_ledger(2)
    ended = place.done("audit", "keygen", "example.com/backups", "--out", "key")
    Path("public").write_text(ended.out)
    return place


def public() -> str:
    return Path("public").read_text("utf-8").strip()


def tamper(place: Place, position: int = 2) -> None:
    """Change a record as somebody with the file would."""
    with sqlite3.connect(place.ledger) as connection:
        connection.execute("DROP TRIGGER ledger_events_no_update")
        connection.execute(
            "UPDATE ledger_events SET record = CAST(replace(record, 'operator', 'operat0r') "
            "AS BLOB) WHERE position = ?",
            (position,),
        )
    connection.close()


def test_keygen_writes_a_private_key_and_prints_the_public_one(kept: Place) -> None:
    """In Go's forms; only the owner can read the file."""
    signer = SignerKey.parse(Path("key").read_text("ascii").removesuffix("\n"))
    assert VerifierKey.parse(public()) == signer.verifier()
    assert signer.name == "example.com/backups"
    assert stat.S_IMODE(Path("key").stat().st_mode) == 0o600


def test_keygen_never_overwrites(kept: Place) -> None:
    """A lost key cannot be made again."""
    before = Path("key").read_bytes()
    require_clear(
        kept.run("audit", "keygen", "other", "--out", "key"), CONFLICT, "key already exists"
    )
    assert Path("key").read_bytes() == before


@pytest.mark.parametrize("name", ["", "two words", "a+b", "line\nbreak"])
def test_keygen_refuses_names_that_a_note_cannot_have(place: Place, name: str) -> None:
    """And makes no file."""
    require_clear(place.run("audit", "keygen", name, "--out", "key"), USAGE, "not a key name")
    assert not Path("key").exists()


def test_a_whole_ledger_verifies(kept: Place) -> None:
    """For a person: a verdict, the root, and what was not checked."""
    ended = kept.done("audit", "verify")
    assert "The history is whole" in ended.out
    assert "Not checked: " in ended.err


def test_verify_json_has_the_promised_shape(kept: Place) -> None:
    """One document, hashes in lower-case hex."""
    report = kept.json("audit", "verify")
    assert set(report) == {"ok", "size", "root", "findings", "notes", "not_checked"}
    assert (report["ok"], report["findings"]) == (True, [])
    assert report["size"] == len(kept.events())
    assert len(bytes.fromhex(report["root"])) == 32
    assert report["root"] == report["root"].lower()
    assert all(isinstance(each, str) for each in report["notes"] + report["not_checked"])


def test_findings_end_with_exit_code_3(kept: Place) -> None:
    """For a person and for a program; nothing is repaired."""
    tamper(kept)
    ended = kept.run("audit", "verify")
    assert ended.code == FOUND
    assert "position 2: the record does not match its leaf hash" in ended.out
    assert "nothing is repaired" in ended.out
    ended = kept.run("audit", "verify", "--json")
    assert (ended.code, ended.json["ok"]) == (FOUND, False)
    assert set(ended.json["findings"][0]) == {"position", "problem", "expected", "found"}
    assert 2 in [each["position"] for each in ended.json["findings"]]


def test_verify_needs_neither_the_folder_nor_the_read_models(kept: Place) -> None:
    """The ledger's file alone, somewhere else; and it makes no files beside it."""
    Path("elsewhere").mkdir()
    with sqlite3.connect(kept.ledger) as connection:
        connection.execute("VACUUM INTO 'elsewhere/copy.sqlite'")
    connection.close()
    ended = kept.run("--ledger", "elsewhere/copy.sqlite", "audit", "verify", "--json")
    assert (ended.code, ended.json["ok"]) == (0, True)
    assert [path.name for path in Path("elsewhere").iterdir()] == ["copy.sqlite"]


def test_a_checkpoint_that_was_kept_is_compared(kept: Place) -> None:
    """The history since, and a history that is another one."""
    Path("old").write_text(kept.done("audit", "checkpoint", "--key", "key").out)
    kept.fill_ledger(3)
    wanted = ("audit", "verify", "--checkpoint", "old", "--public-key", public())
    report = kept.json(*wanted)
    assert any("is part of this history" in each for each in report["notes"])
    other = Path("old").read_text().replace("\n5\n", "\n4\n")
    Path("old").write_text(other)
    ended = kept.run(*wanted)
    assert ended.code == FOUND
    assert "not signed by the given public key" in ended.out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--checkpoint", "public"], "needs --public-key"),
        (["--checkpoint", "public", "--public-key", "nonsense"], "not a public key"),
        (["--checkpoint", "public", "--public-key", "PUBLIC"], "is not a checkpoint"),
        (["--checkpoint", "nothing", "--public-key", "PUBLIC"], "nothing cannot be read"),
        (["--public-key", "PRIVATE"], "not a public key"),
    ],
)
def test_wrong_keys_and_checkpoints_are_usage_errors(
    kept: Place, options: list[str], says: str
) -> None:
    """Exit code 2: nothing was said about the ledger; and no private key is shown."""
    texts = {"PUBLIC": public(), "PRIVATE": generate_key("a").verifier().to_text() + "A"}
    given = [texts.get(each, each) for each in options]
    require_clear(kept.run("audit", "verify", *given), USAGE, says)


def test_checkpoint_prints_what_it_keeps(kept: Place) -> None:
    """Signed, of all records; again without new events it is the same, kept once."""
    first = kept.done("audit", "checkpoint", "--key", "key")
    opened = open_checkpoint(first.out.encode(), VerifierKey.parse(public())).checkpoint
    assert (opened.origin, opened.size) == ("example.com/backups", len(kept.events()))
    assert kept.done("audit", "checkpoint", "--key", "key") == first
    told = kept.json("audit", "checkpoint", "--key", "key")
    assert told == {
        "origin": opened.origin,
        "size": opened.size,
        "root": opened.root.hex(),
        "checkpoint": first.out,
    }
    [note] = [each for each in kept.json("audit", "verify")["notes"] if "checkpoints kept" in each]
    assert note.startswith("checkpoints kept in the ledger: 1, of example.com/backups;")


def test_a_rewritten_ledger_is_not_signed(kept: Place) -> None:
    """Exit code 1, and a pointer to verify."""
    kept.done("audit", "checkpoint", "--key", "key")
    with sqlite3.connect(kept.ledger) as connection:
        connection.execute("DROP TRIGGER ledger_events_no_update")
        connection.execute("UPDATE ledger_events SET leaf_hash = zeroblob(32) WHERE position = 2")
    connection.close()
    ended = kept.run("audit", "checkpoint", "--key", "key")
    require_clear(ended, FAILED, "audit verify")


@pytest.mark.parametrize("content", [None, "", "nonsense", "PUBLIC", "KEY\n\n", "KEY\r\n", " KEY"])
@pytest.mark.parametrize(
    "command", [("checkpoint",), ("prove", "1"), ("export", "out")], ids=lambda c: c[0]
)
def test_a_file_that_is_no_private_key_is_a_usage_error(
    kept: Place, command: tuple[str, ...], content: str | None
) -> None:
    """Exactly one newline may stand at its end; what is in it is never shown."""
    secret = Path("key").read_text("ascii").strip()
    if content is not None:
        Path("bad").write_text(
            content.replace("KEY", secret).replace("PUBLIC", public()), newline=""
        )
    ended = kept.run("audit", *command, "--key", "bad")
    require_clear(ended, USAGE, "bad")
    assert secret not in ended.err
    assert not Path("out").exists()


def test_a_key_without_a_newline_is_read(kept: Place) -> None:
    """As other tools write them."""
    Path("key2").write_text(Path("key").read_text("ascii").strip())
    assert kept.done("audit", "checkpoint", "--key", "key2").out.startswith("example.com/backups\n")


def test_prove_prints_a_proof_that_fits_the_record(kept: Place) -> None:
    """Checked with the record as audit log gives it, and the public key."""
    records = kept.done("audit", "log", "--json").out.splitlines()
    record = records[2].partition('"record":')[2][:-1].encode()
    ended = kept.done("audit", "prove", "3", "--key", "key")
    leaf = sha256(b"\0" + record).digest()
    TlogProof.from_bytes(ended.out.encode()).verify(leaf, VerifierKey.parse(public()))
    told = kept.json("audit", "prove", "3", "--key", "key")
    assert told == {"position": 3, "leaf_hash": leaf.hex(), "proof": ended.out}


@pytest.mark.parametrize("position", ["0", "99", "9223372036854775807"])
def test_a_position_that_does_not_exist_is_not_found(kept: Place, position: str) -> None:
    """Exit code 4."""
    ended = kept.run("audit", "prove", position, "--key", "key")
    require_clear(ended, NOT_FOUND, f"no position {position}")


@pytest.mark.parametrize("out", ["bundle", "bundle.zip"])
def test_an_exported_bundle_verifies(kept: Place, out: str) -> None:
    """Folder and .zip; what is printed can be run as it stands."""
    ended = kept.done("audit", "export", out, "--key", "key")
    command = ended.out.splitlines()[-1]
    assert command == f"backup-ledger audit verify-bundle {out} --public-key {public()}"
    assert "GOOD" in kept.done(*command.split()[1:]).out
    told = kept.json(*command.split()[1:])
    assert (told["ok"], told["problem"]) == (True, None)
    names = (
        zipfile.ZipFile(out).namelist()
        if out.endswith(".zip")
        else [path.name for path in Path(out).iterdir()]
    )
    assert "verify_evidence.py" in names


def test_the_export_is_an_event(kept: Place) -> None:
    """Who, which records, by which choice."""
    size = len(kept.events())
    kept.done("audit", "export", "out", "--user", "1", "--from", "2", "--key", "key")
    event = kept.events()[-1]
    assert event["event_type"] == "ledger.evidence_exported"
    assert event["actor"]["kind"] == "operator"
    [position] = [number for number, each in enumerate(kept.events(), 1) if each["user_id"] == "1"]
    assert event["details"] == {
        "nonce": event["details"]["nonce"],
        "first_position": position,
        "last_position": position,
        "checkpoint_size": size,
        "filter": {"first_position": 2, "user": "1"},
    }
    assert kept.json("audit", "verify")["ok"]


def test_a_span_of_positions_or_times_is_exported(kept: Place) -> None:
    """--to is inclusive for positions, exclusive for times."""
    told = kept.json("audit", "export", "a", "--from", "2", "--to", "3", "--key", "key")
    assert (told["records"], told["first_position"], told["last_position"]) == (2, 2, 3)
    assert told["public_key"] == public()
    ended = kept.run("audit", "export", "b", "--to", "2000-01-01", "--key", "key")
    require_clear(ended, NOT_FOUND, "nothing was exported")
    told = kept.json("audit", "export", "c", "--from", "2000-01-01", "--key", "key")
    assert told["records"] == told["checkpoint_size"]
    require_clear(kept.run("audit", "export", "d", "--to", "soon", "--key", "key"), USAGE, "soon")


def test_nothing_is_overwritten_by_an_export(kept: Place) -> None:
    """A folder, even an empty one, and a file stay as they are; and no event is written."""
    Path("folder").mkdir()
    before = len(kept.events())
    for name in ("folder", "public"):
        ended = kept.run("audit", "export", name, "--key", "key")
        require_clear(ended, CONFLICT, f"{name} already exists")
    ended = kept.run("audit", "export", "no/where", "--key", "key")
    require_clear(ended, NOT_FOUND, f"there is no folder {Path('no').absolute()};")
    assert len(kept.events()) == before
    assert {path.name for path in Path().iterdir()} == {
        *("app.db", ".app.db.backup-ledger", "backups", "folder", "key", "public")
    } | {path.name for path in Path().glob("app.db-*")}


def test_a_tampered_bundle_ends_with_exit_code_3(kept: Place) -> None:
    """Said in words, and as JSON."""
    kept.done("audit", "export", "out", "--key", "key")
    events = Path("out/events.jsonl")
    events.write_bytes(events.read_bytes().replace(b"operator", b"operat0r", 1))
    wanted = ("audit", "verify-bundle", "out", "--public-key", public())
    ended = kept.run(*wanted)
    assert (ended.code, "BAD: the records are not the ones" in ended.out) == (FOUND, True)
    ended = kept.run(*wanted, "--json")
    assert (ended.code, ended.json["ok"], ended.json["proved"]) == (FOUND, False, [])


def test_verify_bundle_runs_nothing_from_the_bundle(kept: Place) -> None:
    """Its program could be anything."""
    kept.done("audit", "export", "out", "--key", "key")
    Path("out/verify_evidence.py").write_text("open('ran', 'w').close()\n")
    ended = kept.run("audit", "verify-bundle", "out", "--public-key", public())
    assert (ended.code, "a file is not the one" in ended.out) == (FOUND, True)
    assert not Path("ran").exists()


def test_a_bundle_that_is_not_there_is_not_found(kept: Place) -> None:
    """And a key that is none is a usage error; the folder needs no ledger."""
    missing = kept.run("audit", "verify-bundle", "nothing", "--public-key", public())
    require_clear(missing, NOT_FOUND, "nothing")
    bad = kept.run("audit", "verify-bundle", "backups", "--public-key", "nonsense")
    require_clear(bad, USAGE, "not a public key")


@pytest.mark.parametrize("command", ["verify", "checkpoint", "prove"])
def test_without_a_ledger_nothing_is_made(empty_place: Place, command: str) -> None:
    """Exit code 4, and no file appears."""
    key = Path("key")
    key.write_text(generate_key("a").to_text())
    more = {"verify": (), "checkpoint": ("--key", "key"), "prove": ("1", "--key", "key")}
    require_clear(empty_place.run("audit", command, *more[command]), NOT_FOUND, "no ledger")
    assert list(Path().iterdir()) == [key]


def test_the_menu_lists_the_commands(place: Place) -> None:
    """Each with its exit codes."""
    ended = place.done("audit", "--help")
    for name in ("verify", "checkpoint", "prove", "export", "verify-bundle", "keygen"):
        assert name in ended.out
        assert "3 verification found something" in " ".join(
            place.done("audit", name, "--help").out.split()
        )
