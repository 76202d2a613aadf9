"""One of the machines: its scheduler's process, and what can be done to it from outside."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]


class Machine:
    """A scheduler's process, started anew whenever it was killed."""

    def __init__(self, settings: dict[str, Any], log: Path) -> None:
        self.settings = settings
        self.is_frozen = False
        self.is_busy = False
        self.killed = 0
        self._log = log
        self._answers = b""
        self._process = self._started()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.thaw()
        if self._process.poll() is None:
            self._process.kill()
        self._ended()

    @property
    def offset_seconds(self) -> float:
        """How wrong its clock is; what is set here holds from the next check on."""
        return float(self.settings.get("clock_offset_seconds", 0))

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self, at: datetime, freeze: str | None = None) -> None:
        """Tell it to check; `answer` says when it is done."""
        assert not self.is_busy
        assert self._process.stdin is not None
        self.is_busy = True
        order = {"at": at.isoformat(), "freeze": freeze, "offset_seconds": self.offset_seconds}
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()

    def answer(self, wait_seconds: float = 0.0) -> dict[str, Any] | None:
        """What its check came to; None where it is not done yet.

        Raises:
            ChildProcessError: it ended by itself; its log says why.
        """
        deadline = time.monotonic() + wait_seconds
        assert self._process.stdout is not None
        while b"\n" not in self._answers:
            left = max(deadline - time.monotonic(), 0)
            if not select.select([self._process.stdout], [], [], left)[0]:
                return None
            found = os.read(self._process.stdout.fileno(), 65_536)
            if not found:
                raise ChildProcessError(f"a scheduler ended by itself; see {self._log}")
            self._answers += found
        line, _, self._answers = self._answers.partition(b"\n")
        self.is_busy = False
        answer: dict[str, Any] = json.loads(line)
        return answer

    def wait_until_frozen(self) -> None:
        """It stops itself at the step that it was told."""
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), f"it ended instead; see {self._log}"
        self.is_frozen = True

    def has_frozen_itself(self) -> bool:
        """Whether it came to the step where it was told to freeze."""
        state = Path(f"/proc/{self.pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
        return state == "T"

    def require_alive(self) -> None:
        """It must not end by itself.

        Raises:
            ChildProcessError: it has; its log says why.
        """
        if self._process.poll() is not None:
            raise ChildProcessError(f"a scheduler ended by itself; see {self._log}")

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)
        self.is_frozen = True

    def thaw(self) -> None:
        if self.is_frozen:
            os.kill(self.pid, signal.SIGCONT)
        self.is_frozen = False

    def kill(self, at: datetime) -> None:
        """As a power cut does; a new process begins at once."""
        self._process.kill()
        self._ended()
        self.killed += 1
        self.is_frozen = self.is_busy = False
        self.settings["at"] = at.isoformat()
        self._process = self._started()

    def stop(self) -> None:
        """Let it end by itself, and record it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(60) == 0, f"see {self._log}"
        self._ended()

    def _started(self) -> subprocess.Popen[bytes]:
        self._answers = b""
        self.is_busy = True  # it says its name first
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.scheduler_program", json.dumps(self.settings)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
            )

    def _ended(self) -> None:
        self._process.wait(30)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue
