"""What every place where a repository can be offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class StoredObject(NamedTuple):
    """An object in a listing. `modified`: seconds since 1970, by the store's clock."""

    path: str
    size: int
    modified: float


class ObjectStore(Protocol):
    """Objects by path. Everything raises DestinationUnreachable where the store fails."""

    @property
    def place(self) -> str:
        """Where it is, for people; without secrets."""
        ...

    def put(self, path: str, content: bytes) -> None:
        """Write an object, durable when this returns; replaces one of the same path."""
        ...

    def get(self, path: str) -> bytes:
        """The bytes of an object.

        Raises:
            ObjectMissing: there is none.
        """
        ...

    def head(self, path: str) -> int | None:
        """The size of an object in bytes; None where there is none."""
        ...

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Objects whose path begins with a prefix that ends in a slash, or all."""
        ...

    def delete(self, path: str) -> None:
        """Remove an object; fine where there is none.

        Raises:
            DeletionForbidden: the credentials do not allow it.
        """
        ...

    def delete_all(self, paths: Sequence[str]) -> None:
        """Remove many objects, gone for good when this returns; some may go before it fails."""
        ...
