"""Keys come from a command or a private file, and are asked for again after a while."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from commands.sqlite.cipher import keys as keys_module
from commands.sqlite.cipher.keys import NOT_CONFIGURED, Keys
from commands.sqlite.errors import KeyMissing


def private(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    path.chmod(0o600)
    return path


def test_a_file_holds_the_key_of_now_and_then_those_of_older_backups(tmp_path: Path) -> None:
    """One a line; line ends of any system and empty lines do not count."""
    file = private(tmp_path / "key", "it's söme key\r\n\nolder one\n")
    assert Keys(file=file).read() == ("it's söme key", "older one")


def test_a_command_prints_the_key() -> None:
    """It is split as a shell would, and no shell runs it."""
    command = f"{sys.executable} -c 'print(\"from; a $SAFE\")'"
    assert Keys(command=command).read() == ("from; a $SAFE",)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("/nowhere/at/all", "cannot be run: No such file"),
        ("'unclosed", "not a command line"),
        ("", "not a command line"),
        (f"{sys.executable} -c 'import sys; sys.exit(\"hunter2\")'", "exit code 1"),
        (f"{sys.executable} -c 'print()'", "the key is empty"),
        (f"{sys.executable} -c 'import sys; sys.stdout.buffer.write(b\"\\xff\")'", "not UTF-8"),
    ],
)
def test_a_command_that_gives_no_key_says_why_without_its_words(command: str, said: str) -> None:
    """What it wrote on standard error may quote the key."""
    with pytest.raises(KeyMissing, match=said) as caught:
        Keys(command=command).read()
    assert "hunter2" not in str(caught.value)


def test_a_command_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backup must not wait for a vault for ever."""
    monkeypatch.setattr(keys_module, "COMMAND_SECONDS", 0.1)
    with pytest.raises(KeyMissing, match="did not end"):
        Keys(command=f"{sys.executable} -c 'import time; time.sleep(60)'").read()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_not_taken(tmp_path: Path, mode: int) -> None:
    """A key that everybody reads protects nothing."""
    file = private(tmp_path / "key", "secret\n")
    file.chmod(mode)
    with pytest.raises(KeyMissing, match="chmod 600"):
        Keys(file=file).read()


def test_a_file_that_is_gone_or_no_file_is_named(tmp_path: Path) -> None:
    """So that a person knows which one to look at."""
    with pytest.raises(KeyMissing, match="gone cannot be read: No such file"):
        Keys(file=tmp_path / "gone").read()
    with pytest.raises(KeyMissing, match="not a regular file"):
        Keys(file=tmp_path).read()


def test_without_a_setting_there_is_no_key() -> None:
    """And it says how to give one."""
    assert not Keys().is_configured
    with pytest.raises(KeyMissing, match=NOT_CONFIGURED):
        Keys().read()


def test_keys_are_asked_for_again_after_a_minute_or_when_they_did_not_fit(tmp_path: Path) -> None:
    """A vault is not asked for each file; a changed key is found all the same."""
    now = [0.0]
    file = private(tmp_path / "key", "one")
    keys = Keys(file=file, monotonic=lambda: now[0])
    assert keys.read() == ("one",)
    private(file, "two")
    now[0] = 59.0
    assert keys.read() == ("one",)
    now[0] = 61.0
    assert keys.read() == ("two",)
    private(file, "three")
    keys.forget()
    assert keys.read() == ("three",)
