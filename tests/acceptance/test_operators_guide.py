"""An operator's path, exactly as docs/OPERATIONS.md tells it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from commands.site.configuration import Configuration
from tests.acceptance.place import Place

GUIDE = Path(__file__).parents[2] / "docs" / "OPERATIONS.md"


def commands() -> list[str]:
    """The guide's blocks of commands, in order."""
    found = re.findall(r"^```sh\n(.*?)^```$", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(found) > 12
    return found


@pytest.mark.skipif(
    any(shutil.which(each) is None for each in ("bash", "python3")),
    reason="the guide is for a POSIX shell",
)
def test_the_guide_works_as_it_is_written(place: Place, warm_path: str) -> None:
    """Every command, one after the other, in one folder with one database."""
    finished = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(commands())],
        cwd=place.folder,
        env=os.environ | {"PATH": warm_path},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    said = finished.stdout
    assert finished.returncode == 0, f"{said}\n{finished.stderr}"
    assert "All is well." in said
    assert "(20,)" in said
    assert said.count("Restored ") == 3
    assert "What was there before is kept as pre_restore_backup_" in said
    assert "(it is missing)" in said
    assert "ok   after-the-restore.db (drill)" in said
    assert said.count("The history is whole") == 3
    assert "BAD" not in said
    moved = place.folder / "new-machine" / "app.db"
    assert place.count_cases(moved) == 20
    assert not place.database.exists(), "the guide ends on the new machine"


def test_the_guide_knows_every_file_and_the_defaults() -> None:
    """What it says of settings is what the settings are; what it lists is what is made."""
    text = GUIDE.read_text("utf-8")
    for name in ("verify_digest_days", "verify_integrity_days", "drill_days", "drill_mb_per_check"):
        assert f"`{name}` ({Configuration.model_fields[name].default})" in text
    for made in (".store", ".staging/", ".sidecars/", "ledger.sqlite", "projections.sqlite"):
        assert f"| `{made}" in text


def test_the_guide_quotes_refusals_that_exist() -> None:
    """A frightened person searches for the words on the screen."""
    sources = "".join(
        path.read_text("utf-8") for path in (GUIDE.parents[1] / "commands").rglob("*.py")
    )
    flat = re.sub(r'"\s*\n?\s*f?"', "", sources)
    for words in (
        "stayed locked by another connection",
        "the file's content is not what was recorded",
        "nothing was touched",
        "no space left while writing",
        "has no .store file",
        "is it mounted",
        "cannot be read or written",
        "there is no backup",
        "is missing",
    ):
        assert words in GUIDE.read_text("utf-8")
        assert words in flat, words
