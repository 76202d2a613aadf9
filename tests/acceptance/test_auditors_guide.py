"""An auditor's path, exactly as docs/AUDITORS.md tells it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ledger.tree.signed_note import SignatureType, VerifierKey, generate_key
from ledger.verify.records import RECORD_KEYS
from tests.acceptance.place import Place
from tests.witness import Witness, running

GUIDE = Path(__file__).parents[2] / "docs" / "AUDITORS.md"
NEEDED = ("bash", "sha256sum", "base64", "python3")

WITNESS_KEY = generate_key("witness.example/w1", None, SignatureType.COSIGNATURE)


class KnownWhenWritten(dict[str, list[VerifierKey]]):
    """The logs of a witness whose operator is given the public key in the middle of the guide."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def __contains__(self, origin: object) -> bool:
        return origin in self._known()

    def __getitem__(self, origin: str) -> list[VerifierKey]:
        return self._known()[origin]

    def _known(self) -> dict[str, list[VerifierKey]]:
        key = VerifierKey.parse(self._path.read_text().strip())
        return {key.name: [key]}


def commands() -> list[str]:
    """The guide's blocks of commands, in order; the one that needs OpenSSL only where it is."""
    found = re.findall(r"^```sh\n(.*?)^```$", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(found) > 8
    has_openssl = shutil.which("openssl") is not None
    return [block for block in found if has_openssl or "openssl" not in block]


@pytest.mark.skipif(
    any(shutil.which(each) is None for each in NEEDED), reason="the guide is for a POSIX shell"
)
def test_the_guide_works_as_it_is_written(place: Place, warm_path: str) -> None:
    """Every command, one after the other, in one folder with one database."""
    with running(Witness(WITNESS_KEY, KnownWhenWritten(place.folder / "ledger.pub"))) as witness:
        finished = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(commands())],
            cwd=place.folder,
            env=os.environ
            | {
                "PATH": warm_path,
                "WITNESS_URL": witness.url,
                "WITNESS_KEY": witness.setting["key"],
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
    assert finished.returncode == 0, f"{finished.stdout}\n{finished.stderr}"
    assert finished.stdout.count("GOOD: the bundle is what the ledger signed.") == 5
    assert "cosigned by 1 of 1 witnesses" in finished.stdout
    assert finished.stderr.count("a fork: ") == 1
    assert "The history is whole" in finished.stdout
    computed, signed = re.findall(
        r"^(?:computed|signed).*: +([0-9a-f]{64})$", finished.stdout, re.MULTILINE
    )
    assert computed == signed
    if shutil.which("openssl"):
        assert "Signature Verified Successfully" in finished.stdout


def test_the_guide_names_every_key_of_a_record() -> None:
    """The table is complete, and has nothing that records do not have."""
    section = GUIDE.read_text("utf-8").partition("always all of them:")[2].partition("Ids are")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == RECORD_KEYS
