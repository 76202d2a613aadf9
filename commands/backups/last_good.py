"""Which backups are the last good ones: the one function that every guard asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


class OfSource(Protocol):
    """A backup, as far as it matters here. `source`: None where nobody knows it."""

    @property
    def backup_id(self) -> str: ...
    @property
    def source(self) -> str | None: ...
    @property
    def is_good(self) -> bool: ...


Some = TypeVar("Some", bound=OfSource)


def last_good(newest_first: Sequence[Some], staying: Collection[str]) -> tuple[Some, ...]:
    """The newest good backup of every source that would be left without one.

    `staying`: ids of those that stay in any case. An unknown source is not a source of its own: of
    those any good backup that stays is enough. Otherwise one adopted file would stay permanently
    beside the new backups of its database.
    """
    good = [backup for backup in newest_first if backup.is_good]
    covered = {backup.source for backup in good if backup.backup_id in staying}
    if covered:
        covered.add(None)
    spared = []
    for backup in good:
        if backup.source not in covered:
            covered.add(backup.source)
            spared.append(backup)
    return tuple(spared)
