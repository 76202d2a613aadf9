"""Following the ledger: what is there, then each event as it comes."""

from __future__ import annotations

from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from eventsourcing.persistence import ListenNotifySubscription

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.recorder import LedgerRecorder

POLL_SECONDS = 0.2
"""How often the head is looked at for appends of other processes."""


class PollingSubscription(ListenNotifySubscription["LedgerRecorder"]):
    """Appends of this process wake it at once, those of others within POLL_SECONDS."""

    def __init__(
        self,
        recorder: LedgerRecorder,
        registered: set[PollingSubscription],
        gt: int | None = None,
        topics: Sequence[str] = (),
    ) -> None:
        self._registered = registered
        self._stopping = Event()
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        registered.add(self)
        self._poll_thread = Thread(target=self._poll, daemon=True)
        self._poll_thread.start()

    def notify(self) -> None:
        """Something was appended."""
        self._has_been_notified.set()

    def stop(self) -> None:
        """End the iteration; also when called from another thread."""
        self._registered.discard(self)
        self._stopping.set()
        super().stop()

    def __exit__(self, *args: object, **kwargs: Any) -> None:
        super().__exit__(*args, **kwargs)
        self._poll_thread.join()

    def _poll(self) -> None:
        seen = 0
        while not self._stopping.wait(POLL_SECONDS):
            try:
                size = self._recorder.head().size
            except Exception as error:  # noqa: BLE001  (handed to the reader's thread)
                self._thread_error = error
                self.stop()
                return
            if size > seen:
                seen = size
                self.notify()
