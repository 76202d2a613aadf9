"""Cosignatures of witnesses under checkpoints: whose they are, and whether they are enough.

A witness cosigns only what continues what it cosigned before. So a history that enough of them
cosigned is one that nobody else was shown another version of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger.tree.checkpoint import open_checkpoint
from ledger.tree.signed_note import NoteError, VerifierKey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.verify.findings import Findings


@dataclass(frozen=True, slots=True)
class WitnessPolicy:
    """Which witnesses are known, and how many cosignatures are enough.

    `is_demanded`: too few are a finding; otherwise they are named among what was not checked.
    """

    keys: tuple[VerifierKey, ...] = ()
    quorum: int = 0
    is_demanded: bool = False


NO_WITNESSES = WitnessPolicy()


class CosignatureCheck:
    """Counts cosignatures of known witnesses, of checkpoints that fit the recomputed tree."""

    def __init__(self, findings: Findings, policy: WitnessPolicy) -> None:
        self._findings = findings
        self._policy = policy
        self._size = -1
        self._cosigned: set[VerifierKey] = set()
        self._best: tuple[int, frozenset[VerifierKey]] | None = None

    def look(self, label: str, note: bytes, key: VerifierKey | None) -> frozenset[VerifierKey]:
        """The known witnesses that cosigned a checkpoint which its log signed."""
        found = set()
        for witness in self._policy.keys if key is not None else ():
            try:
                assert key is not None
                opened = open_checkpoint(note, key, [witness])
            except NoteError as error:
                self._findings.add(
                    "cosignature",
                    None,
                    f"{label} has a cosignature that does not fit it",
                    f"a cosignature by {witness.to_text()}",
                    str(error),
                )
            else:
                found |= {each.key for each in opened.cosignatures}
        return frozenset(found)

    def confirm(self, size: int, witnesses: frozenset[VerifierKey]) -> None:
        """A checkpoint of this size fits the tree; sizes ascend."""
        if size != self._size:
            self._size, self._cosigned = size, set()
        self._cosigned |= witnesses
        number = len({each.public_key for each in self._cosigned})
        if number and number >= self._policy.quorum:
            self._best = size, frozenset(self._cosigned)

    def finish(self) -> None:
        """All checkpoints were looked at."""
        if self._policy.is_demanded and self._best is None:
            self._findings.add(
                "cosignature",
                None,
                "no checkpoint is cosigned by enough of the given witnesses",
                f"{self._policy.quorum} of {len(self._policy.keys)}",
                "none that is",
            )

    def checked(self) -> Iterator[str]:
        """For the sentence of the verdict."""
        if self._best is None:
            return
        size, witnesses = self._best
        names = ", ".join(sorted(each.name for each in witnesses))
        yield (
            f"records 1 to {size:,} cosigned by {len(witnesses)} of {len(self._policy.keys)} "
            f"witnesses ({names}; {self._policy.quorum} are needed)"
        )

    def not_checked(self) -> Iterator[str]:
        """What stays open."""
        if self._policy.keys and self._best is None and not self._policy.is_demanded:
            yield (
                "whether others were shown the same history: no checkpoint is cosigned by "
                f"{self._policy.quorum} of the {len(self._policy.keys)} witnesses"
            )
