"""The shim below everything: compiled where there is a compiler, armed through a shared file."""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import struct
import subprocess
from pathlib import Path

from tests.faults.injection import SHORT, Fault

SOURCE = Path(__file__).with_name("preload.c")
STATE_VARIABLE = "FAULTS_STATE"
NUMBERS = struct.Struct("8i")
"""active, at, number, lasts, is_short, count, hits, unused; then two texts: folder, hit."""
TEXT_BYTES = 512
SIZE = NUMBERS.size + 2 * TEXT_BYTES


def compiler() -> str | None:
    """A C compiler, where the machine has one."""
    return shutil.which("cc") or shutil.which("gcc")


def build(folder: Path) -> dict[str, str]:
    """Compile the shim and make its state; the environment for a process below which it lies."""
    found = compiler()
    assert found is not None
    library, state = folder / "preload.so", folder / "state"
    subprocess.run([found, "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    state.write_bytes(bytes(SIZE))
    return os.environ | {"LD_PRELOAD": str(library), STATE_VARIABLE: str(state)}


class Shim:
    """The shared state; `path` is where the environment says."""

    def __init__(self, path: str) -> None:
        with open(path, "r+b") as file:
            self._memory = mmap.mmap(file.fileno(), SIZE)

    def arm(self, folder: Path, fault: Fault) -> None:
        """From here on the fault happens, below the folder."""
        is_short = fault.error == SHORT
        number = 0 if is_short else getattr(errno, fault.error)
        prefix = os.fsencode(f"{folder}{os.sep}").ljust(TEXT_BYTES, b"\0")
        self._memory[NUMBERS.size :] = prefix + bytes(TEXT_BYTES)
        numbers = NUMBERS.pack(1, fault.at, number, fault.lasts, is_short, 0, 0, 0)
        self._memory[: NUMBERS.size] = numbers

    def disarm(self) -> None:
        self._memory[:4] = bytes(4)

    @property
    def count(self) -> int:
        """Calls that could have been hit."""
        return int(NUMBERS.unpack_from(self._memory)[5])

    @property
    def hit(self) -> str:
        """The first call that was, or nothing."""
        return self._memory[-TEXT_BYTES:].split(b"\0")[0].decode("utf-8", "replace")
