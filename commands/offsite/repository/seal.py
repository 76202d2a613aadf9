"""Sealing objects: zstd frames, then an age file for all recipients, or a clear one.

Formats: https://c2sp.org/age and RFC 8878 (Zstandard). Only native age keys (X25519) are taken:
`age1...` is a recipient and may be shown to anyone, `AGE-SECRET-KEY-1...` is an identity.

In a clear destination each object begins with a skippable frame of 16 random bytes (RFC 8878
section 3.1.2), so that equal content never gives an equal name:

    50 2a 4d 18 | 10 00 00 00 | 16 random bytes
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

import pyrage

from commands.offsite.errors import RepositoryDamaged, WrongKey

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

AGE_BEGINNING = b"age-encryption.org/v1\n"
ARMOR_BEGINNING = b"-----BEGIN AGE ENCRYPTED FILE-----"
SKIPPABLE_HEADER = bytes.fromhex("502a4d1810000000")
SALT_BYTES = 16
LEVEL = 3
MAX_MANIFEST_BYTES = 1 << 30
_OPTIONS: dict[int, int] = {
    zstd.CompressionParameter.compression_level: LEVEL,
    zstd.CompressionParameter.content_size_flag: 1,
    zstd.CompressionParameter.checksum_flag: 1,
}


class Sealer:
    """Seals objects to recipients; to nobody in a clear destination."""

    def __init__(self, recipients: Sequence[str]) -> None:
        self._recipients = [parse_recipient(text) for text in recipients]

    @property
    def is_clear(self) -> bool:
        return not self._recipients

    @property
    def beginning(self) -> bytes:
        """What an object's compressed content begins with."""
        return SKIPPABLE_HEADER + os.urandom(SALT_BYTES) if self.is_clear else b""

    def seal(self, content: bytes) -> bytes:
        """The object of some frames that begin with `beginning`."""
        if self.is_clear:
            return content
        sealed = io.BytesIO()  # `encrypt` would have the whole twice in memory
        pyrage.encrypt_io(io.BytesIO(content), sealed, self._recipients)
        return sealed.getvalue()


class Opener:
    """Opens objects with identities; clear ones without."""

    def __init__(self, identities: Sequence[str] = ()) -> None:
        self._identities = [parse_identity(text) for text in identities]

    def open(self, sealed: bytes, name: str) -> bytes:
        """The frames of an object.

        Raises:
            WrongKey: no identity fits.
            RepositoryDamaged: the object was altered or cut.
        """
        if not sealed.startswith(AGE_BEGINNING):
            if sealed.startswith(SKIPPABLE_HEADER):
                return sealed
            raise RepositoryDamaged(f"{name} is neither an age file nor a clear object")
        if not self._identities:
            raise WrongKey(f"{name} is encrypted; give the identity with --identity FILE")
        opened = io.BytesIO()  # `decrypt` would copy the whole once more
        try:
            pyrage.decrypt_io(io.BytesIO(sealed), opened, self._identities)
        except (pyrage.DecryptError, OSError) as error:  # the latter: its content was altered
            if "no matching keys" in str(error).lower():
                raise WrongKey(
                    f"no identity given opens {name}; give the one of a recipient of its time"
                ) from error
            raise RepositoryDamaged(f"{name} cannot be decrypted: {error}") from error
        return opened.getvalue()


class FrameCompressor:
    """Compresses one frame after another; its tables are made once, not for every frame."""

    def __init__(self) -> None:
        self._compressor = zstd.ZstdCompressor(options=_OPTIONS)

    def frame(self, plain: bytes | bytearray) -> bytes:
        """One frame, with its content's size and checksum; the same bytes as `compress` gives."""
        self._compressor.set_pledged_input_size(len(plain))
        return self._compressor.compress(plain, mode=zstd.ZstdCompressor.FLUSH_FRAME)


def compress(plain: bytes) -> bytes:
    """One frame, with its content's size and checksum."""
    return FrameCompressor().frame(plain)


def compress_pieces(pieces: Iterable[bytes | memoryview], size: int) -> bytes:
    """One frame of several pieces, `size` bytes together, as `compress` makes it of one."""
    compressor = zstd.ZstdCompressor(options=_OPTIONS)
    compressor.set_pledged_input_size(size)
    return b"".join([*(compressor.compress(each) for each in pieces), compressor.flush()])


def decompress(frame: bytes | memoryview, size: int, name: str) -> bytes:
    """The content of one frame, which must have this size.

    Raises:
        RepositoryDamaged: it is not a frame, or has another size.
    """
    decompressor = zstd.ZstdDecompressor()
    try:
        plain = decompressor.decompress(frame, size)
    except zstd.ZstdError as error:
        raise RepositoryDamaged(f"a frame of {name} cannot be decompressed: {error}") from error
    if len(plain) != size or not decompressor.eof or decompressor.unused_data:
        raise RepositoryDamaged(f"a frame of {name} does not have the size in its manifest")
    return plain


def decompress_whole(content: bytes, name: str, limit: int = MAX_MANIFEST_BYTES) -> bytes:
    """The content of an object of one frame, perhaps after a skippable one.

    Raises:
        RepositoryDamaged: it is something else, or larger than `limit` bytes.
    """
    if content.startswith(SKIPPABLE_HEADER):
        content = content[len(SKIPPABLE_HEADER) + SALT_BYTES :]
    try:
        size = zstd.get_frame_info(content).decompressed_size
    except zstd.ZstdError as error:
        raise RepositoryDamaged(f"{name} cannot be decompressed: {error}") from error
    if size is None or size > limit:
        raise RepositoryDamaged(f"{name} says that it is larger than anything of its kind")
    return decompress(content, size, name)


def parse_recipient(text: str) -> pyrage.x25519.Recipient:
    """A public key.

    Raises:
        WrongKey: it is not a native age recipient.
    """
    try:
        return pyrage.x25519.Recipient.from_str(text.strip())
    except pyrage.RecipientError as error:
        raise WrongKey(
            f"{text[:80]!r} is not an age recipient; give one that begins with age1, such as "
            "`backup-ledger offsite keygen` prints"
        ) from error


def parse_identity(text: str) -> pyrage.x25519.Identity:
    """A private key.

    Raises:
        WrongKey: it is not a native age identity; the message does not repeat it.
    """
    try:
        return pyrage.x25519.Identity.from_str(text.strip())
    except pyrage.IdentityError as error:
        raise WrongKey("what was given is not an age identity (AGE-SECRET-KEY-1...)") from error


def recipient_of(identity: str) -> str:
    """The public key that goes with a private one."""
    return str(parse_identity(identity).to_public())


def new_identity() -> str:
    return str(pyrage.x25519.Identity.generate())
