"""Each change in docs/SCHEMA_CHANGES.md is made, and replays a ledger that older code wrote."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.world import make_database
from tests.schema_changes.office import leave_a_jumped_clock, office

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "SCHEMA_CHANGES.md").read_text()
GOLDEN = ROOT / "tests" / "golden" / "0.1.0"
PACKAGES = ("ledger", "projections", "commands")
CHANGES = {
    "A new field in an event": "replay_new_field",
    "A renamed field": "replay_renamed_field",
    "An event that is split": "replay_split_event",
    "A read model that gets a column": "replay_new_column",
    "A new read model": "replay_new_projection",
}


def diff_under(heading: str) -> str:
    """The one diff that the guide shows under a heading."""
    section = re.search(
        rf"^## \d\. {re.escape(heading)}\n(.*?)(?=^## |\Z)", GUIDE, re.MULTILINE | re.DOTALL
    )
    assert section, f"the guide has no section {heading!r}"
    (found,) = re.findall(r"^```diff\n(.*?)^```", section[1], re.MULTILINE | re.DOTALL)
    return found


@pytest.fixture
def old_office(tmp_path: Path) -> Path:
    """The golden ledger's folder, and one thing more that happened since, in this code's words."""
    folder = tmp_path / "office"
    (folder / "backups").mkdir(parents=True)
    for name in ("ledger.sqlite", "projections.sqlite"):
        shutil.copy(GOLDEN / name, folder / "backups" / name)
    shutil.copy(GOLDEN / "store", folder / "backups" / ".store")
    make_database(folder / "app.db", users=4)
    with office(folder) as site:
        leave_a_jumped_clock(site)
    return folder


@pytest.mark.parametrize("heading", CHANGES)
def test_the_change_is_made_and_an_older_ledger_replayed(
    heading: str, old_office: Path, tmp_path: Path
) -> None:
    """The diff applies to the code as it is; the changed code reads, folds and goes on."""
    changed = tmp_path / "changed"
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, changed / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    (changed / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "__init__.py", changed / "tests")
    shutil.copytree(ROOT / "tests" / "schema_changes", changed / "tests" / "schema_changes")
    subprocess.run(
        ["git", "apply", "-"],
        input=diff_under(heading).encode(),
        cwd=changed,
        check=True,
        env=os.environ | {"GIT_CEILING_DIRECTORIES": str(tmp_path)},
    )
    subprocess.run(
        [sys.executable, "-m", f"tests.schema_changes.{CHANGES[heading]}", str(old_office)],
        cwd=changed,
        env=os.environ | {"PYTHONPATH": str(changed)},
        check=True,
    )


def test_every_change_of_the_guide_is_tried() -> None:
    """A section with a diff has a replay of its own."""
    headings = re.findall(r"^## \d\. (.*)$", GUIDE, re.MULTILINE)
    assert headings == list(CHANGES)
