"""Bundles to check: made from the signed ledger, and judged as an auditor would."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ledger.append.database import database_url, open_engine
from ledger.append.kept_checkpoints import newest_kept
from ledger.evidence.bundle import Choice, Written, write_bundle
from tests.ledger.tampering import KEY, PUBLIC

BY_USER = Choice(user="1")
A_RANGE = Choice(first_position=290, last_position=310)


@dataclass(frozen=True)
class Verdict:
    """What verify_evidence.py said."""

    code: int
    said: str


def make_bundle(ledger: Path, folder: Path, choice: Choice = Choice()) -> Written:  # noqa: B008
    """A bundle up to the newest kept checkpoint."""
    folder.mkdir()
    engine = open_engine(database_url(f"sqlite:///{ledger}"))
    try:
        with engine.connect() as connection:
            kept = newest_kept(connection)
            assert kept is not None
            return write_bundle(connection, folder, choice, kept, KEY)
    finally:
        engine.dispose()


def judge(bundle: Path, *arguments: str) -> Verdict:
    """Run the bundle's own program as its README says: isolated, without our packages."""
    script = bundle / "verify_evidence.py"
    finished = subprocess.run(
        [sys.executable, "-I", "-S", str(script), *(arguments or (PUBLIC.to_text(),))],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in finished.stderr, finished.stderr
    return Verdict(finished.returncode, finished.stdout + finished.stderr)
