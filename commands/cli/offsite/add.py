"""backup-ledger offsite keygen, add."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.cli.offsite.options import IdentityOption, identities_in, require_extra
from commands.cli.offsite.policy import with_policy
from commands.cli.options import JsonOption
from commands.cli.session import is_interactive, opened
from commands.reporting.terminal import note, plain, say, write_json

if TYPE_CHECKING:
    from commands.offsite.add import AddedDestination, NewDestination
    from commands.site.site import Site

RecipientOption = Annotated[
    list[str] | None,
    typer.Option("--recipient", metavar="age1...", help="Who can read the copies; repeat it."),
]
OneRecipientOption = Annotated[
    bool,
    typer.Option("--one-recipient", help="Accept a single key; if it is lost, so is every copy."),
]
ClearOption = Annotated[
    bool,
    typer.Option(
        "--clear", help="Do NOT encrypt: anyone with access to the place can read the copies."
    ),
]
ShareOption = Annotated[
    bool,
    typer.Option(
        "--share/--no-share",
        help="Whether copies share pages; --no-share sends each copy whole.",
    ),
]
MirrorOption = Annotated[
    bool,
    typer.Option(
        "--new-repository-id",
        help="The place is a mirror of another destination; give it an identity of its own.",
    ),
]
StoreOption = Annotated[
    list[str] | None,
    typer.Option(
        "--option", metavar="KEY=VALUE", help="An option of the store, such as region=eu-1."
    ),
]


def keygen(
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="The file for the private key.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Create a key for off-site copies (an age identity).

    The last line is the recipient (age1...), the public key that encrypts. Keep the identity away
    from the machine that makes backups: it opens every copy, and without it nobody can. Create two,
    and keep them in two places.

    \b
    Examples:
      backup-ledger offsite keygen --out /media/usb/backup-key.txt
    """
    require_extra()
    from commands.offsite.keys import make_identity

    recipient = make_identity(out)
    if as_json:
        write_json({"identity_file": out, "recipient": recipient})
        return
    note(f"The private key is in {out}. Whoever has it can read every copy; store it elsewhere.")
    say(recipient)


@with_policy
def add(  # noqa: PLR0913, PLR0917  (one option each)
    ctx: typer.Context,
    url: Annotated[
        str, typer.Argument(metavar="URL", help="file:///folder, s3://bucket/prefix, gs://, az://.")
    ],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="The destination's name.")],
    recipient: RecipientOption = None,
    identity: IdentityOption = None,
    one_recipient: OneRecipientOption = False,
    clear: ClearOption = False,
    share: ShareOption = True,
    new_repository_id: MirrorOption = False,
    option: StoreOption = None,
    settings: Any = None,
    stated: Any = None,
    as_json: JsonOption = False,
) -> None:
    """Add a destination of off-site copies.

    Each recipient is tested before anything is encrypted to it: with its identity, which is read
    now and not stored, or in a terminal with a code that you decrypt elsewhere.

    \b
    Examples:
      backup-ledger offsite add file:///mnt/nas/app --name nas --recipient age1... \\
        --recipient age1... --identity key1.txt --identity key2.txt
      backup-ledger offsite add s3://bucket/app --name cloud --recipient age1... \\
        --recipient age1... --option endpoint=https://s3.example.com --option region=eu-1
    """
    require_extra()
    from commands.offsite.add import NewDestination, add_destination
    from commands.offsite.destinations import read_credentials

    with opened(ctx, "act") as session:
        wanted = NewDestination(
            url=url,
            name=name,
            recipients=tuple(recipient or ()),
            identities=tuple(identities_in(identity)),
            one_recipient=one_recipient,
            clear=clear,
            share=share,
            new_repository_id=new_repository_id,
            options=store_options_in(option),
            credentials=read_credentials(session.site, name),
            settings=settings,
            stated=stated,
        )
        ask = ask_code if is_interactive() and not as_json else None
        added = add_destination(session.site, session.context, wanted, ask)
        if as_json:
            write_json(_added_json(wanted, added))
        else:
            _show_sheet(session.site, wanted, added)


def store_options_in(pairs: list[str] | None) -> dict[str, str]:
    """Options as given.

    Raises:
        typer.BadParameter: one is not KEY=VALUE, or is a secret.
    """
    found: dict[str, str] = {}
    for pair in pairs or ():
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise typer.BadParameter(
                f"{key!r} has no value; write KEY=VALUE", param_hint="--option"
            )
        key = key.lower().replace("-", "_")
        if any(word in key for word in ("secret", "token", "access_key", "account_key", "sas")):
            raise typer.BadParameter(
                f"{key} is a secret, and arguments are seen by others; give it in the environment "
                "or in the file that offsite_credentials names",
                param_hint="--option",
            )
        found[key] = value
    return found


def ask_code(recipient: str, path: str) -> str:
    """Ask a person for the code in a probe, which is decrypted elsewhere."""
    note(f"To prove {recipient}: fetch {path} from the destination, and where its identity is:")
    note(f"    age -d -i KEY.txt {path.rpartition('/')[2]}")
    answer: str = typer.prompt(plain("The code it shows"), err=True)
    return answer


def _added_json(wanted: NewDestination, added: AddedDestination) -> dict[str, Any]:
    return {
        "name": wanted.name,
        "url": wanted.url,
        "repository_id": added.repository.repository_id,
        "recipients": list(wanted.recipients),
        "fingerprints": list(added.repository.recipients),
        "proved": added.proved,
        "clear": wanted.clear,
        "share": wanted.share,
        "resumed": added.resumed,
        "probe": added.probe,
        "restore_py_sha256": _reader_digest(),
    }


def _show_sheet(site: Site, wanted: NewDestination, added: AddedDestination) -> None:
    """The emergency sheet: what somebody needs who has nothing else."""
    say(f"Destination {wanted.name} added.", style="green")
    say("Print this, and keep it with the identities:")
    facts: list[tuple[str, object]] = [
        ("place", wanted.url),
        ("ledger", site.ledger.meta.ledger_id),
        ("repository", added.repository.repository_id),
        ("checkpoint key", _public_key(site)),
        ("restore.py", f"SHA-256 {_reader_digest()}"),
    ]
    if wanted.clear:
        facts.append(("encryption", "NONE: anyone with access to the place can read every backup"))
    facts += [("can be read by", recipient) for recipient in wanted.recipients]
    facts.append(("without us", "README.txt there: Python 3, age and zstd are enough"))
    for name, value in facts:  # no key is broken into lines: it is copied, or read by a program
        say(f"{name:<15} {value}")
    if not added.probe["deletes"]:
        note("These credentials may not delete there: old copies stay until others delete them.")
    if not wanted.url.startswith("file:"):
        note(
            "The bucket's rules cannot be seen from here: no lifecycle rule may expire or archive "
            "current versions under this prefix. See docs/OFFSITE.md."
        )
    if wanted.clear:
        note("The copies are NOT encrypted.", style="bold red")


def _public_key(site: Site) -> str:
    from commands.audit.keys import read_private_key

    path = site.configuration.checkpoint_key
    return "none" if path is None else read_private_key(path).verifier().to_text()


def _reader_digest() -> str:
    from commands.offsite.repository.layout import reader_bytes

    return sha256(reader_bytes()).hexdigest()
