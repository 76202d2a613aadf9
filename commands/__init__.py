"""Backup Ledger for applications: the names that existing code imports.

They are loaded when first used, so that the command line starts quickly.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from commands.facade.backup_retention_policy import BackupRetentionPolicy
    from commands.facade.backup_scheduler import BackupScheduler
    from commands.facade.backup_service import BackupService
    from commands.facade.models import BackupSettingsUpdate
    from commands.shapes.backups import BackupMetadataResponse
    from commands.shapes.retention import RetentionSummary
    from commands.shapes.settings import BackupSettings
    from commands.site.sites import open_sites
    from ledger.vocabulary import BackupFrequency

_HOMES = {
    "BackupFrequency": "ledger.vocabulary",
    "BackupMetadataResponse": "commands.shapes.backups",
    "BackupRetentionPolicy": "commands.facade.backup_retention_policy",
    "BackupScheduler": "commands.facade.backup_scheduler",
    "BackupService": "commands.facade.backup_service",
    "BackupSettings": "commands.shapes.settings",
    "BackupSettingsUpdate": "commands.facade.models",
    "RetentionSummary": "commands.shapes.retention",
    "open_sites": "commands.site.sites",
}

__all__ = [
    "BackupFrequency",
    "BackupMetadataResponse",
    "BackupRetentionPolicy",
    "BackupScheduler",
    "BackupService",
    "BackupSettings",
    "BackupSettingsUpdate",
    "RetentionSummary",
    "open_sites",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'commands' has no attribute {name!r}")
    return getattr(import_module(home), name)
