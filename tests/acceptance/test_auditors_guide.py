"""An auditor's path, exactly as docs/AUDITORS.md tells it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ledger.verify.records import RECORD_KEYS
from tests.acceptance.place import PROGRAM, Place

GUIDE = Path(__file__).parents[2] / "docs" / "AUDITORS.md"
NEEDED = ("bash", "sha256sum", "base64", "python3")


def commands() -> list[str]:
    """The guide's blocks of commands, in order; the one that needs OpenSSL only where it is."""
    found = re.findall(r"^```sh\n(.*?)^```$", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(found) > 8
    has_openssl = shutil.which("openssl") is not None
    return [block for block in found if has_openssl or "openssl" not in block]


@pytest.mark.skipif(
    any(shutil.which(each) is None for each in NEEDED), reason="the guide is for a POSIX shell"
)
def test_the_guide_works_as_it_is_written(place: Place) -> None:
    """Every command, one after the other, in one folder with one database."""
    finished = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(commands())],
        cwd=place.folder,
        env=os.environ | {"PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert finished.returncode == 0, f"{finished.stdout}\n{finished.stderr}"
    assert finished.stdout.count("GOOD: the bundle is what the ledger signed.") == 3
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
