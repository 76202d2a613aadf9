"""The one verdict: what is wrong, or that nothing is, and what nobody looked at."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from commands.reporting.humanize import count

if TYPE_CHECKING:
    from commands.health.finding import Finding


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether all is well. `not_looked_at`: what nobody named, so that nothing is said of it."""

    findings: tuple[Finding, ...]
    not_looked_at: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        return not self.findings

    @property
    def is_bad(self) -> bool:
        """Something is lost or wrong, and not only late."""
        return any(each.is_bad for each in self.findings)

    @property
    def sentence(self) -> str:
        """The first line on every surface."""
        if self.findings:
            number = len(self.findings)
            return f"{count(number, 'problem')} need{'s' if number == 1 else ''} attention:"
        if self.not_looked_at:
            return f"No problem was found; not checked: {', '.join(self.not_looked_at)}."
        return "All is well."

    def as_json(self) -> dict[str, Any]:
        """The end of what `status --json` says."""
        return {
            "warnings": [str(each) for each in self.findings],
            "verdict": self.sentence,
            "findings": [asdict(each) for each in self.findings],
            "not_looked_at": list(self.not_looked_at),
        }
