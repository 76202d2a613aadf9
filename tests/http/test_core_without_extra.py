"""The core does without FastAPI, and says what to install where it is asked to serve."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_command_line_does_not_import_fastapi() -> None:
    """`--help` stays quick, and an installation without the extra works."""
    script = (
        "import sys\nfrom commands.cli.app import GROUPS, SINGLE, command_of\n"
        "for each in SINGLE | GROUPS: command_of(each)\n"
        "print([each for each in ('fastapi', 'uvicorn') if each in sys.modules])"
    )
    finished = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    assert finished.stdout.strip() == "[]", finished.stderr


def test_serve_without_the_extra_says_what_to_install(tmp_path: Path) -> None:
    """One line, exit code 1."""
    script = (
        "import sys, importlib.abc\n"
        "class Without(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name in ('fastapi', 'uvicorn'): raise ModuleNotFoundError(name)\n"
        "import importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda n, *a: None if n in ('fastapi', 'uvicorn') else real(n, *a)\n"
        "sys.meta_path.insert(0, Without())\n"
        "sys.argv = ['backup-ledger', '--backups', '.', 'serve']\n"
        "from commands.cli import main; main()\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, cwd=tmp_path
    )
    assert finished.returncode == 1
    assert finished.stderr.count("\n") == 1
    assert "pip install 'backup-ledger[http]'" in finished.stderr
