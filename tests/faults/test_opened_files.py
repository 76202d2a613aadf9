"""No command opens the source, a live target, the ledger or the read models as plain files.

Closing such a descriptor would drop every lock that the process holds on the file. What processes
of their own do is another matter: they hold no locks.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.aftermath import Forker
from tests.crash.forking import Job
from tests.crash.stories import STORIES
from tests.faults.opened_files import NAME


@pytest.mark.parametrize("story", [*STORIES, "open it plainly"])
def test_databases_are_opened_by_sqlite_alone(forker: Forker, tmp_path: Path, story: str) -> None:
    """In every story; the last one is the control, which does what nobody may."""
    opens = story not in STORIES
    job = Job(str(tmp_path), "by hand" if opens else story, watch=True, opens=opens)
    assert forker.run(job) == 0
    told = (tmp_path / NAME).read_text().splitlines()
    assert told == ([str(tmp_path / "site" / "app.db")] if opens else [])
