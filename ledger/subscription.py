"""Following the ledger: what is there, then each event as it comes."""

from __future__ import annotations

from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from eventsourcing.persistence import ListenNotifySubscription

from ledger.errors import LedgerUnreachable
from ledger.listening import Listener

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.recorder import LedgerRecorder

LOOK_ANYWAY_SECONDS = 5.0
"""How long a server that tells of appends is believed when it says nothing."""


class FollowingSubscription(ListenNotifySubscription["LedgerRecorder"]):
    """Appends of this process wake it at once; those of others as soon as they are heard of."""

    def __init__(
        self,
        recorder: LedgerRecorder,
        registered: set[FollowingSubscription],
        gt: int | None = None,
        topics: Sequence[str] = (),
    ) -> None:
        self._registered = registered
        self._stopping = Event()
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        registered.add(self)
        self._listening_thread = Thread(target=self._listen, daemon=True)
        self._listening_thread.start()

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
        self._listening_thread.join()

    def _listen(self) -> None:
        seen = -1
        with Listener(self._recorder.engine, self._stopping) as listener:
            while not self._stopping.is_set():
                listener.wait(LOOK_ANYWAY_SECONDS)
                try:
                    size = self._recorder.head().size
                except LedgerUnreachable:
                    continue
                except Exception as error:  # noqa: BLE001  (handed to the reader's thread)
                    self._thread_error = error
                    self.stop()
                    return
                if size != seen:
                    seen = size
                    self.notify()
