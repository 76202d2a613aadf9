"""status --watch: the overview that stays, on a real terminal."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.acceptance.place import PROGRAM, Place

DEADLINE_SECONDS = 30


class Terminal:
    """A person's terminal with the command in it."""

    def __init__(self, place: Place, *args: str) -> None:
        self.master, self.slave = pty.openpty()
        termios.tcsetwinsize(self.slave, (40, 100))
        self.before = termios.tcgetattr(self.slave)
        self.shown = ""
        environment = os.environ | place.environment | {"TERM": "xterm", "COLUMNS": "100"}
        self.process = subprocess.Popen(
            [PROGRAM, *args],
            env=environment,
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
        )

    def wait_for(self, text: str) -> None:
        """Until it was shown since the last waiting."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            if select.select([self.master], [], [], 0.1)[0]:
                self.shown += os.read(self.master, 65_536).decode("utf-8", "replace")
        self.shown = self.shown.partition(text)[2]

    def press(self, key: str) -> None:
        os.write(self.master, key.encode())

    def is_as_before(self) -> bool:
        return termios.tcgetattr(self.slave) == self.before


@contextmanager
def terminal(place: Place, *args: str) -> Iterator[Terminal]:
    shown = Terminal(place, *args)
    try:
        yield shown
    finally:
        shown.process.kill()
        shown.process.wait()
        os.close(shown.master)
        os.close(shown.slave)


@pytest.mark.parametrize("how", ["q", "interrupt"])
def test_watch_shows_what_changes_until_it_is_told_to_end(place: Place, how: str) -> None:
    """The verdict first; a failure appears by itself; the terminal is as it was."""
    place.done("settings", "set", "1")
    place.done("backup", "create", "one")
    with terminal(place, "status", "--watch", "--every", "0.2") as shown:
        shown.wait_for("All is well.")
        shown.wait_for("one.db")
        shown.wait_for("on the disk")
        (place.backups / "one.db").unlink()
        place.done("backup", "reconcile")
        shown.wait_for("2 problems need attention:")
        shown.wait_for("failed")
        if how == "q":
            shown.press("q")
        else:
            shown.process.send_signal(signal.SIGINT)
        assert shown.process.wait(DEADLINE_SECONDS) == 0
        assert shown.is_as_before()


def test_watch_is_for_people_at_a_terminal(place: Place) -> None:
    """For programs there is --json; both say so."""
    place.done("backup", "create", "one")
    ended = place.run("status", "--watch", "--json")
    assert ended.code == 2
    assert "for programs call status --json at intervals" in ended.err
    ended = place.spawn("status", "--watch")
    assert ended.code == 2
    assert "--watch needs a terminal" in ended.err
    assert ended.out == ""
    assert place.run("status", "--watch", "--every", "0").code == 2
