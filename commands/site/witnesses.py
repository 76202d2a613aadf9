"""Witnesses as they are configured: where they are asked, and whose cosignature is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ledger.tree.signed_note import NoteError, SignatureType, VerifierKey

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_WITNESSES = 16


class Witness(BaseModel):
    """One witness: the prefix of its `add-checkpoint`, and its cosignature key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Annotated[str, Field(pattern=r"^https?://[^\s?#]+$")]
    key: str

    @field_validator("key", mode="after")
    @classmethod
    def _of_a_witness(cls, value: str) -> str:
        try:
            key = VerifierKey.parse(value)
        except NoteError as error:
            raise ValueError(f"{value!r} is not a verifier key: {error}") from None
        if key.signature_type is not SignatureType.COSIGNATURE:
            raise ValueError(f"{value!r} is not the key of a witness (type 0x04)")
        return value

    @property
    def verifier(self) -> VerifierKey:
        return VerifierKey.parse(self.key)


def check_witnesses(witnesses: Sequence[Witness], quorum: int | None) -> None:
    """Raises ValueError where there are too many, one twice, or fewer than the quorum."""
    keys = {each.verifier.public_key for each in witnesses}
    if len(witnesses) > MAX_WITNESSES:
        raise ValueError(f"at most {MAX_WITNESSES} witnesses can be asked")
    if len(keys) != len(witnesses) or len({each.verifier.name for each in witnesses}) != len(keys):
        raise ValueError("two witnesses have the same key or the same name; each counts once")
    if quorum is not None and quorum > len(witnesses):
        raise ValueError(
            f"witness_quorum is {quorum}, but {len(witnesses)} witnesses are configured"
        )


def usual_quorum(witnesses: int) -> int:
    """How many must have cosigned where nobody said: more than half."""
    return witnesses // 2 + 1 if witnesses else 0
