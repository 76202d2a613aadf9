"""A story under one injected error, and what must hold however it ended."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from tests.crash.aftermath import Forker, require_recovered
from tests.crash.forking import Job
from tests.faults.injection import LINE_BYTES, SHORT, SIGNALS, Fault

EXIT_CODES = (0, 1, 3, 4, 5)
SAID = ("Error: ", "Warning: ")


def survive(
    forker: Forker, folder: Path, story: str, fault: Fault, url: str | None = None
) -> str | None:
    """Live it in `folder`, require what must hold; the call that was hit, None beyond the last.

    `url`: of a new database on a server, for the ledger and the read models.
    """
    folder.mkdir(parents=True)
    job = Job(str(folder), story, fault=asdict(fault), url=url)
    code = forker.run(job)
    said = (folder / "said.txt").read_text()
    assert code in EXIT_CODES, said
    assert "Traceback" not in said, said
    assert "unexpected" not in said, said  # an error that nobody has thought of
    assert all(line.startswith(SAID) for line in said.splitlines()), said
    assert code == 0 or "Error: " in said
    job.acknowledged.touch()
    require_recovered(job, story, said=said)
    calls = calls_of(folder)
    if fault.error in (SHORT, SIGNALS, "EINTR"):
        assert code == 0, said
    return calls[fault.at - 1] if fault.at <= len(calls) else None


def calls_of(folder: Path) -> list[str]:
    """The calls that the story made, in order, each with the file's name."""
    counted = folder / "calls.txt"
    text = counted.read_text("utf-8", "replace") if counted.exists() else ""
    return [text[at : at + LINE_BYTES].strip() for at in range(0, len(text), LINE_BYTES)]
