"""The README of an evidence bundle: for a person who has never seen this software."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ledger.tree.checkpoint import Checkpoint

_TEXT = """\
Evidence from the backup ledger "{origin}"
==========================================

What this is
------------

Records of what a backup service did: each line of events.jsonl is one event, exactly as it was
stored when it happened. This bundle holds {records} of the {size} records that the ledger had
when it was signed: {choice} (positions {first} to {last}).

{scope}

How to check it
---------------

You need Python 3.9 or newer, no network, and the ledger's public key, which you must have from
somewhere else than this bundle. In this folder:

    python3 -I -S verify_evidence.py PUBLIC_KEY

It prints a verdict in plain words. Exit code 0: good. 3: bad. Read the program first: it is one
file, it uses nothing but Python itself, and it says what it does.

If you do not trust the copy of verify_evidence.py in here, take one from the ledger's software,
or write your own: the formats are public (RFC 6962, https://c2sp.org/tlog-checkpoint).

What was signed
---------------

    ledger    {origin}
    records   {size}
    root      {root}

The files
---------

    checkpoint          what was signed, with the signature
    events.jsonl        the records, one a line
    positions           where each of them stands in the ledger, one a line
{proofs}    chain.jsonl         earlier signatures, and proofs that nothing was changed since
    verify_evidence.py  the program that checks all this
    README.txt          this text
    manifest            size and SHA-256 of every file above, signed

A line of events.jsonl that is no record but the word erased and a hash stands for a record that
was erased on request (GDPR, article 17). Its hash is still in the signed tree, and one of the
records in here (ledger.record_redacted) says who erased it, when, and for which request.

What it cannot show
-------------------

That what a record says was true when it was written; that nothing happened which was never
recorded; or what was recorded after the checkpoint. If you kept an older checkpoint of this
ledger, compare it: `backup-ledger audit verify --checkpoint FILE --public-key KEY`.
"""

_WHOLE = """\
It is the whole ledger up to the checkpoint: no record is left out."""

_PART = """\
It is a part of the ledger. It proves what it contains, and where that stands. It does not prove
that nothing that matters was left out: only the whole ledger shows that."""

_PROOFS = """\
    proofs.jsonl        for each of them the hashes that lead up to the signed root
"""


def readme(checkpoint: Checkpoint, records: int, first: int, last: int, choice: str) -> str:
    """The text for a bundle; the same for the same bundle."""
    is_whole = records == checkpoint.size
    return _TEXT.format(
        origin=checkpoint.origin,
        records=records,
        size=checkpoint.size,
        root=b64encode(checkpoint.root).decode(),
        first=first,
        last=last,
        choice=choice,
        scope=_WHOLE if is_whole else _PART,
        proofs="" if is_whole else _PROOFS,
    )
