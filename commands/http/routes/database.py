"""The database itself, and the scheduler: as the former service answered."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from commands.backups.unrecorded import unrecorded_files
from commands.http.callers import Operator, Reader
from commands.http.ledger_route import FORMER, Command, LedgerRoute
from commands.http.schema import also
from commands.http.served_site import Served, ServedSite
from commands.http.shapes import in_megabytes
from commands.shapes.database import DatabaseStats, OptimizeResult, SchedulerStats
from commands.sqlite.errors import SQLiteFileError
from commands.upkeep.optimize_database import inspect_database, optimize_database
from projections.queries.catalog import backups_of_store
from projections.queries.schedules import count_schedules

router = APIRouter(route_class=LedgerRoute, tags=["database"])


@router.get(
    "/stats",
    operation_id="get_stats",
    response_model=DatabaseStats,
    summary="The database and its backups",
    openapi_extra=FORMER,
)
def stats(_caller: Reader, served: Served) -> dict[str, Any]:
    return database_stats(served)


@router.post(
    "/optimize",
    operation_id="optimize_database",
    responses=also(507),
    response_model=OptimizeResult,
    summary="VACUUM and ANALYZE",
    openapi_extra=FORMER,
)
def optimize(_caller: Operator, context: Command, served: Served) -> dict[str, Any]:
    done = optimize_database(served.site, context)
    reclaimed = max(0, done.size_before - done.size_after)
    return {
        "success": True,
        "message": f"The database was optimized; {reclaimed} bytes were given back",
        "size_before_bytes": done.size_before,
        "size_after_bytes": done.size_after,
        "space_reclaimed_bytes": reclaimed,
        "space_reclaimed_mb": in_megabytes(reclaimed),
        "analyze_completed": True,
    }


@router.get(
    "/scheduler/stats",
    operation_id="get_scheduler_stats",
    response_model=SchedulerStats,
    summary="Is the scheduler alive?",
    openapi_extra=FORMER,
)
def scheduler_stats(_caller: Reader, served: Served) -> dict[str, Any]:
    with served.site.read_models.reading() as connection:
        enabled, total = count_schedules(connection)
    return {
        "is_running": served.is_scheduler_alive(),
        "check_interval_seconds": served.site.configuration.check_interval_seconds,
        "enabled_backup_settings": enabled,
        "total_backup_settings": total,
    }


def database_stats(served: ServedSite) -> dict[str, Any]:
    """A database that cannot be read is not connected, and has nothing to count."""
    site = served.site
    tables: dict[str, int] = {}
    size, connected = 0, True
    try:
        found = inspect_database(site)
        tables = {each.name: each.rows for each in found.tables}
        size = site.database.stat().st_size
    except (SQLiteFileError, OSError):
        connected = False
    with site.read_models.reading() as connection:
        count = len(backups_of_store(connection, site.store.store_id))
    count += len(unrecorded_files(site))
    stored = site.store.bytes_on_disk()
    return {
        "connected": connected,
        "database_path": str(site.database),
        "database_size_bytes": size,
        "database_size_mb": in_megabytes(size),
        "table_count": len(tables),
        "total_records": sum(tables.values()),
        "tables": tables,
        "backups_count": count,
        "backups_size_bytes": stored,
        "backups_size_mb": in_megabytes(stored),
    }
