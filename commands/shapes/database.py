"""The database and its scheduler, as the former service showed them."""

from __future__ import annotations

from pydantic import ConfigDict

from commands.shapes.shape import Shape


class DatabaseStats(Shape):
    """The database and its backups. Sizes in bytes, and in units of 1,048,576 bytes."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "connected": True,
                "database_path": "/srv/app/app.db",
                "database_size_bytes": 1048576,
                "database_size_mb": 1.0,
                "table_count": 1,
                "total_records": 20,
                "tables": {"cases": 20},
                "backups_count": 2,
                "backups_size_bytes": 2097152,
                "backups_size_mb": 2.0,
            }
        }
    )

    connected: bool
    database_path: str
    database_size_bytes: int
    database_size_mb: float
    table_count: int
    total_records: int
    tables: dict[str, int]
    backups_count: int
    backups_size_bytes: int
    backups_size_mb: float


class OptimizeResult(Shape):
    """What VACUUM and ANALYZE came to."""

    success: bool
    message: str
    size_before_bytes: int
    size_after_bytes: int
    space_reclaimed_bytes: int
    space_reclaimed_mb: float
    analyze_completed: bool


class SchedulerStats(Shape):
    """`is_running`: whether a scheduler of this place is alive, here or in another process."""

    is_running: bool
    check_interval_seconds: int
    enabled_backup_settings: int
    total_backup_settings: int


class Health(Shape):
    """The process answers."""

    status: str


class Readiness(Shape):
    """Where everything stands. `problems`: how many things `status` names."""

    status: str
    ledger_size: int
    lag: int
    problems: int
