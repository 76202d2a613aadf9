"""Tokens: shown once, known by their hash, and only the ledger lets anybody in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from commands.errors import InvalidArgument
from commands.site.actors import operator
from commands.upkeep.tokens import (
    PREFIX,
    TokenBook,
    TokenNotFound,
    TokenRefused,
    create_token,
    revoke_token,
    token_id_of,
)
from tests.commands.world import World


def test_the_text_of_a_token_is_nowhere_in_the_ledger(world: World) -> None:
    """What is stored is its id, which the secret leads to, and not the other way round."""
    text, token = create_token(world.site, world.site.context(operator()), "auditor")
    records = b"".join(row.record for row in world.site.ledger.records())
    assert token.token_id.encode() in records
    assert text.encode() not in records
    assert text.removeprefix(PREFIX).encode() not in records
    assert token_id_of(text) == token.token_id


def test_a_token_opens_until_it_is_revoked(world: World) -> None:
    """A revocation counts at once, also for a book that was read before."""
    context = world.site.context(operator())
    text, token = create_token(world.site, context, "user", user=7)
    book = TokenBook(world.site.ledger)
    assert book.authenticate(text, context.now) == token
    assert (token.role, token.user) == ("user", 7)
    revoke_token(world.site, context, token.token_id)
    with pytest.raises(TokenRefused):
        book.authenticate(text, context.now)


def test_a_token_expires(world: World) -> None:
    """Its end is the first moment at which it is refused."""
    context = world.site.context(operator())
    end = context.now + timedelta(hours=1)
    text, _token = create_token(world.site, context, "operator", expires=end)
    book = TokenBook(world.site.ledger)
    assert book.authenticate(text, end - timedelta(microseconds=1)).role == "operator"
    with pytest.raises(TokenRefused):
        book.authenticate(text, end)


@pytest.mark.parametrize(
    "alter",
    [
        lambda text: text[:-1],
        lambda text: text + "=",
        lambda text: text + "A",
        lambda text: text.removeprefix(PREFIX),
        lambda text: PREFIX + text,
        lambda text: text.upper(),
        lambda text: PREFIX + "A" * 43,
        lambda text: "",
        lambda text: PREFIX + "é" * 43,
        # The last character has two bits to spare: another one may stand for the same bytes.
        lambda text: text[:-1] + ("B" if text[-1] == "A" else chr(ord(text[-1]) + 1)),
    ],
)
def test_anything_but_the_text_itself_is_refused(world: World, alter: Callable[[str], str]) -> None:
    """One secret has one text."""
    context = world.site.context(operator())
    text, _token = create_token(world.site, context, "operator")
    with pytest.raises(TokenRefused):
        TokenBook(world.site.ledger).authenticate(alter(text), context.now)


def test_two_tokens_are_never_the_same(world: World) -> None:
    """Secrets are random."""
    context = world.site.context(operator())
    texts = {create_token(world.site, context, "auditor")[0] for _ in range(5)}
    assert len(texts) == len({token_id_of(text) for text in texts}) == 5


def test_roles_and_users_belong_together(world: World) -> None:
    """A user's token names the user, no other does; nothing is recorded otherwise."""
    context = world.site.context(operator())
    before = world.site.ledger.log_recorder.head().size
    for role, user in [("user", None), ("operator", 1), ("root", None), ("user", 0), ("user", -1)]:
        with pytest.raises(InvalidArgument):
            create_token(world.site, context, role, user=user)
    with pytest.raises(InvalidArgument, match="passed"):
        create_token(world.site, context, "auditor", expires=context.now)
    assert world.site.ledger.log_recorder.head().size == before


def test_revoking_twice_or_what_is_not_there_is_an_error(world: World) -> None:
    """A person mistyped an id, and is told."""
    context = world.site.context(operator())
    _text, token = create_token(world.site, context, "auditor")
    revoke_token(world.site, context, token.token_id)
    with pytest.raises(InvalidArgument, match="was revoked"):
        revoke_token(world.site, context, token.token_id)
    with pytest.raises(TokenNotFound):
        revoke_token(world.site, context, token.token_id.replace("8", "9"))


def test_the_list_tells_who_made_a_token_and_when_it_ended(world: World) -> None:
    """Everything that `tokens list` shows comes from the ledger."""
    context = world.site.context(operator())
    _text, token = create_token(world.site, context, "auditor")
    revoked = revoke_token(world.site, context, token.token_id)
    listed = TokenBook(world.site.ledger).all()
    assert listed == [replace(token, revoked_at=revoked.revoked_at)]
    assert listed[0].created_by.startswith("operator ")
