"""What a target is called where its address must not be said: its place in the list, its scheme."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_SCHEME = 32


def names_of(urls: Iterable[str]) -> list[str]:
    """The names of the targets of `notify_urls`, in their order."""
    return [
        f"target {number} ({url.partition('://')[0][:MAX_SCHEME]})"
        for number, url in enumerate(urls, 1)
    ]
