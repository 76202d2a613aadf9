"""Roles on PostgreSQL for the ledger and for the read models beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.errors import InvalidArgument
from ledger.append.roles import make_roles, require_server, role_script
from projections.tables import columns as tables

if TYPE_CHECKING:
    from commands.site.configuration import Configuration
    from commands.site.site import Site

READ_MODELS = tuple(tables.metadata.tables)


def script_of(configuration: Configuration, prefix: str) -> str:
    """The script that makes the roles of a configured ledger; nothing is connected to.

    Raises:
        InvalidArgument: the ledger is a file, or the prefix is not a lower-case name.
    """
    require_roles(configuration)
    try:
        return role_script(prefix, READ_MODELS)
    except ValueError as error:
        raise InvalidArgument(str(error)) from error


def require_roles(configuration: Configuration) -> None:
    """Raises InvalidArgument where the ledger is a file: it has no roles."""
    try:
        require_server(configuration.ledger_url)
    except ValueError as error:
        raise InvalidArgument(str(error)) from error


def give_roles(site: Site, prefix: str) -> None:
    """Make the roles, and hand over the tables of the ledger and of the read models beside it.

    Raises:
        InvalidArgument: the ledger is a file, or the prefix is not a lower-case name.
        LedgerError: this login may not do it; nothing was changed.
    """
    try:
        make_roles(site.ledger.engine, prefix, READ_MODELS)
    except ValueError as error:
        raise InvalidArgument(str(error)) from error
