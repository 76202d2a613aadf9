"""Every verifier answers the one list of vectors: what one refuses, all refuse.

`prove.js` is asked under node where there is one, and in the Chromium of tests/browser.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from base64 import b64decode
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from commands.http.console import static_files
from ledger.tree.checkpoint import TlogProof, open_checkpoint
from ledger.tree.merkle import leaf_hash
from ledger.tree.proofs import ProofError, verify_consistency
from ledger.tree.signed_note import NoteError, VerifierKey
from ledger.verify_evidence import WITNESS, Key, Problem, check_consistency
from tests.ledger.verifier_vectors import KEPT_AT, vectors

VECTORS: list[dict[str, Any]] = json.loads(KEPT_AT.read_text())
NAMES = [f"{each['kind']}: {each['name']}" for each in VECTORS]
PROVE_JS = Path(static_files.__file__).with_name("static") / "prove.js"
DRIVER = """async (source, vectors) => {
  const { checkCheckpoint, checkProof, Wrong } = await import(source);
  const bytes = (text) => Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
  const verdicts = [];
  for (const each of vectors) {
    try {
      const trusted = [each.key, each.witnesses, each.quorum];
      if (each.kind === "proof") {
        await checkProof(bytes(each.record), each.index, bytes(each.proof), ...trusted);
      } else {
        await checkCheckpoint(bytes(each.note), ...trusted);
      }
      verdicts.push("good");
    } catch (error) {
      verdicts.push(error instanceof Wrong ? "bad" : `${error.name}: ${error.message}`);
    }
  }
  return verdicts;
}"""
"""What prove.js says of each: anything but good and bad is a fault of it."""


def test_the_list_is_the_one_that_its_module_makes() -> None:
    """Good and bad of each kind."""
    assert vectors() == VECTORS
    assert len(set(NAMES)) == len(NAMES)
    assert {(each["kind"], each["good"]) for each in VECTORS} == {
        (kind, good) for kind in ("checkpoint", "proof", "consistency") for good in (True, False)
    }


@pytest.mark.parametrize("vector", VECTORS, ids=NAMES)
def test_the_ledgers_own_verifier(vector: dict[str, Any]) -> None:
    """What signs and verifies inside the product."""
    with nullcontext() if vector["good"] else pytest.raises((NoteError, ProofError)):
        _by_ledger(vector)


def _by_ledger(vector: dict[str, Any]) -> None:
    if vector["kind"] == "consistency":
        (first, older), (second, newer) = _trees(vector)
        verify_consistency(first, second, older, newer, list(map(b64decode, vector["proof"])))
        return
    key = VerifierKey.parse(vector["key"])
    witnesses = [VerifierKey.parse(each) for each in vector.get("witnesses", [])]
    quorum = vector.get("quorum", 0)
    if vector["kind"] == "checkpoint":
        open_checkpoint(b64decode(vector["note"]), key, witnesses, quorum)
        return
    proof = TlogProof.from_bytes(b64decode(vector["proof"]))
    proof.verify(leaf_hash(b64decode(vector["record"])), key, witnesses, quorum)
    if proof.index != vector["index"]:
        raise ProofError("of another record")


@pytest.mark.parametrize("vector", VECTORS, ids=NAMES)
def test_the_stand_alone_verifier(vector: dict[str, Any]) -> None:
    """Checkpoints as a bundle holds them, and consistency; bundles have no .tlog-proof files."""
    if vector["kind"] == "proof":
        note = b64decode(vector["proof"]).partition(b"\n\n")[2]
        if not vector["good"] and not vector["name"].startswith(("checkpoint: ", "cosigned: ")):
            return  # it has no such files; test_attacks_on_evidence changes its own proofs
        vector = vector | {"note": note}
    with nullcontext() if vector["good"] else pytest.raises((Problem, UnicodeDecodeError)):
        _by_the_auditor(vector)


def _by_the_auditor(vector: dict[str, Any]) -> None:
    if vector["kind"] == "consistency":
        first, second = _trees(vector)
        check_consistency(first, second, list(map(b64decode, vector["proof"])))
        return
    note = vector["note"]
    data = note if isinstance(note, bytes) else b64decode(note)
    witnesses = [Key(each, WITNESS) for each in vector.get("witnesses", [])]
    Key(vector["key"]).open_checkpoint(data.decode(), witnesses, vector.get("quorum", 0))


def _trees(vector: dict[str, Any]) -> tuple[tuple[int, bytes], tuple[int, bytes]]:
    first, second = vector["first"], vector["second"]
    return (first["size"], b64decode(first["root"])), (second["size"], b64decode(second["root"]))


def for_the_browser() -> list[dict[str, Any]]:
    """Those that prove.js can judge: it shows one record, and compares no two checkpoints."""
    return [each for each in VECTORS if each["kind"] != "consistency"]


def require_as_listed(verdicts: list[str]) -> None:
    asked = for_the_browser()
    assert len(verdicts) == len(asked)
    for vector, verdict in zip(asked, verdicts, strict=True):
        expected = "good" if vector["good"] else "bad"
        assert verdict == expected, (vector["kind"], vector["name"])


@pytest.mark.skipif(shutil.which("node") is None, reason="asked in Chromium too: tests/browser")
def test_prove_js_under_node(tmp_path: Path) -> None:
    """The very file that the console serves."""
    module = tmp_path / "prove.mjs"
    shutil.copy(PROVE_JS, module)
    script = f"""
        const vectors = JSON.parse(require("fs").readFileSync(0));
        ({DRIVER})({json.dumps(module.as_uri())}, vectors)
            .then((found) => console.log(JSON.stringify(found)));
    """
    finished = subprocess.run(
        ["node", "-e", script],
        input=json.dumps(for_the_browser()),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert finished.returncode == 0, finished.stderr
    require_as_listed(json.loads(finished.stdout))
