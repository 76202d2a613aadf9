"""The facade for scheduled backups: runs beside an application's event loop, never in it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from commands.facade.models import BackupSettings, BackupSettingsUpdate
from commands.notifications.thread import NotifierThread
from commands.scheduler.check import check
from commands.scheduler.offsite_copies import OffsiteThread
from commands.scheduler.process import (
    record_check_failure,
    record_start,
    record_stop,
    watched_check,
)
from commands.schedules.settings import configure, find_settings, require_user_id
from commands.site import actors
from projections.queries.schedules import count_schedules

if TYPE_CHECKING:
    from commands.facade.audit_sink import AuditLogger
    from commands.facade.backup_retention_policy import BackupRetentionPolicy
    from commands.facade.backup_service import BackupService

logger = logging.getLogger("backup_ledger.scheduler")


class BackupScheduler:
    """Backs up what is due, at start and then every `check_interval` seconds.

    `db`: the application's SQLAlchemy session, in whose database the read models then live,
    or None. Only its engine is used.
    """

    _instance: ClassVar[BackupScheduler | None] = None
    _instance_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(
        self,
        db: Any,
        backup_service: BackupService,
        retention_policy: BackupRetentionPolicy | None = None,
        audit_logger: AuditLogger | None = None,
        check_interval: int = 60,
    ) -> None:
        if type(check_interval) not in (int, float) or check_interval <= 0:
            raise ValueError(f"check_interval is {check_interval!r}; give seconds above 0")
        self.db = db
        self.backup_service = backup_service
        self.retention_policy = retention_policy
        self.audit_logger = audit_logger
        self.check_interval = check_interval
        self._task: asyncio.Task[None] | None = None
        self._wake: asyncio.Event | None = None
        self._stopping = threading.Event()
        if audit_logger is not None:
            backup_service.audit_sinks.for_scheduler = audit_logger
        if db is not None:
            backup_service.use_database_of(db)

    @classmethod
    def get_instance(cls, *args: Any, **kwargs: Any) -> BackupScheduler:
        """The one scheduler of this process; made with these arguments the first time.

        Raises:
            TypeError: there is none yet, and the arguments to make one are missing.
        """
        with cls._instance_lock:
            if cls._instance is None:
                cls._instance = cls(*args, **kwargs)
            return cls._instance

    @classmethod
    def reset_instance(cls) -> None:
        """Forget the one scheduler; a running one ends after what it is doing."""
        with cls._instance_lock:
            instance, cls._instance = cls._instance, None
        if instance is not None:
            instance._ask_to_stop()  # noqa: SLF001  (our own)

    @property
    def is_running(self) -> bool:
        return self._task is not None and not self._task.done()

    async def start(self) -> None:
        """Run what was missed, then check at intervals. A second start changes nothing."""
        if self.is_running:
            return
        self._stopping.clear()
        self._wake = asyncio.Event()
        notifier = await asyncio.to_thread(NotifierThread, self.backup_service.site)
        await asyncio.to_thread(record_start, self.backup_service.site, self.check_interval)
        first = asyncio.Event()
        self._task = asyncio.create_task(self._run(notifier, first), name="backup-ledger-scheduler")
        await first.wait()

    async def stop(self) -> None:
        """Stop checking; a backup that is running finishes first."""
        task = self._task
        if task is None:
            return
        self._ask_to_stop()
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)
        self._task = None

    async def check_and_run_backups(self) -> None:
        """Back up everything that is due now.

        Raises:
            Exception: the check itself failed (recorded); a backup that fails is recorded only.
        """
        await asyncio.to_thread(self._check)

    def update_backup_settings(
        self, user_id: int, input_data: BackupSettingsUpdate | Mapping[str, Any]
    ) -> BackupSettings:
        """Create or change a user's settings.

        Raises:
            ValueError: a value is out of range, or there is no such user; recorded.
        """
        require_user_id(user_id)
        changes = (
            input_data.model_dump(exclude_none=True)
            if isinstance(input_data, BackupSettingsUpdate)
            else dict(input_data)
        )
        site = self.backup_service.site
        context = site.context(actors.user(user_id))
        return BackupSettings.of(configure(site, context, user_id, changes))

    def get_backup_settings(self, user_id: int) -> BackupSettings | None:
        """A user's settings, or None."""
        found = find_settings(self.backup_service.site, user_id)
        return None if found is None else BackupSettings.of(found)

    def get_stats(self) -> dict[str, Any]:
        """Whether it runs, how often it checks, and how many settings there are."""
        with self.backup_service.site.read_models.reading() as connection:
            enabled, total = count_schedules(connection)
        return {
            "is_running": self.is_running,
            "check_interval_seconds": self.check_interval,
            "enabled_backup_settings": enabled,
            "total_backup_settings": total,
        }

    def _check(self) -> None:
        site = self.backup_service.site
        try:
            check(site)
        except Exception as error:
            record_check_failure(site, error)
            raise

    async def _run(self, notifier: NotifierThread, first: asyncio.Event) -> None:
        site = self.backup_service.site
        reason = "stopped"
        notifier.start()
        offsite = OffsiteThread(site)
        offsite.start()
        try:
            while not self._stopping.is_set():
                await asyncio.to_thread(watched_check, site, notifier, self._stopping)
                offsite.look()
                first.set()
                await self._pause()
        except BaseException as error:
            reason = f"{type(error).__name__}: {error}".rstrip(": ")
            raise
        finally:
            first.set()
            await asyncio.shield(asyncio.to_thread(record_stop, site, reason))
            await asyncio.shield(asyncio.to_thread(notifier.stop))
            await asyncio.shield(asyncio.to_thread(offsite.stop))

    async def _pause(self) -> None:
        assert self._wake is not None
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), self.check_interval)

    def _ask_to_stop(self) -> None:
        self._stopping.set()
        if self._task is not None and self._wake is not None:
            with suppress(RuntimeError):  # the loop it ran in is closed already
                self._task.get_loop().call_soon_threadsafe(self._wake.set)
