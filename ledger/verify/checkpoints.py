"""Checkpoints against the recomputed tree: what was once signed must still be true.

A checkpoint says "at N records the root was R". Whoever kept one elsewhere can tell whether
those N records are still the same ones, however consistently everything here was rewritten.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from ledger.append.tables import checkpoints
from ledger.tree.checkpoint import Checkpoint, open_checkpoint
from ledger.tree.rotation import Rotation, rotation_in
from ledger.tree.signed_note import Note, NoteError, VerifierKey
from ledger.verify.cosignatures import CosignatureCheck, WitnessPolicy
from ledger.verify.findings import Findings, show

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from ledger.verify.tree import TreeCheck

CHECKPOINT = "checkpoint"


@dataclass(frozen=True, slots=True)
class Given:
    """A checkpoint from outside the ledger. `label` names it in findings, as a file's name.

    `must_be_signed`: by one of the known keys; otherwise one of a key that is not known is
    compared all the same, and counted.
    """

    label: str
    note: bytes
    must_be_signed: bool = True


@dataclass(frozen=True, slots=True)
class _Claim:
    """What one checkpoint says. `label` names it in findings; `key`: who is known to sign it.

    `witnesses`: the public keys of those that cosigned it.
    """

    label: str
    checkpoint: Checkpoint
    key: VerifierKey | None
    is_given: bool
    witnesses: frozenset[VerifierKey] = frozenset()


@dataclass(slots=True)
class _Counted:
    """How many checkpoints there are, are signed by a known key, or by one that is not known."""

    number: int = 0
    signed: int = 0
    unknown: int = 0


class CheckpointCheck:
    """Compares checkpoints, kept and given, while the tree grows past their sizes."""

    def __init__(
        self,
        connection: Connection,
        findings: Findings,
        given: Sequence[Given],
        keys: Sequence[VerifierKey],
        witnesses: WitnessPolicy,
    ) -> None:
        self._connection = connection
        self._findings = findings
        self._cosignatures = CosignatureCheck(findings, witnesses)
        self._replaced: dict[VerifierKey, Rotation] = {}
        self._keys = self._with_rotated(keys, given)
        self._last_signed: dict[bytes, tuple[int, bytes]] = {}
        self._by_origin: Counter[str] = Counter()
        self._kept, self._outside = _Counted(), _Counted()
        self._newest = 0
        self._confirmed_given: list[int] = []
        claims = [self._given_claim(each) for each in given]
        self._given = sorted(
            (each for each in claims if each is not None), key=lambda claim: claim.checkpoint.size
        )
        self._next_given = 0
        self._pending = self._claims()
        self._claim = next(self._pending, None)

    def grow(self, tree: TreeCheck, leaf_hashes: Sequence[bytes]) -> None:
        """Add leaves to the tree, stopping at each size that a checkpoint is about."""
        start = tree.frontier.size
        done = 0
        while self._claim is not None and self._claim.checkpoint.size <= start + len(leaf_hashes):
            upto = max(self._claim.checkpoint.size - start, 0)
            if upto > done:
                tree.grow(leaf_hashes[done:upto])
                done = upto
            self._compare(self._claim, tree.frontier.root())
            self._claim = next(self._pending, None)
        tree.grow(leaf_hashes[done:])

    def finish(self, size: int) -> None:
        """What is signed for sizes that the ledger does not have (any more)."""
        while self._claim is not None:
            claim = self._claim
            self._note_fork(claim)
            self._findings.add(
                CHECKPOINT,
                size + 1,
                f"{claim.label} covers {claim.checkpoint.size} records, but the ledger has only "
                f"{size}: it was cut, or this is another ledger",
                f"at least {claim.checkpoint.size} records",
                f"{size} records",
            )
            self._claim = next(self._pending, None)
        self._cosignatures.finish()

    def notes(self, size: int) -> Iterator[str]:
        """What was found that is not bad."""
        if self._kept.number:
            names = ", ".join(map(show, sorted(self._by_origin)))
            yield (
                f"checkpoints kept in the ledger: {self._kept.number}, of {names}; the newest "
                f"covers {self._newest} of {size} records"
            )
        for each in self._confirmed_given:
            more = f"; records added since: {size - each}" if each < size else ""
            yield f"the given checkpoint of {each} records is part of this history{more}"

    def checked(self) -> Iterator[str]:
        """What was compared, and with which keys; for the sentence of the verdict."""
        names = ", ".join(dict.fromkeys(each.name for each in self._keys))
        for counted, where in ((self._kept, "kept in the ledger"), (self._outside, "from outside")):
            if not counted.number:
                continue
            signed = f"{counted.signed} of {counted.number} signatures checked"
            by = f" (by {names})" if counted.signed else ""
            yield f"{_checkpoints(counted.number)} {where}, {signed}{by}"
        yield from self._cosignatures.checked()

    def not_checked(self) -> Iterator[str]:
        """What stays open about checkpoints."""
        if not self._outside.number:
            yield (
                "whether all of history was rewritten before it was first signed, or together "
                "with the kept checkpoints: give a checkpoint that you keep elsewhere, with "
                "--checkpoint FILE --public-key VKEY, or set checkpoint_folder"
            )
        for counted, where in ((self._kept, "kept here"), (self._outside, "from outside")):
            if counted.unknown:
                yield (
                    f"the signatures of {counted.unknown} checkpoints {where}: no public key was "
                    "given for them"
                )
        yield from self._cosignatures.not_checked()

    def _with_rotated(
        self, keys: Sequence[VerifierKey], given: Sequence[Given]
    ) -> tuple[VerifierKey, ...]:
        """The keys, those that replaced them, and those that they replaced."""
        statement = select(checkpoints.c.note).order_by(checkpoints.c.size, checkpoints.c.id)
        notes = self._connection.execute(statement).scalars()
        found = (rotation_in(bytes(each)) for each in notes if isinstance(each, bytes))
        outside = (rotation_in(each.note) for each in given)
        rotations = {each for each in (*found, *outside) if each is not None}
        known = dict.fromkeys(keys)
        for _ in range(len(rotations)):
            for each in sorted(rotations, key=lambda rotation: rotation.size):
                if each.before in known or each.after in known:
                    known |= dict.fromkeys((each.before, each.after))
        for each in sorted(rotations, key=lambda rotation: rotation.size):
            if each.before not in known:
                continue
            if self._replaced.setdefault(each.before, each) != each:
                self._bad(
                    f"the key {each.before.to_text()}",
                    "was replaced twice: someone else may have the key",
                    self._replaced[each.before].after.to_text(),
                    each.after.to_text(),
                )
        return tuple(known)

    def _claims(self) -> Iterator[_Claim]:
        """Kept and given checkpoints by size, few in memory at a time."""
        for kept in self._kept_claims():
            yield from self._given_up_to(kept.checkpoint.size)
            yield kept
        yield from self._given_up_to(None)

    def _given_up_to(self, size: int | None) -> Iterator[_Claim]:
        while self._next_given < len(self._given):
            claim = self._given[self._next_given]
            if size is not None and claim.checkpoint.size > size:
                return
            self._next_given += 1
            yield claim

    def _kept_claims(self) -> Iterator[_Claim]:
        statement = select(checkpoints.c.id, checkpoints.c.size, checkpoints.c.note).order_by(
            checkpoints.c.size, checkpoints.c.id
        )
        with self._connection.execute(statement, execution_options={"yield_per": 100}) as found:
            for row in found:
                self._kept.number += 1
                claim = self._kept_claim(row.id, row.size, row.note)
                if claim is not None:
                    yield claim

    def _kept_claim(self, number: Any, size: Any, data: Any) -> _Claim | None:
        label = f"the kept checkpoint {number}"
        try:
            note = Note.from_bytes(data if isinstance(data, bytes) else b"")
            checkpoint = Checkpoint.from_text(note.text)
        except NoteError as error:
            self._bad(label, "cannot be read", "a signed checkpoint", str(error))
            return None
        if checkpoint.size != size:
            self._bad(label, "is not of the recorded size", checkpoint.size, size)
            return None
        self._newest = checkpoint.size
        self._by_origin[checkpoint.origin] += 1
        key = self._checked_signature(label, checkpoint, data, self._kept)
        cosigned = self._cosignatures.look(label, data, key)
        return _Claim(label, checkpoint, key, is_given=False, witnesses=cosigned)

    def _given_claim(self, given: Given) -> _Claim | None:
        self._outside.number += 1
        try:
            checkpoint = Checkpoint.from_text(Note.from_bytes(given.note).text)
        except NoteError as error:
            if given.must_be_signed:
                raise  # whoever gave it is told, and nothing is said about the ledger
            self._bad(given.label, "cannot be read", "a signed checkpoint", str(error))
            return None
        key = self._checked_signature(
            given.label, checkpoint, given.note, self._outside, required=given.must_be_signed
        )
        cosigned = self._cosignatures.look(given.label, given.note, key)
        return _Claim(given.label, checkpoint, key, is_given=True, witnesses=cosigned)

    def _checked_signature(
        self,
        label: str,
        checkpoint: Checkpoint,
        data: bytes,
        counted: _Counted,
        *,
        required: bool = False,
    ) -> VerifierKey | None:
        """The known key that signed a checkpoint; None where it is another's, or a finding."""
        known = [each for each in self._keys if each.name == checkpoint.origin]
        if not known and not required:
            counted.unknown += 1
            return None
        problem = ""
        for key in known or self._keys:
            try:
                open_checkpoint(data, key)
            except NoteError as error:
                problem = problem or str(error)
            else:
                counted.signed += 1
                self._check_not_replaced(label, checkpoint, key)
                return key
        wanted = ", ".join(each.to_text() for each in known or self._keys)
        self._bad(
            label, "is not signed by the given public key", f"a signature by {wanted}", problem
        )
        return None

    def _check_not_replaced(self, label: str, checkpoint: Checkpoint, key: VerifierKey) -> None:
        rotation = self._replaced.get(key)
        if rotation is not None and checkpoint.size > rotation.size:
            self._bad(
                label,
                f"is signed with a key that was replaced at {rotation.size} records",
                f"a signature by {rotation.after.to_text()}",
                f"one by {key.to_text()}",
            )

    def _compare(self, claim: _Claim, root: bytes) -> None:
        self._note_fork(claim)
        size = claim.checkpoint.size
        if claim.checkpoint.root == root:
            if claim.is_given and claim.key is not None:
                self._confirmed_given.append(size)
            self._cosignatures.confirm(size, claim.witnesses)
            return
        self._findings.add(
            CHECKPOINT,
            None,
            f"{claim.label} belongs to another history: records 1 to {size} are not the ones that "
            "were signed; the ledger was rewritten, forked, or is another one",
            f"root {claim.checkpoint.root.hex()} at {size} records, as signed",
            f"root {root.hex()} at {size} records",
        )

    def _note_fork(self, claim: _Claim) -> None:
        """Two signatures by one key on different trees of one size: both cannot be honest."""
        if claim.key is None:
            return
        size, root = claim.checkpoint.size, claim.checkpoint.root
        last = self._last_signed.get(claim.key.key_id)
        if last is not None and last[0] == size:
            if last[1] != root:
                self._findings.add(
                    "fork",
                    None,
                    f"a fork: the same key signed two different histories of {size} records",
                    f"root {last[1].hex()}",
                    f"root {root.hex()}",
                )
            return
        self._last_signed[claim.key.key_id] = (size, root)

    def _bad(self, label: str, problem: str, expected: object, found: object) -> None:
        self._findings.add(CHECKPOINT, None, f"{label} {problem}", expected, found)


def _checkpoints(number: int) -> str:
    return "1 checkpoint" if number == 1 else f"{number:,} checkpoints"
