"""`/keys`, and how a browser comes in: `/enter` takes a link that holds once and leaves a cookie."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field

from client_folder.client import open_client
from locales.language import spoken
from studio.answers import Problem
from studio.guard import COOKIE, ENTER, PAGE
from studio.keys import SESSION_SECONDS, Key, KeyName, Role
from studio.routes_common import Administering, TheService


class NewKey(BaseModel):
    """A key that is wanted. A gallery's needs its client."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: KeyName
    role: Role
    client: Annotated[str, Field(max_length=80)] = ""
    until: date | None = None


class KeyTold(BaseModel):
    """A key, without what opens anything."""

    name: str
    role: Role
    client: str
    until: date | None
    created: str

    @classmethod
    def of(cls, key: Key) -> KeyTold:
        """What may be told of it."""
        return cls(name=key.name, role=key.role, client=key.client, until=key.until, created=key.created)


class KeyMade(KeyTold):
    """A new key: its token is told this once."""

    token: str


class PageLink(BaseModel):
    """A link that opens the page once."""

    link: str


_router = APIRouter(tags=["keys"])


@_router.get("/keys")
def list_keys(service: TheService, _key: Administering) -> list[KeyTold]:
    """Every key but the first one."""
    return [KeyTold.of(key) for key in service.keyring.all_keys()]


@_router.post("/keys", responses={409: {"model": Problem}})
def make_key(wanted: NewKey, service: TheService, _key: Administering) -> KeyMade:
    """Make a key for another program, or for a client's gallery."""
    if wanted.role is Role.GALLERY:
        open_client(service.home, wanted.client)
    key, token = service.keyring.add(wanted.name, wanted.role, wanted.client if wanted.role is Role.GALLERY else "", wanted.until)
    return KeyMade(**KeyTold.of(key).model_dump(), token=token)


@_router.delete("/keys/{name}", responses={404: {"model": Problem}})
def remove_key(name: Annotated[str, Path(max_length=60)], service: TheService, _key: Administering) -> PageLink:
    """Take a key back: it opens nothing from now on."""
    service.keyring.remove(name)
    return PageLink(link="")


@_router.post("/links")
def make_link(service: TheService, key: Administering) -> PageLink:
    """A link that opens the page once, with the rights of the key that asks."""
    return PageLink(link=f"{ENTER}?once={service.keyring.new_link(key.name)}")


@_router.get(ENTER, response_class=HTMLResponse, responses={403: {"model": Problem}})
def enter(
    service: TheService,
    once: Annotated[str, Query(max_length=100)] = "",
    key: Annotated[str, Query(max_length=100, description="the token of a gallery's key")] = "",
) -> HTMLResponse:
    """Come in by a link.

    The page follows by itself, not by a redirect: who follows a link out of a mail is sent no strict cookie on the way of it.
    """
    known, session = service.keyring.enter(once, key)
    target = f"{PAGE}/gallery/{known.client}" if known.role is Role.GALLERY else PAGE
    page = (
        f'<!doctype html><html lang="{spoken()}"><title>Avatar Pipeline</title><link rel="icon" href="/static/icon.svg">'
        f'<a href="{target}">Avatar Pipeline</a></html>'
    )
    answer = HTMLResponse(page, headers={"refresh": f"0;url={target}"})
    answer.set_cookie(
        COOKIE, session, max_age=int(SESSION_SECONDS), httponly=True, samesite="strict", secure=service.secure, path="/"
    )
    return answer


def keys_router() -> APIRouter:
    """Keys, links, and the way in."""
    return _router
