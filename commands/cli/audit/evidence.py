"""backup-ledger audit: the commands that prove things, for and to an auditor."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.cli.audit.bundles import (
    KeyOption,
    QuorumOption,
    WitnessKeyOption,
    export,
    verify_bundle,
)
from commands.cli.errors import EXIT_CODES, FOUND_SOMETHING
from commands.cli.options import JsonOption, parse_integer
from commands.cli.session import configured, opened
from commands.cli.sites import for_each_site
from commands.reporting.terminal import note, progress_bar, say, show_facts, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Engine

    from commands.site.configuration import Configuration
    from ledger.verify.findings import Report
    from ledger.verify.verify import Given

_NOT_REMEMBERED = (
    "`status` will not know of it: the ledger's database could not be written by this login."
)

PublicKeyOption = Annotated[
    str | None,
    typer.Option("--public-key", metavar="VKEY", help="The public key: name+hash+base64."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to `backup-ledger audit`."""
    for name, command in (
        ("verify", for_each_site(verify)),
        ("checkpoint", checkpoint),
        ("prove", prove),
        ("export", export),
        ("verify-bundle", verify_bundle),
        ("keygen", keygen),
        ("rotate-key", rotate_key),
    ):
        app.command(name, epilog=EXIT_CODES)(command)


def verify(
    ctx: typer.Context,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A checkpoint that you kept elsewhere; may be repeated."),
    ] = None,
    public_key: PublicKeyOption = None,
    witness_key: WitnessKeyOption = None,
    quorum: QuorumOption = None,
    as_json: JsonOption = False,
) -> None:
    """Recompute the whole history and report what is wrong.

    Checks every record, column, hash, node and checkpoint; repairs nothing. Uses the configured
    checkpoint_key, every file of checkpoint_folder and the keys of the configured witnesses. With
    --witness-key, too few cosignatures are a finding. The exit code is 3 if something is found. The
    command also reports what it did not check. If the ledger's file is damaged, it reports which
    records can still be read, and how to get back to a good ledger. In --json, root and hashes are
    lower-case hex.

    \b
    Examples:
      backup-ledger audit verify
      backup-ledger audit verify --checkpoint kept.checkpoint --public-key "$(cat ledger.pub)"
    """
    from commands.audit.damaged_ledger import report_on_damage, with_damage
    from commands.audit.keys import parse_public_key
    from commands.audit.verify_ledger import verify_ledger
    from commands.audit.witness_policy import demanded_policy
    from commands.errors import InvalidArgument
    from ledger.clock import SystemClock
    from ledger.errors import LedgerBroken, NotALedger
    from ledger.verify.remembered import remember_verified

    configuration = configured(ctx)
    if checkpoint and public_key is None and configuration.checkpoint_key is None:
        raise InvalidArgument("--checkpoint needs --public-key: whose signature is to be checked?")
    keys = [] if public_key is None else [parse_public_key(public_key)]
    witnesses = demanded_policy(witness_key or (), quorum)
    given = [_checkpoint_in(path) for path in checkpoint or ()]
    try:
        with _ledger_engine(configuration) as engine:
            with progress_bar("verifying") as progress:
                report = verify_ledger(
                    engine,
                    configuration,
                    checkpoints=given,
                    public_keys=keys,
                    witnesses=witnesses,
                    on_progress=progress,
                )
            is_remembered = remember_verified(engine, report, SystemClock().now())
        report = with_damage(report, configuration.ledger_url)
    except (LedgerBroken, NotALedger) as error:
        report = report_on_damage(configuration.ledger_url, error)
        is_remembered = True  # there is no ledger to remember it in
    _conclude(report, as_json=as_json, is_remembered=is_remembered)


def checkpoint(ctx: typer.Context, key: KeyOption, as_json: JsonOption = False) -> None:
    """Sign the ledger as it is now; print the checkpoint.

    The ledger keeps the checkpoint, too. Keep the printed one in another place: a rewritten ledger
    cannot match it.

    \b
    Example:
      backup-ledger audit checkpoint --key ledger.key > kept.checkpoint
    """
    from commands.audit.keys import read_private_key
    from commands.audit.sign_checkpoint import sign_checkpoint
    from ledger.clock import SystemClock

    signer, configuration = read_private_key(key), configured(ctx)
    with _ledger_engine(configuration) as engine:
        kept = sign_checkpoint(engine, signer, SystemClock(), configuration.checkpoint_folder)
    if as_json:
        found = kept.checkpoint
        text = kept.note.decode()
        write_json(
            {
                "origin": found.origin,
                "size": found.size,
                "root": found.root.hex(),
                "checkpoint": text,
            }
        )
    else:
        _write_bytes(kept.note)


def prove(
    ctx: typer.Context,
    position: Annotated[
        int,
        typer.Argument(
            metavar="POSITION", parser=parse_integer, help="The record's position, from 1."
        ),
    ],
    key: KeyOption,
    as_json: JsonOption = False,
) -> None:
    """Print the proof that a record is in the ledger.

    The format is C2SP tlog-proof. With it, the record's bytes and the public key, anyone can check
    the record offline.

    \b
    Example:
      backup-ledger audit prove 17 --key ledger.key > 17.tlog-proof
    """
    from commands.audit.keys import read_private_key
    from commands.audit.prove import prove as prove_record
    from commands.audit.witness_policy import witness_policy
    from ledger.clock import SystemClock

    signer, configuration = read_private_key(key), configured(ctx)
    with _ledger_engine(configuration) as engine:
        found = prove_record(
            engine,
            position,
            signer,
            SystemClock(),
            configuration.checkpoint_folder,
            witness_policy(configuration),
        )
    if as_json:
        text = found.proof.to_bytes().decode()
        write_json({"position": position, "leaf_hash": found.leaf_hash.hex(), "proof": text})
    else:
        _write_bytes(found.proof.to_bytes())


def keygen(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The ledger's name, such as example.com/backups.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="A new file, with mode 0600.")],
    as_json: JsonOption = False,
) -> None:
    """Create a signing key; print its public half.

    An existing file is never overwritten. A new key needs a new name.

    \b
    Example:
      backup-ledger audit keygen example.com/backups --out ledger.key > ledger.pub
    """
    from commands.audit.keys import make_key

    public = make_key(name, out).to_text()
    if as_json:
        write_json({"public_key": public, "path": str(out)})
    else:
        typer.echo(public)


def rotate_key(
    ctx: typer.Context,
    key: KeyOption,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The new key: a new file.")],
    as_json: JsonOption = False,
) -> None:
    """Replace the key that signs checkpoints.

    The last line is the public half of the new key. The old key signs a checkpoint that names the
    new one; from then on only the new one signs. Afterward, set checkpoint_key to the new file, and
    give the public key to auditors and witnesses.

    \b
    Example:
      backup-ledger audit rotate-key --key ledger.key --out ledger-2026.key > ledger-2026.pub
    """
    from commands.audit.keys import read_private_key
    from commands.audit.rotate_key import rotate

    old = read_private_key(key)
    with opened(ctx, "act") as session:
        done = rotate(session.site, session.context, old, out)
    public = done.public_key.to_text()
    if as_json:
        size, text = done.kept.checkpoint.size, done.kept.note.decode()
        write_json({"public_key": public, "path": str(out), "size": size, "checkpoint": text})
        return
    note(f"From {done.kept.checkpoint.size} records on {out} signs; set checkpoint_key to it.")
    typer.echo(public)


@contextmanager
def _ledger_engine(configuration: Configuration) -> Iterator[Engine]:
    """The ledger's database and nothing else: no read models, no backups folder, no recovery."""
    from commands.site.ownership import require_own_journals
    from ledger.append.database import open_engine, read_meta

    require_own_journals(configuration)
    engine = open_engine(configuration.ledger_url)
    try:
        read_meta(engine)
        yield engine
    finally:
        engine.dispose()


def _checkpoint_in(path: Path) -> Given:
    from commands.audit.sign_checkpoint import read_checkpoint
    from commands.errors import InvalidArgument
    from ledger.tree.checkpoint import Checkpoint
    from ledger.tree.signed_note import Note, NoteError
    from ledger.verify.verify import Given

    try:
        data = read_checkpoint(path)
        Checkpoint.from_text(Note.from_bytes(data).text)
    except OSError as error:
        raise InvalidArgument(f"{path} cannot be read: {error.strerror}") from error
    except NoteError as error:
        raise InvalidArgument(f"{path} is not a checkpoint: {error}") from error
    return Given(f"the given checkpoint {path}", data)


def _write_bytes(data: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _conclude(report: Report, *, as_json: bool, is_remembered: bool) -> None:
    """Show a report, and end with the exit code that goes with it."""
    if as_json:
        write_json(report.as_json())
    else:
        _show_report(report)
        if not is_remembered:
            note(_NOT_REMEMBERED, style="dim")
    if not report.ok:
        raise typer.Exit(FOUND_SOMETHING)


def _show_report(report: Report) -> None:
    for finding in report.findings:
        where = "" if finding.position is None else f"position {finding.position}: "
        say(f"{where}{finding.problem}", "red")
        say(f"    expected: {finding.expected}")
        say(f"    found:    {finding.found}")
    show_facts([("Records", report.size), ("Root", report.root)])
    for each in report.notes:
        say(f"Note: {each}.")
    for each in report.not_checked:
        note(f"Not checked: {each}.", style="dim")
    say(report.verdict, "green" if report.ok else "red")
