"""What off-site copies need beside the core."""

from __future__ import annotations

from commands.errors import CommandError


def require_extra() -> None:
    """See that the libraries of off-site copies are installed.

    Raises:
        CommandError: they are not.
    """
    try:
        import obstore  # noqa: F401, PLC0415

        import commands.offsite.repository.seal  # noqa: PLC0415
    except ImportError as error:
        raise CommandError(
            f"off-site copies need a library that is not installed ({error.name}): "
            "pip install 'backup-ledger[offsite]'"
        ) from error
    del commands
