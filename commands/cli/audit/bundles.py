"""backup-ledger audit export and verify-bundle: evidence to hand over, and to check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.cli.errors import FOUND_SOMETHING
from commands.cli.options import JsonOption, UserOption
from commands.cli.session import opened
from commands.reporting.humanize import MOMENT_HELP
from commands.reporting.terminal import say, write_json

if TYPE_CHECKING:
    from ledger.evidence.bundle import Choice

KeyOption = Annotated[
    Path, typer.Option("--key", metavar="FILE", help="The private key, from `audit keygen`.")
]
WitnessKeyOption = Annotated[
    list[str] | None,
    typer.Option("--witness-key", metavar="VKEY", help="A witness's public key; may be repeated."),
]
QuorumOption = Annotated[
    int | None,
    typer.Option(
        "--quorum",
        metavar="N",
        help="How many of these witnesses must have cosigned [default: over half].",
    ),
]
_BOUND_HELP = f"a position, or an {MOMENT_HELP}"
_MAX_POSITION_DIGITS = 18


def export(
    ctx: typer.Context,
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="A new folder, or a new file ending in .zip.")
    ],
    key: KeyOption,
    first: Annotated[
        str | None, typer.Option("--from", metavar="FROM", help=f"Where to begin: {_BOUND_HELP}.")
    ] = None,
    last: Annotated[
        str | None,
        typer.Option("--to", metavar="TO", help="The last position, or the time at which to end."),
    ] = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a bundle of evidence for an auditor.

    The bundle can be checked without this software.

    Without --from, --to and --user it contains the whole ledger. A part proves what it contains,
    not that nothing was left out. The export itself is recorded.

    \b
    Examples:
      backup-ledger audit export evidence.zip --key ledger.key
      backup-ledger audit export ada --user 1 --from 2025-01-01 --key ledger.key
    """
    from commands.audit.export import export_evidence
    from commands.audit.keys import read_private_key

    choice, signer = _choice(first, last, user), read_private_key(key)
    with opened(ctx, "act") as session:
        done = export_evidence(session.site, session.context, out, choice, signer)
    written, public = done.written, signer.verifier().to_text()
    if as_json:
        write_json(
            {
                "path": str(done.path),
                "records": written.records,
                "first_position": written.first_position,
                "last_position": written.last_position,
                "checkpoint_size": done.checkpoint.checkpoint.size,
                "public_key": public,
            }
        )
        return
    say(f"{done.path}: {written.records} of {done.checkpoint.checkpoint.size} records.")
    say("It can be checked with the public key, which is not in it:")
    say(f"backup-ledger audit verify-bundle {done.path} --public-key {public}")


def verify_bundle(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A bundle: a folder or a .zip.")],
    public_key: Annotated[
        str,
        typer.Option("--public-key", metavar="VKEY", help="The public key: name+hash+base64."),
    ],
    witness_key: WitnessKeyOption = None,
    quorum: QuorumOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a bundle of evidence.

    Runs this software's own copy of verify_evidence.py, never the one in the bundle. Needs no
    ledger. The exit code is 3 if something is wrong.

    \b
    Example:
      backup-ledger audit verify-bundle evidence.zip --public-key "$(cat ledger.pub)"
    """
    from commands.audit.keys import parse_public_key
    from commands.audit.witness_policy import demanded_policy
    from commands.sqlite.errors import SourceMissing
    from ledger.verify_evidence import Key, Problem, check

    key = Key(parse_public_key(public_key).to_text())
    policy = demanded_policy(witness_key or (), quorum)
    witnesses = [Key(each.to_text(), 4) for each in policy.keys]
    if not path.exists():
        raise SourceMissing(f"there is no {path}; check the path")
    problem = None
    proved: list[str] = []
    try:
        proved = check(str(path), key, witnesses, policy.quorum)
    except Problem as error:
        problem = str(error)
    if as_json:
        write_json({"ok": problem is None, "problem": problem, "proved": proved})
    else:
        for line in proved:
            say(line)
        ok = "GOOD: the bundle is what the ledger signed."
        say(ok if problem is None else f"BAD: {problem}.", "green" if problem is None else "red")
    if problem is not None:
        raise typer.Exit(FOUND_SOMETHING)


def _choice(first: str | None, last: str | None, user: int | None) -> Choice:
    """Positions are digits only; anything else is a time."""
    from commands.cli.options import parse_moment
    from ledger.clock import format_instant
    from ledger.evidence.bundle import Choice

    bounds: dict[str, int | str] = {}
    for text, position, time in (
        (first, "first_position", "since"),
        (last, "last_position", "until"),
    ):
        if text is not None and text.isascii() and text.isdigit():
            bounds[position] = int(text[:_MAX_POSITION_DIGITS])
        elif text is not None:
            bounds[time] = format_instant(parse_moment(text))
    return Choice(**bounds, user=None if user is None else str(user))  # type: ignore[arg-type]
