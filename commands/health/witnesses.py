"""What `status` says of witnesses: who cosigned how much, and who does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from commands.audit.witness_states import witness_states
from commands.health.finding import Finding
from commands.reporting.humanize import count, relative
from ledger.vocabulary import SAW_ANOTHER_HISTORY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from commands.health.finding import Look
    from commands.site.site import Site


def witness_facts(site: Site) -> dict[str, Any]:
    """Each configured witness, in the order of the setting."""
    if not site.configuration.witnesses:
        return {"witnesses": []}
    states = witness_states(site)
    return {
        "witnesses": [
            {
                "name": name,
                "cosigned_size": state.cosigned_size,
                "cosigned_at": state.cosigned_at,
                "refusal": state.reason,
                "message": state.message,
                "refused_at": state.refused_at,
            }
            for name, state in states.items()
        ]
    }


def witness_findings(look: Look) -> Iterator[Finding]:
    """A witness that refuses; bad where it saw another history than is here."""
    for each in look.facts["witnesses"]:
        if each["refusal"] is None:
            continue
        size = each["cosigned_size"]
        last = "nothing" if size is None else f"the checkpoint of {count(size, 'record')}"
        yield Finding(
            "witness",
            f"{each['message']}; it cosigned {last} last, and refuses since "
            f"{relative(each['refused_at'], look.now)}",
            "see: backup-ledger audit log --type ledger.witness_refused",
            is_bad=each["refusal"] in SAW_ANOTHER_HISTORY,
        )
