"""Every recipient is shown to open something, before anything is encrypted to it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from uuid import uuid4

from commands.offsite.errors import WrongKey
from commands.offsite.keys import prove_by_identities
from commands.offsite.repository.layout import PROBE
from commands.offsite.repository.seal import Sealer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from commands.offsite.repository.stores import ObjectStore


def prove_recipients(
    store: ObjectStore,
    recipients: Sequence[str],
    identities: Sequence[str],
    ask_code: Callable[[str, str], str] | None,
) -> list[str]:
    """Prove each by an identity, or by a code that a person reads from a probe elsewhere.

    Raises:
        WrongKey: one was not proved.
    """
    proved = prove_by_identities(recipients, identities)
    for recipient in recipients:
        if recipient in proved:
            continue
        if ask_code is None:
            raise WrongKey(
                f"recipient {recipient} was not proved: give its identity with --identity FILE, "
                "or run this in a terminal to decrypt a probe elsewhere"
            )
        path, code = PROBE + str(uuid4()), secrets.token_hex(4)
        store.put(path, Sealer([recipient]).seal(f"{code}\n".encode()))
        try:
            if ask_code(recipient, path).strip() != code:
                raise WrongKey(f"that is not the code in {path}; recipient {recipient} not proved")
        finally:
            store.delete(path)
        proved.append(recipient)
    return proved
