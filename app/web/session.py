"""Who is signed in: a cookie that is not the key, and a link that signs in once.

Both are signed and name the id of a key; what that key may do, and whether it still opens anything, is asked
of the keyring at every request.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from fastapi import Request, Response
from itsdangerous import BadData, URLSafeTimedSerializer

from rowvec.ledgers.base import Ledger

SESSION_SECONDS = 12 * 3600
LINK_SECONDS = 600
COOKIE = "vectordb_session"


@dataclass(frozen=True, slots=True)
class Session:
    """`mark` tells one session of a key from another; forms are bound to it."""

    key_id: str
    mark: str


class Sessions:
    """Makes and reads what is signed with one secret."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._cookies = self._signer("session")
        self._links = self._signer("sign-in link")

    def _signer(self, purpose: str) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(
            self._secret,
            salt=f"vectordb {purpose}",
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def begin(self, request: Request, response: Response, key_id: str) -> None:
        """Sign in whoever gets this response."""
        is_https = _is_https(request)
        response.set_cookie(
            cookie_name(is_https),
            self._cookies.dumps([key_id, secrets.token_hex(16)]),
            max_age=SESSION_SECONDS,
            path="/",
            secure=is_https,
            httponly=True,
            samesite="strict",
        )

    async def end(self, request: Request, response: Response, ledger: Ledger) -> None:
        """For everybody who has its cookie, in all processes."""
        if session := self._told(request):
            await ledger.draw(_ended(session), 1, 1)
        is_https = _is_https(request)
        response.delete_cookie(
            cookie_name(is_https), path="/", secure=is_https, httponly=True, samesite="strict"
        )

    async def of(self, request: Request, ledger: Ledger) -> Session | None:
        """The session of this request; None where there is none, or it has ended, expired or was forged."""
        session = self._told(request)
        return session if session and not await ledger.drawn(_ended(session)) else None

    def _told(self, request: Request) -> Session | None:
        found = _signed(self._cookies, request.cookies.get(cookie_name(_is_https(request))), SESSION_SECONDS)
        return Session(*found) if found else None

    def csrf(self, session: Session) -> str:
        """What a form of this session must bring along."""
        return hmac.new(self._secret, f"csrf {session.mark}".encode(), hashlib.sha256).hexdigest()

    def link_token(self, key_id: str) -> str:
        """For an address that signs in the owner of this key, once, within LINK_SECONDS."""
        return self._links.dumps([key_id, secrets.token_hex(16)])

    async def redeem(self, token: str, ledger: Ledger) -> str | None:
        """The id of the key that a link is for; None once it was used, in whichever process, or expired."""
        found = _signed(self._links, token, LINK_SECONDS)
        if found is None:
            return None
        key_id, nonce = found
        return key_id if await ledger.draw(f"sign-in link {nonce}", 1, 1) else None


def _ended(session: Session) -> str:
    return f"signed out {session.mark}"


def cookie_name(is_https: bool) -> str:
    """With the prefix a browser takes the cookie only over TLS, and from no other host."""
    return f"__Host-{COOKIE}" if is_https else COOKIE


def _is_https(request: Request) -> bool:
    return request.url.scheme == "https"


def _signed(signer: URLSafeTimedSerializer, token: str | None, seconds: int) -> tuple[str, str] | None:
    if not token:
        return None
    try:
        key_id, mark = signer.loads(token, max_age=seconds)
    except BadData:
        return None
    return str(key_id), str(mark)
