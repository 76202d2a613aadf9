"""Identities: made private, read back, unlocked by the right passphrase alone."""

from __future__ import annotations

from pathlib import Path

import pyrage
import pytest

from commands.errors import InvalidArgument
from commands.offsite.errors import WrongKey
from commands.offsite.keys import make_identity, read_identities
from commands.offsite.repository.seal import recipient_of
from commands.sqlite.errors import FileInTheWay


def test_a_new_identity_is_private_and_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "key.txt"
    recipient = make_identity(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [recipient_of(each) for each in read_identities(file)] == [recipient]
    with pytest.raises(FileInTheWay):
        make_identity(file)
    assert [recipient_of(each) for each in read_identities(file)] == [recipient]


def test_a_locked_identity_needs_its_passphrase(tmp_path: Path) -> None:
    """As `age -p` locks it. A wrong one is called that; where nobody can be asked, that is said."""
    plain, locked = tmp_path / "key.txt", tmp_path / "key.age"
    recipient = make_identity(plain)
    locked.write_bytes(pyrage.passphrase.encrypt(plain.read_bytes(), "correct horse"))
    (identity,) = read_identities(locked, lambda _: "correct horse")
    assert recipient_of(identity) == recipient
    with pytest.raises(WrongKey, match="the passphrase is wrong"):
        read_identities(locked, lambda _: "battery staple")
    with pytest.raises(WrongKey, match="nobody can be asked"):
        read_identities(locked)


@pytest.mark.parametrize("content", ["", "nothing", "AGE-SECRET-KEY-1NOTONE"])
def test_a_file_without_an_identity_is_refused_and_not_repeated(
    tmp_path: Path, content: str
) -> None:
    file = tmp_path / "key.txt"
    file.write_text(content)
    with pytest.raises(WrongKey) as refused:
        read_identities(file)
    assert not content or content not in str(refused.value)
    file.unlink()
    with pytest.raises(InvalidArgument, match=r"key\.txt cannot be read"):
        read_identities(file)
