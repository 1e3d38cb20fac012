"""What a client is let see: their own portraits, to choose favourites, by a link that holds until a day; and where it is made."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Path, Query, Response
from fastapi.responses import FileResponse, HTMLResponse
from starlette.requests import Request

from actions.gallery import PORTRAITS, PortraitsRequest
from client_folder.client import Client, open_client
from portraits.history import UNDO, PortraitMissing, read_history
from studio.guard import ENTER
from studio.keys import Key, KeyUnknown, Role
from studio.pages.client_pages import ClientName, Undo
from studio.pages.portrait_pages import MARKED, UNMARKED, PortraitName
from studio.pages.portraits import PortraitCard, portrait_card, portrait_runs
from studio.pages.rendering import OurForm, PageRoute, back_to, page, wants_pieces
from studio.pages.thumbnails import sent, small
from studio.permissions import NotAllowed
from studio.routes_common import Administering, Service, TheKey, TheService

DAYS = 14  # a link holds so long unless another day is named
MOST_DAYS = 366


_router = APIRouter(include_in_schema=False, route_class=PageRoute)


@_router.get("/page/gallery/{client}")
def gallery(request: Request, client: ClientName, service: TheService, key: TheKey) -> HTMLResponse:
    """The portraits, with nothing of how they were made."""
    who = gallery_of(service, key, client).snapshot()
    history = read_history(who)
    runs = [(number, when, [bare(who, card) for card in cards]) for number, when, cards in portrait_runs(who, history)]
    total = sum(card.favourite for _number, _when, cards in runs for card in cards)
    return page(
        request, "gallery.html", client=who, runs=runs, favourites=total, address=f"/page/gallery/{who.id}", photo=None,
        until=key.until, only_choose=True,
    )  # fmt: skip


@_router.get("/page/gallery/{client}/{name}", response_class=FileResponse)
def picture(
    client: ClientName, name: PortraitName, service: TheService, key: TheKey, tiny: Annotated[bool, Query()] = False
) -> FileResponse:  # fmt: skip
    """A portrait, small or whole."""
    who = gallery_of(service, key, client)
    file = who.output / name
    if not file.is_file():
        raise PortraitMissing(name=name, client=who.id)
    return sent(small(who, file) if tiny else file)


@_router.post("/page/gallery/{client}/{name}", dependencies=[OurForm])
def choose(
    request: Request, client: ClientName, name: PortraitName, service: TheService, key: TheKey,
    do: Annotated[str, Form(pattern="^(favourite|not)$")],
) -> Response:  # fmt: skip
    """Make a portrait a favourite, or no longer: the one thing that such a key may write."""
    who = gallery_of(service, key, client)
    if not (who.output / name).is_file():
        raise PortraitMissing(name=name, client=who.id)
    word = name if do == "favourite" else f"{UNDO}{name}"
    service.run_now(PORTRAITS, service.job_of(PORTRAITS, PortraitsRequest(client=who.id, verb="favourite", names=(word,))))
    address = f"/page/gallery/{who.id}"
    if not wants_pieces(request):
        return back_to(f"{address}#shot-{name.removesuffix('.png')}")
    card = bare(who, portrait_card(who, name))
    undo = Undo(address=f"{address}/{name}", do="not" if do == "favourite" else "favourite")
    return page(
        request, "_marked.html", client=who, card=card, favourites=len(read_history(who).favourites), address=address,
        said=MARKED if card.favourite else UNMARKED, facts={"seed": card.seed}, undo=undo, only_choose=True,
    )  # fmt: skip


def gallery_of(service: Service, key: Key, client: str) -> Client:
    """The client whose gallery a key opens; one that may look at everything opens each. Raises NotAllowed."""
    if key.role is Role.GALLERY and key.client != client:
        raise NotAllowed(role=Role.LOOK.value)
    return open_client(service.home, client)


def bare(client: Client, card: PortraitCard) -> PortraitCard:
    """A portrait for the client: under addresses of the gallery, without prompt and settings."""
    address = f"/page/gallery/{client.id}/{card.name}"
    version = card.small.rpartition("?v=")[2]
    return PortraitCard(
        card.name, card.run, f"{address}?tiny=true&v={version}", f"{address}?v={version}", "", "", card.seed, "", card.favourite
    )  # fmt: skip


# --- links for clients ------------------------------------------------------------------------------------------------
@_router.get("/page/clients/{client}/share")
def share_page(request: Request, client: ClientName, service: TheService, _key: Administering) -> HTMLResponse:
    """The links that were made for a client, and a form for another."""
    return _shared(request, service, open_client(service.home, client))


@_router.post("/page/clients/{client}/share", dependencies=[OurForm])
def share(
    request: Request, client: ClientName, service: TheService, _key: Administering, until: Annotated[date, Form()]
) -> HTMLResponse:  # fmt: skip
    """Make a link; it is shown this once."""
    who = open_client(service.home, client)
    last = min(max(until, _today()), _today() + timedelta(days=MOST_DAYS))
    taken = {key.name for key in service.keyring.all_keys()}
    name = next(name for number in range(1, len(taken) + 2) if (name := f"{who.id[:30]}-{number}") not in taken)
    _made, token = service.keyring.add(name, Role.GALLERY, who.id, last)
    return _shared(request, service, who, link=f"{request.url.scheme}://{request.headers['host']}{ENTER}?key={token}")


@_router.post("/page/clients/{client}/share/{name}", dependencies=[OurForm])
def unshare(
    client: ClientName, name: Annotated[str, Path(max_length=60)], service: TheService, _key: Administering
) -> Response:  # fmt: skip
    """Take a link back: it opens nothing from now on."""
    if name not in {key.name for key in _keys_of(service, client)}:
        raise KeyUnknown(name=name)
    service.keyring.remove(name)
    return back_to(f"/page/clients/{client}/share")


def _shared(request: Request, service: Service, client: Client, link: str = "") -> HTMLResponse:
    return page(
        request, "share.html", client=client, tab="portraits", keys=_keys_of(service, client.id), link=link, today=_today(),
        until=_today() + timedelta(days=DAYS), last=_today() + timedelta(days=MOST_DAYS),
    )  # fmt: skip


def _keys_of(service: Service, client: str) -> list[Key]:
    return [key for key in service.keyring.all_keys() if key.role is Role.GALLERY and key.client == client]


def _today() -> date:
    return datetime.now(UTC).date()


def gallery_router() -> APIRouter:
    """The gallery of a client's own key, and the page where such keys are made."""
    return _router
