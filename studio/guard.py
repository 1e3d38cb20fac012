"""What stands before every address: which host was called, from which page, with which key, how often, and how much is sent.

Plain ASGI, so that a body is counted as it streams and a websocket passes the same door.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping, Sequence
from html import escape
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from fastapi import HTTPException
from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from locales.language import N_, _, spoken
from studio.keys import Key, Keyring

COOKIE = "avatar_pipeline"
ENTER = "/enter"  # the one address that needs no key: it looks at the link itself
PAGE = "/page"  # what people see in a browser
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
MOST_BODY_BYTES = 32 << 20  # two pictures of 8 MB each in base64, and some room
MOST_UPLOAD_BYTES = 4 << 30  # an archive of pictures, or a client's export
UPLOADS = "/api/assets"
# A page of 500 thumbnails asks for them as it scrolls; a program that asks for jobs has no need of so many answers.
FILES = ("/files/", "/static/", "/thumbnails/")
RATES: Mapping[str, Sequence[RateLimitItem]] = {
    "files": parse_many("300/second; 6000/minute"), "look": parse_many("50/second; 1500/minute"),
    "work": parse_many("20/second; 600/minute"),
}  # fmt: skip
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self'",
}

TEXT = {
    "host": N_("This service does not answer to that host name."),
    "origin": N_("A page of another origin may not call this service."),
    "no_key": N_("A key is wanted."),
    "no_session": N_("This browser is not let in, or no longer."),
    "wrong_key": N_("This key opens nothing here."),
    "rate": N_("Too many requests."),
    "too_large": N_("That is more than this address takes."),
}
CURES = {
    "host": N_("Call it by the address that it told, or start it with --name and the name of the host."),
    "origin": N_("Open the page of the service itself."),
    "no_session": N_("Open a new link: the program shows it while it serves, and each opens the page once."),
    "no_key": N_("Send it as: Authorization: Bearer TOKEN. The token is told when the service starts."),
    "wrong_key": N_("Take the token that the service told when it started, or have a new key made."),
    "rate": N_("Wait for as many seconds as Retry-After says."),
    "too_large": N_("Send less at once; pictures and archives go to POST /api/assets."),
}


class Guard:
    """The door: answers 403, 401, 429 or 413 itself, and hands on everything else with its key in `scope["state"]`."""

    def __init__(
        self, app: ASGIApp, keyring: Keyring, hosts: Collection[str], rates: Mapping[str, Sequence[RateLimitItem]] = RATES
    ) -> None:  # fmt: skip
        """`hosts`: the names, without a port, that the service answers to; `rates` are counted for each key."""
        self._rates = rates
        self._app, self._keyring = app, keyring
        self._hosts = frozenset(host.lower() for host in hosts)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a request or a websocket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        key, by_cookie = self._key_of(headers)
        if problem := self._refusal(scope, headers, key, by_cookie):
            await _refuse(scope, receive, send, *problem)
            return
        wait = self._too_often(scope, key) if key else 0
        if wait:
            await _refuse(scope, receive, send, 429, "rate", {"retry-after": str(wait)})
            return
        scope.setdefault("state", {})["key"] = key
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        await self._bounded(scope, headers, receive, send)

    def _refusal(self, scope: Scope, headers: Headers, key: Key | None, by_cookie: bool) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if _name_of(host) not in self._hosts:
            return 403, "host"
        origin, safe = headers.get("origin"), scope.get("method", "GET") in SAFE and scope["type"] == "http"
        if origin is not None and _place_of(origin) != host.lower():
            return 403, "origin"
        if key is None:
            if scope["path"] == ENTER and scope["type"] == "http":
                return None
            return 401, "wrong_key" if headers.get("authorization") else "no_key"
        if by_cookie and not safe and origin is None:  # a browser always says where a form or a script came from
            return 403, "origin"
        return None

    def _key_of(self, headers: Headers) -> tuple[Key | None, bool]:
        """The key that a request shows, and whether a browser's cookie does."""
        scheme, _blank, token = headers.get("authorization", "").partition(" ")
        if scheme:
            return (self._keyring.of_token(token.strip()) if scheme.lower() == "bearer" else None), False
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            cookie = None
        return (self._keyring.of_session(cookie.value) if cookie else None), True

    def _too_often(self, scope: Scope, key: Key) -> int:
        """Seconds to wait; 0: come in."""
        path = scope["path"]
        kind = "files" if path.startswith(FILES) else "look" if scope.get("method", "GET") in SAFE else "work"
        for rate in self._rates[kind]:
            if not self._limiter.hit(rate, kind, key.name):
                return max(1, round(self._seconds_left(rate, kind, key.name)))
        return 0

    def _seconds_left(self, rate: RateLimitItem, *names: str) -> float:
        return self._limiter.get_window_stats(rate, *names).reset_time - time.time()

    async def _bounded(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        """Hand on a request whose body is counted as it comes."""
        most = MOST_UPLOAD_BYTES if scope["path"].rstrip("/") == UPLOADS else MOST_BODY_BYTES
        told = headers.get("content-length", "0")
        if not told.isdigit() or int(told) > most:
            await _refuse(scope, receive, send, 413, "too_large")
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b"")) if message["type"] == "http.request" else 0
            if taken > most:
                raise HTTPException(413, "too large")
            return message

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    answer.setdefault(name, value)
                answer.setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, counted, with_headers)


def _place_of(origin: str) -> str:
    """Host and port of an origin; empty where it is none, as of a page out of a file."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _name_of(host: str) -> str:
    """The name of a Host header without its port; empty where it is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def plain_page(text: str, cure: str) -> str:
    """A page for whoever may not even see its style."""
    return (
        f'<!doctype html><html lang="{spoken()}"><meta name="viewport" content="width=device-width">'
        f'<meta name="color-scheme" content="light dark"><title>Avatar Pipeline</title>'
        f"<main><h1>{escape(text)}</h1><p>{escape(cure)}</p></main></html>"
    )


async def _refuse(
    scope: Scope, _receive: Receive, send: Send, status: int, why: str, more: dict[str, str] | None = None
) -> None:  # fmt: skip
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})  # before it is accepted: the caller sees 403
        return
    if status == 401 and scope["path"].startswith(PAGE):
        why, kind = "no_session", "text/html; charset=utf-8"
    else:
        kind = "application/json"
    text, cure = _(TEXT[why]), _(CURES[why])
    told: dict[str, Any] = {"status": "error", "message": text, "error": text, "hint": cure, "code": why}
    body = (plain_page(text, cure) if why == "no_session" else json.dumps(told, ensure_ascii=False)).encode()
    headers = {"content-type": kind, "content-length": str(len(body)), **HEADERS, **(more or {})}
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    if status == 413:
        headers["connection"] = "close"
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
