"""What a verification found: findings, notes, and what it did not look at.

A finding makes the verdict bad; a note does not. Of each kind of problem only the first few
are kept and the rest counted, so that a ledger with a million broken rows fits into memory.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

KEPT_OF_A_KIND = 50
"""Findings of one kind that are kept; a person reads no more, a program needs the first."""

_SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """One contradiction. `position`: of the record, or None where it is about no single one."""

    position: int | None
    problem: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class Report:
    """The answer to "is this history whole?". `root`: of the recomputed tree, hex."""

    ok: bool
    size: int
    root: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    not_checked: tuple[str, ...]
    checked: tuple[str, ...] = ()
    """What else than the records themselves was checked: it makes the verdict's sentence."""
    erased: int = 0
    """Records whose bytes are gone, each by one later event that says so."""

    @property
    def verdict(self) -> str:
        """One sentence, for every surface: it says what was checked and no more."""
        if not self.ok:
            number = len(self.findings)
            problems = "1 problem" if number == 1 else f"{number:,} problems"
            return (
                f"The ledger is NOT what it was: {problems} found. Nothing was changed; nothing "
                "is repaired."
            )
        records = "1 record" if self.size == 1 else f"{self.size:,} records"
        if self.erased:
            records += f", {self.erased:,} of them erased by later events,"
        records += " with their hashes, columns and streams, the tree and the head"
        whole = "; ".join(
            (f"The history is whole as far as it was checked: {records}", *self.checked)
        )
        open_end = "" if self.checked else "; no signature, and nothing from outside"
        return f"{whole}{open_end}."

    def as_json(self) -> dict[str, Any]:
        """As programs get it."""
        names = ("ok", "size", "root", "findings", "notes", "not_checked")
        fields = asdict(self)
        return {name: fields[name] for name in names}


def erasure_notes(erased: int) -> Iterator[str]:
    """What is said of erased records; they are not findings."""
    if erased:
        records = "1 record was" if erased == 1 else f"{erased:,} records were"
        yield (
            f"{records} erased on request: the leaf hash is in the tree, and an event of the type "
            "ledger.record_redacted says who did it and why. What it kept of the record cannot be "
            "compared with the record any more"
        )


class Findings:
    """Collects findings by kind, in bounded memory."""

    def __init__(self) -> None:
        self._kept: list[Finding] = []
        self._counts: Counter[str] = Counter()

    def add(self, kind: str, position: int | None, problem: str, expected: Any, found: Any) -> None:
        """Add one; `kind` is the class of problem, in words that fit after "of this kind"."""
        self.count(kind)
        if self._counts[kind] <= KEPT_OF_A_KIND:
            self._kept.append(Finding(position, problem, show(expected), show(found)))

    def count(self, kind: str, more: int = 1) -> None:
        """Count findings without keeping them."""
        self._counts[kind] += more

    def listed(self) -> tuple[Finding, ...]:
        """The findings that were kept, and for each kind how many more there were."""
        more = [
            Finding(
                None,
                f"{count - KEPT_OF_A_KIND} more findings of this kind: {kind}",
                "none",
                f"{count} in all",
            )
            for kind, count in self._counts.items()
            if count > KEPT_OF_A_KIND
        ]
        return (*self._kept, *more)


def show(value: Any) -> str:
    """A stored value as printable text: bytes in hex, long ones cut, no control characters."""
    if value is None:
        return "nothing (NULL)"
    if isinstance(value, bytes | memoryview):
        text = bytes(value[:_SHOWN_CHARACTERS]).hex()
    else:
        text = value if isinstance(value, str) else repr(value)
        text = "".join(
            each if each.isprintable() else each.encode("unicode_escape", "replace").decode()
            for each in text[: _SHOWN_CHARACTERS + 1]
        )
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
