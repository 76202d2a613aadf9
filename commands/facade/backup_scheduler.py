"""The facade for scheduled backups: runs beside an application's event loop, never in it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Any, ClassVar

from commands.facade.models import BackupSettingsUpdate
from commands.recovery.reconcile import NewFiles
from commands.scheduler.check import check
from commands.scheduler.process import run_scheduler
from commands.scheduler.recording import record_check_failure
from commands.schedules.settings import configure, find_settings, require_user_id
from commands.shapes.settings import BackupSettings
from commands.site import actors
from projections.queries.schedules import count_schedules

if TYPE_CHECKING:
    from commands.facade.audit_sink import AuditLogger
    from commands.facade.backup_retention_policy import BackupRetentionPolicy
    from commands.facade.backup_service import BackupService
    from commands.scheduler.check import CheckReport

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
        self._running: _SchedulerThread | None = None
        if audit_logger is not None:
            backup_service.audit_sinks.for_scheduler = audit_logger
        self._new_files = NewFiles()
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
        """Run what was missed, then check at intervals. A second start changes nothing.

        Raises:
            Exception: what kept the scheduler from its first check.
        """
        if self.is_running:
            return
        running = _SchedulerThread(self.backup_service, self.check_interval)
        self._running = running
        self._task = asyncio.create_task(running.ended(), name="backup-ledger-scheduler")
        await running.first_check()

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
            check(site, new_files=self._new_files)
        except Exception as error:
            record_check_failure(site, error)
            raise

    def _ask_to_stop(self) -> None:
        if self._running is not None:
            self._running.stop.set()


class _SchedulerThread:
    """The scheduler on a thread of its own, which keeps nobody's process from ending."""

    def __init__(self, service: BackupService, interval_seconds: float) -> None:
        self.stop = threading.Event()
        self._service = service  # whose site is closed when nobody has it any more
        self._interval_seconds = interval_seconds
        self._checked: Future[None] = Future()
        self._ended: Future[None] = Future()
        for each in (self._checked, self._ended):
            each.set_running_or_notify_cancel()  # nobody who waits for it can cancel it
        Thread(target=self._work, name="backup-ledger-scheduler", daemon=True).start()

    async def first_check(self) -> None:
        """Wait until the first check is done. Raises what ended the scheduler before that."""
        await asyncio.wrap_future(self._checked)

    async def ended(self) -> None:
        """Wait for the end. Where this is cancelled, the running backup still finishes."""
        try:
            await asyncio.wrap_future(self._ended)
        except asyncio.CancelledError:
            self.stop.set()
            await asyncio.wrap_future(self._ended)
            raise

    def _work(self) -> None:
        try:
            run_scheduler(
                self._service.site,
                stop=self.stop,
                interval_seconds=self._interval_seconds,
                is_awaited=True,
                on_check=self._on_check,
            )
        except BaseException as error:  # noqa: BLE001  (raised again for whoever waits)
            if not self._checked.done():
                self._checked.set_exception(error)
            self._ended.set_exception(error)
        else:
            self._on_check()
            self._ended.set_result(None)

    def _on_check(self, _report: CheckReport | None = None) -> None:
        if not self._checked.done():
            self._checked.set_result(None)
