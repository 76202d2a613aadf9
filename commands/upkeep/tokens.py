r"""Bearer tokens: made once, shown once, and known afterwards by their hash alone.

A token's id is cut from the SHA-256 of its secret, so the event that records the token is all
that there is to store: nothing beside the ledger can be edited to let somebody in, and a ledger
that is copied or moved keeps its tokens. The secret has 256 random bits; who reads the ids in
the ledger cannot find it.

    blt_<43 characters of base64url>      the secret, 32 bytes
    token_id                              122 bits of SHA-256("backup-ledger token 1\n" + secret),
                                          as a UUID of version 8 (RFC 9562)
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, cast, get_args
from uuid import UUID

from commands.errors import CommandError, InvalidArgument
from commands.schedules.settings import require_known_user, require_user_id
from ledger.append.ledger import Draft
from ledger.clock import require_aware
from ledger.events.housekeeping import TokenCreated, TokenRevoked
from ledger.vocabulary import LEDGER_STREAM, Role

if TYPE_CHECKING:
    from datetime import datetime

    from commands.site.site import Site
    from ledger.append.ledger import Context, Ledger
    from ledger.records.record import Event

PREFIX = "blt_"
SECRET_BYTES = 32
DOMAIN = b"backup-ledger token 1\n"
ROLES: tuple[Role, ...] = get_args(Role)


class TokenNotFound(CommandError, LookupError):
    """No token has this id."""

    exit_code = 4


class TokenRefused(CommandError, PermissionError):
    """The token is none of ours, was revoked, or has expired; which of them is not said."""


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token; never the token itself. Times are aware UTC."""

    token_id: str
    role: Role
    user: int | None
    expires: datetime | None
    created_at: datetime
    created_by: str
    revoked_at: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires is None or now < self.expires)


class TokenBook:
    """The tokens that a ledger knows, brought up to date each time it is asked."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._version = 0
        self._tokens: dict[str, Token] = {}
        self._used_at: dict[str, datetime] = {}
        self._lock = Lock()

    def all(self) -> list[Token]:
        """Every token ever made, oldest first."""
        with self._lock:
            self._catch_up()
            return list(self._tokens.values())

    def last_uses(self) -> dict[str, datetime]:
        """When each token was last accepted, by this book: nothing of it is kept."""
        with self._lock:
            return dict(self._used_at)

    def authenticate(self, text: str, now: datetime) -> Token:
        """The token that a caller presented.

        Raises:
            TokenRefused: it is unknown, revoked or expired.
        """
        return self.valid(token_id_of(text), now)

    def valid(self, token_id: str | None, now: datetime) -> Token:
        """The token with this id.

        Raises:
            TokenRefused: it is unknown, revoked or expired.
        """
        with self._lock:
            self._catch_up()
            token = self._tokens.get(token_id) if token_id else None
            if token is not None and token.is_valid(now):
                self._used_at[token.token_id] = now
        if token is None or not token.is_valid(now):
            raise TokenRefused(
                "this token is not accepted; make one: backup-ledger tokens create --role ROLE"
            )
        return token

    def _catch_up(self) -> None:
        for each in self._ledger.events.get(LEDGER_STREAM, gt=self._version):
            event = cast("Event", each)
            self._version = event.stream_version
            self._fold(event)

    def _fold(self, event: Event) -> None:
        seen = event.details
        if isinstance(seen, TokenCreated):
            self._tokens[seen.token_id] = Token(
                token_id=seen.token_id,
                role=seen.role,
                user=None if seen.user is None else int(seen.user),
                expires=seen.expires,
                created_at=event.timestamp,
                created_by=f"{event.actor.kind} {event.actor.id}",
            )
        elif isinstance(seen, TokenRevoked) and seen.token_id in self._tokens:
            token = self._tokens[seen.token_id]
            self._tokens[seen.token_id] = _revoked(token, event.timestamp)


def create_token(
    site: Site,
    context: Context,
    role: str,
    user: int | None = None,
    expires: datetime | None = None,
    text: str | None = None,
) -> tuple[str, Token]:
    """Make a token: its text, which is not kept anywhere, and what is known of it.

    `text`: that of a token which another site's ledger has; this one then accepts it as well.

    Raises:
        InvalidArgument: an unknown role, a user where none belongs or none where one does, or
            an end that has passed.
        UnknownUser: the application's database has no such user.
    """
    if role not in ROLES:
        raise InvalidArgument(f"{role!r} is not a valid role; use {', '.join(ROLES)}")
    if (role == "user") != (user is not None):
        raise InvalidArgument("--user N belongs to --role user, and to no other role")
    if user is not None:
        require_user_id(user)
        require_known_user(site, user)
    if expires is not None and require_aware(expires) <= context.now:
        raise InvalidArgument(f"the token would expire at {expires.isoformat()}, which has passed")
    text = text or _text_of(secrets.token_bytes(SECRET_BYTES))
    token_id = token_id_of(text)
    assert token_id is not None  # it is one of ours
    details = TokenCreated(
        token_id=token_id,
        role=role,
        user=None if user is None else str(user),
        expires=expires,
    )
    site.notify(site.ledger.append(context, Draft(LEDGER_STREAM, details, user)))
    made = next(each for each in TokenBook(site.ledger).all() if each.token_id == details.token_id)
    return text, made


def first_token(site: Site, context: Context) -> str | None:
    """An operator's token for a ledger in which none was ever made; None where one was.

    Revoking every token does not bring this back: who can start the service could then let
    themselves in again unnoticed.
    """
    if TokenBook(site.ledger).all():
        return None
    return create_token(site, context, "operator")[0]


def revoke_token(site: Site, context: Context, token_id: str) -> Token:
    """End a token at once.

    Raises:
        TokenNotFound: there is none with this id.
        InvalidArgument: it was revoked before.
    """
    found = {each.token_id: each for each in TokenBook(site.ledger).all()}.get(token_id)
    if found is None:
        raise TokenNotFound(f"no token has the id {token_id!r}; see: backup-ledger tokens list")
    if found.revoked_at is not None:
        raise InvalidArgument(f"token {token_id} was revoked at {found.revoked_at.isoformat()}")
    details = TokenRevoked(
        token_id=token_id,
        role=found.role,
        user=None if found.user is None else str(found.user),
        expires=found.expires,
    )
    recorded = site.ledger.append(context, Draft(LEDGER_STREAM, details, found.user))
    site.notify(recorded)
    return _revoked(found, recorded[0].event.timestamp)


def token_id_of(text: str) -> str | None:
    """The id of the token with this text; None where the text is not a token."""
    if not text.startswith(PREFIX):
        return None
    body = text.removeprefix(PREFIX)
    try:
        secret = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    if (
        len(secret) != SECRET_BYTES
        or base64.urlsafe_b64encode(secret).rstrip(b"=") != body.encode()
    ):
        return None  # one secret, one text
    return _id_of(secret)


def _text_of(secret: bytes) -> str:
    return PREFIX + base64.urlsafe_b64encode(secret).decode().rstrip("=")


def _id_of(secret: bytes) -> str:
    digest = bytearray(sha256(DOMAIN + secret).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80  # version 8: the meaning of the bits is the maker's
    digest[8] = digest[8] & 0x3F | 0x80
    return str(UUID(bytes=bytes(digest)))


def _revoked(token: Token, at: datetime) -> Token:
    return Token(
        token_id=token.token_id,
        role=token.role,
        user=token.user,
        expires=token.expires,
        created_at=token.created_at,
        created_by=token.created_by,
        revoked_at=at,
    )
