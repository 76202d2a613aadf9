"""A story lived under injected errors, as the command line lives it: an exit code and one line."""

from __future__ import annotations

import logging
import os
import resource
import signal
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from commands.cli.errors import GlobalOptions, outcome_of
from commands.cli.session import show_log
from commands.sqlite import copy_process, raw_copy_process
from tests.commands.world import World
from tests.faults.injection import FILE_SIZE, SIGNALS, Fault, Injection
from tests.faults.power_cut import Recorder
from tests.faults.preload import STATE_VARIABLE, Shim

ROOT = Path(__file__).parents[2]
HELPER = """
import runpy, sys
sys.path.insert(0, {root!r})
{setup}
runpy.run_path({program!r}, run_name="__main__")
"""
INJECTING = """
from tests.faults.injection import Fault, Injection
Injection({site!r}, {calls!r}, Fault(**{fault!r})).install()
"""
RECORDING = """
from tests.faults.power_cut import Recorder
Recorder({site!r}, {folder!r}, {cut_at!r}, is_helper=True).install()
"""


def act_under(
    fault: dict[str, Any], folder: Path, world: World, act: Callable[[World], object]
) -> int:
    """The exit code; what was said on standard error stands in `said.txt`."""
    said = os.open(folder / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(said, 2)
    show_log(logging.WARNING)
    spoil = Fault(**fault)
    shim = Shim(os.environ[STATE_VARIABLE]) if STATE_VARIABLE in os.environ else None

    def work() -> None:
        try:
            act(world)
        finally:
            world.close()

    if shim is not None:
        shim.arm(world.folder, spoil)
    elif spoil.error == FILE_SIZE:
        resource.setrlimit(resource.RLIMIT_FSIZE, (spoil.at, spoil.at))
    elif spoil.error == SIGNALS:
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, spoil.at / 1e6, spoil.at / 1e6)
    else:
        _inject(spoil, folder, world)
    code = outcome_of(work, GlobalOptions())
    signal.setitimer(signal.ITIMER_REAL, 0)
    if shim is not None:
        shim.disarm()
    return code


def record_until(cut_at: int, folder: Path, world: World) -> None:
    """Note what this process and those it starts do to files; kill it after call `cut_at`."""
    site = str(world.folder)
    _set_up_helpers(folder, RECORDING.format(site=site, folder=str(folder), cut_at=cut_at))
    Recorder(site, str(folder), cut_at).install()


def _inject(fault: Fault, folder: Path, world: World) -> None:
    site, calls = str(world.folder), str(folder / "calls.txt")
    _set_up_helpers(folder, INJECTING.format(site=site, calls=calls, fault=asdict(fault)))
    Injection(site, calls, fault).install()


def _set_up_helpers(folder: Path, setup: str) -> None:
    """The copying processes begin with `setup` from here on."""
    for module in (copy_process, raw_copy_process):
        program = folder / f"{module.__name__}.py"
        text = HELPER.format(root=str(ROOT), setup=setup, program=module.__file__)
        program.write_text(text)
        module.__file__ = str(program)
