"""Attacks on a bundle on its way to the auditor: each ends as BAD, with exit code 3."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.evidence.bundle import sign_manifest, write_zip
from ledger.tree.checkpoint import Checkpoint, sign_checkpoint
from ledger.tree.merkle import Frontier, leaf_hash
from tests.ledger.bundles import A_RANGE, Verdict, judge, make_bundle
from tests.ledger.tampering import OTHER_KEY, PUBLIC, SIZE

Change = Callable[[Path], None]


def lines(change: Callable[[list[bytes]], object]) -> Change:
    """Change a file's lines."""

    def apply(path: Path) -> None:
        found = path.read_bytes().splitlines(keepends=True)
        change(found)
        path.write_bytes(b"".join(found))

    return apply


def replace(old: bytes, new: bytes) -> Change:
    """Change the first place where something stands."""

    def apply(path: Path) -> None:
        data = path.read_bytes()
        assert old in data
        path.write_bytes(data.replace(old, new, 1))

    return apply


def proof_of(change: Callable[[list[str]], object]) -> Change:
    """Change the third record's proof."""

    def apply(path: Path) -> None:
        found = path.read_bytes().splitlines(keepends=True)
        proof = json.loads(found[2])
        change(proof)
        found[2] = json.dumps(proof).encode() + b"\n"
        path.write_bytes(b"".join(found))

    return apply


def repeated(path: Path) -> None:
    """The last checkpoint, a thousand times, each the same ledger with nothing added."""
    again = json.loads(path.read_bytes().splitlines()[-1]) | {"proof": []}
    path.write_bytes(path.read_bytes() + (json.dumps(again).encode() + b"\n") * 1000)


def linked(path: Path) -> None:
    """The same bytes, elsewhere."""
    moved = path.rename(path.parent.with_name("elsewhere"))
    path.symlink_to(moved)


def piped(path: Path) -> None:
    """Whoever opens it waits for somebody who writes."""
    path.unlink()
    os.mkfifo(path)


def swap(found: list[bytes]) -> None:
    found[0], found[1] = found[1], found[0]


ON_ANY = {
    "a record is changed": ("events.jsonl", replace(b"ada", b"eve"), "signed"),
    "a record is left out": ("events.jsonl", lines(list.pop), ""),
    "a record is added": ("events.jsonl", lines(lambda found: found.append(b"{}\n")), ""),
    "two records are swapped": ("events.jsonl", lines(swap), ""),
    "white space is added": ("events.jsonl", replace(b":", b": "), ""),
    "the last newline is cut": (
        "events.jsonl",
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        "not complete",
    ),
    "a position is left out": ("positions", lines(list.pop), ""),
    "a position is doubled": ("positions", lines(lambda f: f.insert(1, f[0])), "not in order"),
    "positions run backwards": ("positions", lines(swap), "not in order"),
    "a position is not a number": (
        "positions",
        lines(lambda f: f.insert(0, b"x\n")),
        "not in order",
    ),
    "a position is beyond": ("positions", lines(lambda f: f.append(b"601\n")), "do not fit"),
    "the signed size is changed": ("checkpoint", replace(b"600", b"601"), "signature"),
    "the signed root is changed": ("checkpoint", replace(b"\n600\n", b"\n600\nA"), "signature"),
    "the signature is taken off": ("checkpoint", lines(list.pop), "not signed by your"),
    "the signature is doubled": ("checkpoint", lines(lambda f: f.append(f[-1])), "not signed"),
    "text follows the last signature": (
        "checkpoint",
        lines(lambda f: f.append(b"and all is well\n")),
        "something else",
    ),
    "an empty line follows the signature": ("checkpoint", lines(lambda f: f.append(b"\n")), ""),
    "the checkpoint has control characters": ("checkpoint", replace(b"600", b"6\x0000"), "note"),
    "the README says more": (
        "README.txt",
        lambda path: path.write_bytes(path.read_bytes() + b"Trust me.\n"),
        "not the one",
    ),
    "the manifest is changed": ("manifest", replace(b" README.txt", b" readme.txt"), "signature"),
    "the manifest is another text": (
        "manifest",
        lambda path: path.write_bytes(path.with_name("checkpoint").read_bytes()),
        "not the one",
    ),
    "another file stands beside": (
        "notes.txt",
        lambda path: path.write_bytes(b"read this first"),
        "does not belong",
    ),
    "a folder stands beside": ("sub", Path.mkdir, "does not belong"),
    "a file is a link": ("events.jsonl", linked, "does not belong"),
    "a file is a pipe": ("positions", piped, "does not belong"),
    "one line has no end": (
        "events.jsonl",
        lambda path: path.write_bytes(b"x" * (1 << 20)),
        "too long",
    ),
    "a checkpoint of the chain is repeated": (
        "chain.jsonl",
        repeated,
        "repeats",
    ),
    "a link of the chain says more": (
        "chain.jsonl",
        replace(b"{", b'{"x":1,'),
        "something unexpected",
    ),
    "the name is changed": ("checkpoint", replace(b"example", b"Example"), "signature"),
    "the checkpoint is not text": ("checkpoint", lambda path: path.write_bytes(b"\xff\n"), "read"),
    "an earlier checkpoint is changed": ("chain.jsonl", replace(b"n100", b"n101"), "signature"),
    "a checkpoint is taken from the end": ("chain.jsonl", lines(list.pop), "does not end with"),
    "checkpoints are swapped": ("chain.jsonl", lines(swap), ""),
    "a consistency proof is changed": (
        "chain.jsonl",
        replace(b'"proof":["', b'"proof":["' + b"00" * 32 + b'","'),
        "",
    ),
    "the chain is no JSON": ("chain.jsonl", lines(lambda f: f.insert(0, b"{\n")), "read"),
    "the chain is a list": (
        "chain.jsonl",
        lines(lambda f: f.insert(0, b"[]\n")),
        "something unexpected",
    ),
    "a file is taken away": ("chain.jsonl", Path.unlink, "not whole"),
    "the checkpoint is taken away": ("checkpoint", Path.unlink, "not whole"),
    "all is taken away": ("events.jsonl", lambda path: path.write_bytes(b""), ""),
}
ON_PARTS = {
    "a hash is changed": (proof_of(lambda p: p.__setitem__(0, "00" * 32)), "not the one"),
    "a hash is left out": (proof_of(lambda p: p.pop()), "too short"),
    "a hash is added": (proof_of(lambda p: p.append("00" * 32)), "too long"),
    "hashes are swapped": (proof_of(lambda p: p.reverse()), "not the one"),
    "a hash is too long": (proof_of(lambda p: p.__setitem__(0, "00" * 33)), "not a hash"),
    "a hash is a number": (proof_of(lambda p: p.__setitem__(0, 7)), ""),  # type: ignore[call-overload]
    "a proof is left out": (lines(list.pop), "not of one length"),
    "proofs are swapped": (lines(swap), "not the one"),
    "proofs are taken away": (Path.unlink, "do not fit"),
}


@pytest.fixture(scope="module")
def sound(
    signed_template: tuple[Path, list[bytes]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sound")
    make_bundle(signed_template[0], folder / "whole")
    make_bundle(signed_template[0], folder / "part", A_RANGE)
    return {"whole": folder / "whole", "part": folder / "part"}


def attacked(sound: Path, tmp_path: Path, file: str, change: Change) -> Path:
    bundle = tmp_path / "bundle"
    shutil.copytree(sound, bundle)
    change(bundle / file)
    return bundle


def require_bad(bundle: Path, words: str) -> None:
    verdict = judge(bundle)
    assert verdict.code == 3, verdict
    assert verdict.said.startswith("BAD: "), verdict
    assert words in verdict.said
    assert "GOOD" not in verdict.said


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["whole", "part"])
@pytest.mark.parametrize("attack", ON_ANY)
def test_a_bundle_is_changed(
    sound: dict[str, Path], tmp_path: Path, kind: str, attack: str
) -> None:
    """Wherever something is changed that was signed, and in the files beside it."""
    file, change, words = ON_ANY[attack]
    require_bad(attacked(sound[kind], tmp_path, file, change), words)


@pytest.mark.parametrize("attack", ON_PARTS)
def test_an_inclusion_proof_is_changed(sound: dict[str, Path], tmp_path: Path, attack: str) -> None:
    """Proofs are for one record, one place and one tree."""
    change, words = ON_PARTS[attack]
    require_bad(attacked(sound["part"], tmp_path, "proofs.jsonl", change), words)


def test_a_bundle_is_made_anew_and_signed_with_another_key(
    sound: dict[str, Path], tmp_path: Path
) -> None:
    """Consistent in itself, with a key of the same name: the auditor's key says no."""

    def forge(path: Path) -> None:
        records = path.read_bytes().replace(b"ada", b"eve").splitlines()
        path.write_bytes(b"".join(record + b"\n" for record in records))
        frontier, _ = Frontier().append_leaves([leaf_hash(record) for record in records])
        tree = Checkpoint(OTHER_KEY.name, SIZE, frontier.root())
        note = sign_checkpoint(tree, OTHER_KEY)
        path.with_name("checkpoint").write_bytes(note)
        link = json.dumps({"checkpoint": note.decode(), "proof": []}).encode() + b"\n"
        path.with_name("chain.jsonl").write_bytes(link)
        path.with_name("manifest").unlink()
        path.with_name("manifest").write_bytes(sign_manifest(path.parent, OTHER_KEY))

    bundle = attacked(sound["whole"], tmp_path, "events.jsonl", forge)
    require_bad(bundle, "not signed by your public key")
    assert judge(bundle, OTHER_KEY.verifier().to_text()).code == 0


def test_the_program_in_a_bundle_is_swapped(sound: dict[str, Path], tmp_path: Path) -> None:
    """A copy from elsewhere notices; the swapped one says whatever it was made to say."""
    bundle = attacked(
        sound["whole"], tmp_path, "verify_evidence.py", lambda path: path.write_text("print(1)\n")
    )
    verdict = judged(sound, bundle)
    assert (verdict.code, "a file is not the one" in verdict.said) == (3, True)


def test_a_bundle_without_a_manifest_says_what_is_not_signed(
    sound: dict[str, Path], tmp_path: Path
) -> None:
    """Those of 0.1.0 have none: their records are proved, their README is anybody's."""
    bundle = attacked(sound["whole"], tmp_path, "manifest", Path.unlink)
    verdict = judge(bundle)
    assert verdict.code == 0
    assert "Not signed, as in bundles of version 0.1.0: README.txt" in verdict.said


def doubled(archive: zipfile.ZipFile) -> None:
    archive.writestr("events.jsonl", b"{}\n")


def with_another(archive: zipfile.ZipFile) -> None:
    archive.writestr("notes.txt", b"read this first")


def with_a_path(archive: zipfile.ZipFile) -> None:
    archive.writestr("../positions", b"1\n")


def with_a_link(archive: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo("proofs.jsonl")
    entry.external_attr = 0o120777 << 16
    archive.writestr(entry, b"/etc/passwd")


def with_many(archive: zipfile.ZipFile) -> None:
    for number in range(3000):
        archive.writestr(f"{number}", b"")


ON_ZIPS = {
    "an entry is doubled": (doubled, "twice"),
    "an entry is added": (with_another, "does not belong"),
    "an entry has a path": (with_a_path, "does not belong"),
    "an entry is a link": (with_a_link, "does not belong"),
    "there are very many entries": (with_many, "not the .zip"),
}


@pytest.fixture
def archive(sound: dict[str, Path], tmp_path: Path) -> Path:
    """A sound bundle as a .zip."""
    path = tmp_path / "bundle.zip"
    with path.open("wb") as target:
        write_zip(sound["whole"], target)
    return path


def judged(sound: dict[str, Path], path: Path) -> Verdict:
    """What a copy of the program that is sound says of a .zip, or of whatever it is."""
    return judge(sound["whole"], PUBLIC.to_text(), str(path))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("attack", ON_ZIPS)
def test_a_zip_holds_each_file_once_and_no_others(
    sound: dict[str, Path], archive: Path, attack: str
) -> None:
    assert judged(sound, archive).code == 0
    change, words = ON_ZIPS[attack]
    with zipfile.ZipFile(archive, "a") as opened:
        change(opened)
    verdict = judged(sound, archive)
    assert (verdict.code, words in verdict.said) == (3, True), verdict


@pytest.mark.slow
@pytest.mark.parametrize(
    "offset", [0, 4, 6, 8, 14, 18, 26, 40, 60, 100, -4, -10, -16, -20, -22, -60, -80]
)
def test_a_zip_of_broken_bytes_is_bad_and_nothing_worse(
    sound: dict[str, Path], archive: Path, offset: int
) -> None:
    """Headers, compressed data, the list at the end; never a traceback, never a hang."""
    data = bytearray(archive.read_bytes())
    for value in (0xFF, 0x01):
        changed = bytearray(data)
        changed[offset] ^= value
        archive.write_bytes(changed)
        verdict = judged(sound, archive)
        assert verdict.code in (0, 3)  # some bytes mean nothing, such as a date
        assert verdict.said.startswith("BAD: ") == (verdict.code == 3)


@pytest.mark.slow
def test_a_line_without_end_in_a_small_zip_is_not_read_to_its_end(
    sound: dict[str, Path], tmp_path: Path
) -> None:
    """900 MB that compress to one: judged in a moment, in little memory."""
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
        for file in sound["whole"].iterdir():
            if file.name != "events.jsonl":
                made.write(file, file.name)
        with made.open("events.jsonl", "w") as entry:
            for _ in range(900):
                entry.write(bytes(1 << 20))
    verdict = judged(sound, path)
    assert (verdict.code, "too long" in verdict.said) == (3, True), verdict


@pytest.mark.parametrize("kind", ["pipe", "nothing", "empty", "text"])
def test_what_is_no_bundle_at_all_is_bad(sound: dict[str, Path], tmp_path: Path, kind: str) -> None:
    """A pipe that nobody writes into is not waited for."""
    path = tmp_path / "bundle.zip"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind != "nothing":
        path.write_bytes(b"" if kind == "empty" else b"PK\x05\x06 nothing")
    assert judged(sound, path).code == 3
