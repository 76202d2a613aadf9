"""Attacks on a bundle on its way to the auditor: each ends as BAD, with exit code 3."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.tree.checkpoint import Checkpoint, sign_checkpoint
from ledger.tree.merkle import Frontier, leaf_hash
from tests.ledger.bundles import A_RANGE, judge, make_bundle
from tests.ledger.tampering import OTHER_KEY, SIZE

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
    "a position is no number": ("positions", lines(lambda f: f.insert(0, b"x\n")), "not in order"),
    "a position is beyond": ("positions", lines(lambda f: f.append(b"601\n")), "do not fit"),
    "the signed size is changed": ("checkpoint", replace(b"600", b"601"), "signature"),
    "the signed root is changed": ("checkpoint", replace(b"\n600\n", b"\n600\nA"), "signature"),
    "the signature is taken off": ("checkpoint", lines(list.pop), "not signed by your"),
    "the signature is doubled": ("checkpoint", lines(lambda f: f.append(f[-1])), "not signed"),
    "the name is changed": ("checkpoint", replace(b"example", b"Example"), "signature"),
    "the checkpoint is no text": ("checkpoint", lambda path: path.write_bytes(b"\xff\n"), "read"),
    "an earlier checkpoint is changed": ("chain.jsonl", replace(b"n100", b"n101"), "signature"),
    "a checkpoint is taken from the end": ("chain.jsonl", lines(list.pop), "does not end with"),
    "checkpoints are swapped": ("chain.jsonl", lines(swap), ""),
    "a consistency proof is changed": (
        "chain.jsonl",
        replace(b'"proof":["', b'"proof":["' + b"00" * 32 + b'","'),
        "",
    ),
    "the chain is no JSON": ("chain.jsonl", lines(lambda f: f.insert(0, b"{\n")), "read"),
    "the chain is a list": ("chain.jsonl", lines(lambda f: f.insert(0, b"[]\n")), "read"),
    "a file is taken away": ("chain.jsonl", Path.unlink, "cannot be read"),
    "the checkpoint is taken away": ("checkpoint", Path.unlink, "cannot be read"),
    "all is taken away": ("events.jsonl", lambda path: path.write_bytes(b""), ""),
}
ON_PARTS = {
    "a hash is changed": (proof_of(lambda p: p.__setitem__(0, "00" * 32)), "not the one"),
    "a hash is left out": (proof_of(lambda p: p.pop()), "too short"),
    "a hash is added": (proof_of(lambda p: p.append("00" * 32)), "too long"),
    "hashes are swapped": (proof_of(lambda p: p.reverse()), "not the one"),
    "a hash is too long": (proof_of(lambda p: p.__setitem__(0, "00" * 33)), "no hash"),
    "a hash is a number": (proof_of(lambda p: p.__setitem__(0, 7)), ""),  # type: ignore[call-overload]
    "a proof is left out": (lines(list.pop), "not of one length"),
    "proofs are swapped": (lines(swap), "not the one"),
    "proofs are taken away": (Path.unlink, "cannot be read"),
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

    bundle = attacked(sound["whole"], tmp_path, "events.jsonl", forge)
    require_bad(bundle, "not signed by your public key")
    assert judge(bundle, OTHER_KEY.verifier().to_text()).code == 0
