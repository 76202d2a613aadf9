"""Copies of finished files: private, whole, and never over another one."""

import hashlib
import stat
from pathlib import Path

import pytest

from commands.sqlite.errors import (
    FileInTheWay,
    SourceMissing,
)
from commands.sqlite.restore_into import (
    copy_file,
)


def test_copy_file_makes_a_private_copy_and_never_overwrites(tmp_path: Path, backup: Path) -> None:
    """The hash is of what was written; a file in the way stays as it is."""
    copy = tmp_path / "copy.db"
    told: list[tuple[str, int, int]] = []
    digest = copy_file(backup, copy, lambda *call: told.append(call))
    assert copy.read_bytes() == backup.read_bytes()
    assert digest == hashlib.sha256(copy.read_bytes()).hexdigest()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert told[-1] == ("copy", copy.stat().st_size, copy.stat().st_size)
    with pytest.raises(FileInTheWay, match=r"copy\.db"):
        copy_file(tmp_path / "origin.db", copy)
    assert copy.read_bytes() == backup.read_bytes()


def test_copy_file_that_fails_leaves_nothing(tmp_path: Path, backup: Path) -> None:
    """A missing source, or an interrupt in the middle."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(SourceMissing, match=r"none\.db"):
        copy_file(tmp_path / "none.db", tmp_path / "copy.db")
    with pytest.raises(KeyboardInterrupt):
        copy_file(backup, tmp_path / "copy.db", interrupt)
    assert not (tmp_path / "copy.db").exists()
