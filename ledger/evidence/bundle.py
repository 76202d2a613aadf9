"""Evidence bundles: records with everything that is needed to check them, offline.

A bundle is a folder or a .zip of:

    README.txt          what this is and how to check it, in plain words
    checkpoint          the signed head that everything else rests on
    events.jsonl        records, byte for byte as they were hashed, one a line; of an erased one
                        `erased` and its leaf hash, and the record that says so goes along
    positions           the place of each of these records in the ledger, one a line
    proofs.jsonl        for each a JSON list of hashes that leads up to the signed root;
                        not there when all records are: then the root follows from them
    chain.jsonl         earlier checkpoints: {"checkpoint": note, "proof": [from the one before]}
    verify_evidence.py  checks all this with standard-library Python (`ledger.verify_evidence`)
    manifest            size and SHA-256 of each file above, as a note signed by the key

Bundles of 0.1.0 have no manifest.

The same ledger, choice and key give the same bytes: there are no times or random names in it.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ledger import verify_evidence
from ledger.append.erasing.stand_ins import redactions
from ledger.append.kept_checkpoints import KeptCheckpoint, kept_by, with_cosignatures
from ledger.append.reading import StoredRecord, read_records
from ledger.append.stored_tree import TreeReader
from ledger.errors import LedgerBroken
from ledger.evidence.readme import readme
from ledger.tree.proofs import ProofError, consistency_proof, inclusion_proof
from ledger.tree.signed_note import Note
from ledger.verify.records import timestamp_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from ledger.tree.signed_note import SignerKey, VerifierKey

README, SCRIPT = "README.txt", "verify_evidence.py"
BATCH_ROWS = 1_000
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a .zip can say: it must not say when it was made."""
_ZIP_MODE = 0o100600 << 16


@dataclass(frozen=True, slots=True)
class Choice:
    """Which records: all, from and to a position or a timestamp (all inclusive), of one user.

    Timestamps are in the form of records.
    """

    first_position: int | None = None
    last_position: int | None = None
    since: str | None = None
    until: str | None = None
    user: str | None = None

    def takes(self, row: StoredRecord) -> bool:
        """Whether a record within the positions is wanted."""
        # user_id is the last key of a record, so its end tells.
        if self.user is not None and not row.record.endswith(
            b',"user_id":"%b"}' % self.user.encode()
        ):
            return False
        if self.since is None and self.until is None:
            return True
        timestamp = timestamp_of(row.record)
        if timestamp is None:
            return False
        return (self.since is None or self.since <= timestamp) and (
            self.until is None or timestamp < self.until
        )


@dataclass(frozen=True, slots=True)
class Written:
    """What a bundle holds. Positions are 0 where it holds nothing."""

    records: int
    first_position: int
    last_position: int
    checkpoints: int


def write_bundle(
    connection: Connection,
    folder: Path,
    choice: Choice,
    kept: KeptCheckpoint,
    key: SignerKey,
    witnesses: Sequence[VerifierKey] = (),
) -> Written:
    """Write a bundle into an empty folder, within the connection's transaction.

    Cosignatures of these witnesses that are kept with the checkpoints go along.

    Raises:
        LedgerBroken: the ledger contradicts its own checkpoints or tree.
    """
    try:
        checkpoints = _write_chain(connection, folder, kept, key.verifier(), witnesses)
        records, first, last = _write_records(connection, folder, choice, kept.checkpoint.size)
    except ProofError as error:
        raise LedgerBroken(f"{error}; run `backup-ledger audit verify`") from error
    written = Written(records, first, last, checkpoints)
    best = with_cosignatures(connection, kept, key.verifier(), witnesses)
    (folder / "checkpoint").write_bytes(best.note)
    if records == kept.checkpoint.size:
        (folder / "proofs.jsonl").unlink()
    text = readme(kept.checkpoint, written.records, first, last, choice_in_words(choice))
    (folder / README).write_text(text, encoding="utf-8", newline="\n")
    (folder / SCRIPT).write_bytes(script())
    (folder / "manifest").write_bytes(sign_manifest(folder, key))
    return written


def sign_manifest(folder: Path, key: SignerKey) -> bytes:
    """What the folder holds, signed: so that no file of a bundle can be swapped for another."""
    lines = [verify_evidence.MANIFEST]
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        lines.append(f"{path.stat().st_size} {digest} {path.name}")
    text = "".join(f"{line}\n" for line in lines)
    return Note(text, (key.sign(text),)).to_bytes()


def script() -> bytes:
    """The file that checks bundles."""
    return Path(verify_evidence.__file__).read_bytes()


def write_zip(folder: Path, target: BinaryIO) -> None:
    """A folder's files as a .zip: sorted, without times, so that equal bundles are equal."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            entry = zipfile.ZipInfo(path.name, _ZIP_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr, entry.create_system = _ZIP_MODE, 3
            entry.file_size = path.stat().st_size
            with path.open("rb") as source, archive.open(entry, "w") as copy:
                while piece := source.read(1 << 20):
                    copy.write(piece)


def choice_in_words(choice: Choice) -> str:
    """What was asked for, for people."""
    words = []
    if choice.first_position is not None:
        words.append(f"from position {choice.first_position}")
    if choice.last_position is not None:
        words.append(f"to position {choice.last_position}")
    if choice.since is not None:
        words.append(f"from {choice.since}")
    if choice.until is not None:
        words.append(f"before {choice.until}")
    if choice.user is not None:
        words.append(f"of user {choice.user}")
    return "the records " + ", ".join(words) if words else "all records"


def _write_records(
    connection: Connection, folder: Path, choice: Choice, size: int
) -> tuple[int, int, int]:
    """Records, positions and proofs side by side; how many, the first and last position."""
    tree = TreeReader(connection)
    count = first = last = 0
    is_whole = choice == Choice()
    with (
        (folder / "events.jsonl").open("wb") as events,
        (folder / "positions").open("wb") as positions,
        (folder / "proofs.jsonl").open("wb") as proofs,
    ):
        for row in _rows(connection, choice, size):
            events.write(_line_of(row))
            positions.write(b"%d\n" % row.position)
            if not is_whole:
                path = inclusion_proof(row.position - 1, size, tree)
                proofs.write(_line([each.hex() for each in path]))
            count, first, last = count + 1, first or row.position, row.position
    return count, first, last


def _rows(connection: Connection, choice: Choice, size: int) -> Iterator[StoredRecord]:
    """What was chosen, and of erased records also those that say who erased them, and why."""
    said_at = {each.details.position: each.at for each in redactions(connection)}
    along: set[int] = set()
    after = max((choice.first_position or 1) - 1, 0)
    up_to = size if choice.last_position is None else min(choice.last_position, size)
    while rows := read_records(connection, after=after, up_to=up_to, limit=BATCH_ROWS):
        for row in rows:
            if choice.takes(row) or row.position in along:
                _require_one_line(row)
                if row.is_erased:
                    along.add(said_at[row.position])
                yield row
        after = rows[-1].position
    while later := [position for position in sorted(along) if up_to < position <= size]:
        up_to = later[0]
        (row,) = read_records(connection, after=up_to - 1, up_to=up_to)
        if row.is_erased:
            along.add(said_at[up_to])
        yield row


def _line_of(row: StoredRecord) -> bytes:
    return b"erased %b\n" % row.leaf_hash.hex().encode() if row.is_erased else row.record + b"\n"


def _require_one_line(row: StoredRecord) -> None:
    if b"\n" in row.record:
        raise LedgerBroken(
            f"the record at position {row.position} is not in canonical form; run "
            "`backup-ledger audit verify`"
        )


def _write_chain(
    connection: Connection,
    folder: Path,
    kept: KeptCheckpoint,
    key: VerifierKey,
    witnesses: Sequence[VerifierKey],
) -> int:
    """The checkpoints up to the bundle's, of this key and those before it, each proved."""
    tree, before, count = TreeReader(connection), None, 0
    with (folder / "chain.jsonl").open("wb") as chain:
        for each in kept_by(connection, key, kept.checkpoint.size, witnesses):
            proof: tuple[bytes, ...] = ()
            now = each.checkpoint
            if before is not None:
                if before.size:
                    proof = consistency_proof(before.size, now.size, tree)
                now.check_continues(before, proof)
            link = {"checkpoint": each.note.decode(), "proof": [part.hex() for part in proof]}
            chain.write(_line(link))
            before, count = now, count + 1
    return count


def _line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode() + b"\n"
