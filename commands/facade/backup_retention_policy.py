"""The facade for retention."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from commands.recovery.reconcile import reconcile
from commands.retention.apply import apply_retention, preview_retention
from commands.retention.cleanup import clean_up_empty, clean_up_old_protected
from commands.schedules.settings import require_user_id
from commands.shapes.retention import RetentionSummary
from commands.site import actors

if TYPE_CHECKING:
    from commands.facade.audit_sink import AuditLogger
    from commands.facade.backup_service import BackupService
    from commands.site.site import Site
    from ledger.append.ledger import Context


class BackupRetentionPolicy:
    """Keeps the newest backups and deletes older ones; nothing blocks the event loop."""

    def __init__(
        self, backup_service: BackupService, audit_logger: AuditLogger | None = None
    ) -> None:
        self.backup_service = backup_service
        self.audit_logger = audit_logger
        if audit_logger is not None:
            backup_service.audit_sinks.for_retention = audit_logger

    async def apply_retention_policy(self, keep_count: int, user_id: int | None = None) -> int:
        """Delete what is beyond the newest `keep_count`; how many were deleted.

        `user_id`: whose backups; None for all regular ones.

        Raises:
            ValueError: keep_count is not 1 to 30; recorded.
        """
        return await asyncio.to_thread(self._apply, keep_count, user_id)

    async def get_retention_summary(
        self, keep_count: int, user_id: int | None = None
    ) -> RetentionSummary:
        """What applying it would do; changes nothing but to adopt unknown files."""
        return await asyncio.to_thread(self._summarize, keep_count, user_id)

    async def cleanup_empty_backups(self) -> int:
        """Delete backups of zero bytes; how many."""
        return await asyncio.to_thread(self._clean_up_empty)

    async def delete_old_protected_backups(self, days_old: int = 90) -> int:
        """Delete protected backups older than so many days; how many."""
        return await asyncio.to_thread(self._clean_up_old_protected, days_old)

    def _apply(self, keep_count: int, user_id: int | None) -> int:
        site, context = self._ready(user_id)
        deletions = apply_retention(site, context, keep_count, user_id).deleted
        return len(deletions)

    def _summarize(self, keep_count: int, user_id: int | None) -> RetentionSummary:
        site, context = self._ready(user_id)
        return RetentionSummary.of(preview_retention(site, context, keep_count, user_id))

    def _clean_up_empty(self) -> int:
        return len(clean_up_empty(*self._ready()))

    def _clean_up_old_protected(self, days_old: int) -> int:
        return len(clean_up_old_protected(*self._ready(), days_old))

    def _ready(self, user_id: int | None = None) -> tuple[Site, Context]:
        if user_id is not None:
            require_user_id(user_id)
        site = self.backup_service.site
        context = site.context(actors.FACADE)
        reconcile(site, context)
        return site, context
