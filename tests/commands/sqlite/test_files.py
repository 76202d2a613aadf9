"""Copies of finished files: private, whole, and never over another one."""

import hashlib
import os
import stat
from pathlib import Path

import pytest

from commands.sqlite import files
from commands.sqlite.errors import FileInTheWay, SourceMissing
from commands.sqlite.files import copy_file, read_given


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


def test_file_that_a_person_names_is_read_without_waiting_forever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file to its limit; a pipe to its end; one that gives nothing, or a folder, is an error."""
    monkeypatch.setattr(files, "PIPE_SECONDS", 0)
    (tmp_path / "key").write_bytes(b"secret\n")
    assert read_given(tmp_path / "key", 100) == b"secret\n"
    assert read_given(tmp_path / "key", 3) == b"sec"
    reading, writing = os.pipe()
    os.write(writing, b"from a command")
    os.close(writing)
    assert read_given(Path(f"/dev/fd/{reading}"), 100) == b"from a command"
    os.close(reading)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TimeoutError, match="gives nothing"):
        read_given(tmp_path / "pipe", 100)
    with pytest.raises(IsADirectoryError):
        read_given(tmp_path, 100)
