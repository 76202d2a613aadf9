"""Options that several off-site commands have, and what they need before they begin."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.cli.session import is_interactive

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

IdentityOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--identity",
        metavar="FILE",
        help="A private key (AGE-SECRET-KEY-1...); may be repeated. It is read, never stored.",
    ),
]
FromOption = Annotated[
    str | None,
    typer.Option("--from", metavar="DESTINATION", help="Fetch the off-site copy from there."),
]
ToOption = Annotated[
    str | None, typer.Option("--to", metavar="NAME", help="Only this destination.")
]
DestinationArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="The destination, as `offsite list` shows it.")
]


def require_extra() -> None:
    """See that the libraries of off-site copies are installed, before anything else of theirs."""
    from commands.offsite import extra

    extra.require_extra()


def identities_in(paths: Sequence[Path] | None) -> list[str]:
    """Every identity in some files; asks for the passphrase of one that is locked."""
    from commands.offsite.keys import read_identities

    ask: Callable[[Path], str] | None = _ask_passphrase if is_interactive() else None
    return [each for path in paths or () for each in read_identities(path, ask)]


def _ask_passphrase(path: Path) -> str:
    answer: str = typer.prompt(f"Passphrase of {path}", hide_input=True, err=True)
    return answer
