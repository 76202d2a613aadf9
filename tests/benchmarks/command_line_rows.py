"""How long a person waits for --help."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.benchmarks.measuring import Row, Sizes, best_seconds


def help_text(folder: Path, sizes: Sizes) -> Row:
    """`backup-ledger --help`, beside importing typer; at most 2.5 times."""

    def run(*arguments: str) -> None:
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True, cwd=folder)

    ours, theirs = best_seconds(
        lambda: run("-c", "from commands.cli import main; main()", "--help"),
        lambda: run("-c", "import typer"),
        rounds=sizes.rounds + 2,
    )
    ratio = 2.5 * theirs / ours
    return Row("help", ours * 1_000, "ms", "2.5 x import typer", ratio, 1.0, ratio >= 1.0)
