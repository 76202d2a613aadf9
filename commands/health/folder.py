"""Whose folder it is, the marker beside the database, and what is there without a ledger."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commands.backups.unrecorded import files_without_ledger
from commands.health.finding import Finding, named
from commands.reporting.humanize import count
from commands.restore.restore import STAGED_PREFIX
from commands.site.marker import marker_path, marker_problem
from projections.queries.locked import open_restores

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from commands.backups.unrecorded import UnrecordedFile
    from commands.health.finding import Look
    from commands.site.configuration import Configuration
    from commands.site.site import Site

MAX_FILES = 100


def folder_facts(site: Site) -> dict[str, Any]:
    """`source`: the database that the folder belongs to; null where none was ever seen."""
    return {
        "source": _source(site),
        "marker": _marker(site),
    }


def facts_without_ledger(configuration: Configuration) -> dict[str, Any]:
    """What is there all the same, where the ledger is not."""
    has_folder = configuration.names_a_folder
    database = configuration.database and configuration.database_path
    return {
        "ledger": None,
        "store": {"id": None, "path": str(configuration.backups_folder) if has_folder else None},
        "database": database and {"path": str(database), "exists": database.exists()},
        "unrecorded": _files(files_without_ledger(configuration) if has_folder else []),
    }


def source_findings(look: Look) -> Iterator[Finding]:
    """A folder of another database, or of two, and a marker that says otherwise."""
    source, marker = look.facts["source"], look.facts["marker"]
    if source is not None and source["is_own"] is False:
        yield Finding(
            "source",
            f"{look.facts['database']['path']} is not backed up here: the folder is that of "
            f"{source['path']}",
            "give it a folder of its own with --backups DIR",
            is_bad=True,
        )
    if source is not None and source["others"]:
        yield Finding(
            "source",
            f"the folder also holds backups of {', '.join(source['others'])}, of which no more "
            "are made here",
            "take it apart: backup-ledger ledger split",
            is_bad=True,
        )
    if marker is not None and marker["problem"]:
        text, _, advice = marker["problem"].rpartition("; ")
        yield Finding("marker", text, advice)


def _source(site: Site) -> dict[str, Any] | None:
    """`is_own`: whether it is the database given; null where none was, or it is not there."""
    owner = site.folder_source.owner() if site.has_store else None
    if owner is None:
        return None
    given = site.configuration.database
    is_known = given is not None and site.database.exists()
    return {
        "id": owner.source_id,
        "path": owner.path,
        "is_own": site.known_source_id() == owner.source_id if is_known else None,
        "others": [each.path for each in site.folder_source.others(with_backups=True)],
    }


def _marker(site: Site) -> dict[str, Any] | None:
    if site.configuration.database is None or not site.has_store:
        return None
    return {
        "path": str(marker_path(site.database)),
        "problem": marker_problem(site.database, site.marker),
    }


def _files(files: Sequence[UnrecordedFile]) -> dict[str, Any]:
    return {
        "count": len(files),
        "bytes": sum(each.size for each in files),
        "names": [each.filename for each in files[:MAX_FILES]],
    }


def left_over_findings(look: Look) -> Iterator[Finding]:
    """Files of restores that nobody may remove but a person."""
    database = look.site.configuration.database
    if database is None:
        return
    folder = Path(os.path.realpath(look.site.database)).parent
    names = sorted(path.name for path in folder.glob(f"{STAGED_PREFIX}*"))
    with look.site.ledger.engine.connect() as connection:
        running = {f"{STAGED_PREFIX}{each.restore_id}" for each in open_restores(connection)}
    left = [name for name in names if name not in running]
    if left:
        yield Finding(
            "left_over",
            f"{count(len(left), 'file')} that a restore left in {folder}{named(left)}",
            "look what the database holds, then remove them",
        )
