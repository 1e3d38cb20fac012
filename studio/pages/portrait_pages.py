"""A client's portraits as a gallery: favourites, two compared, the real photo beside, one seed over the checkpoints."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Path, Response
from fastapi.responses import HTMLResponse
from starlette.requests import Request

from actions.gallery import PORTRAITS, PortraitsRequest
from client_folder.client import open_client
from exam.report import ExamFile
from locales.language import N_
from portraits.history import UNDO, PortraitMissing, read_history
from studio.pages.client_pages import ClientName, Undo
from studio.pages.portraits import PORTRAIT, portrait_card, portrait_runs, real_photo, seed_rows
from studio.pages.rendering import OurForm, PageRoute, back_to, page, wants_pieces
from studio.routes_actions import ask
from studio.routes_common import Looking, TheService

PortraitName = Annotated[str, Path(max_length=80, pattern=PORTRAIT.pattern)]
MARKED, UNMARKED = N_("Favourite: seed {seed}"), N_("No favourite any more: seed {seed}")


_router = APIRouter(include_in_schema=False, route_class=PageRoute)


@_router.get("/page/clients/{client}/portraits")
def portraits_page(request: Request, client: ClientName, service: TheService, _key: Looking) -> HTMLResponse:
    """Every portrait, the newest run first."""
    who = open_client(service.home, client).snapshot()
    history = read_history(who)
    runs = portrait_runs(who, history)
    total = sum(card.favourite for _number, _when, cards in runs for card in cards)
    exam = who.read(who.exam_report, ExamFile)
    return page(
        request, "portraits.html", client=who, tab="portraits", runs=runs, favourites=total, photo=real_photo(who),
        rows=seed_rows(who, exam), address=f"/page/clients/{who.id}/portraits", only_choose=False,
    )  # fmt: skip


@_router.post("/page/clients/{client}/portraits/{name}", dependencies=[OurForm])
def mark(
    request: Request, client: ClientName, name: PortraitName, service: TheService, key: Looking,
    do: Annotated[str, Form(pattern="^(favourite|not)$")],
) -> Response:  # fmt: skip
    """Make a portrait a favourite, or no longer."""
    who = open_client(service.home, client)
    if not (who.output / name).is_file():
        raise PortraitMissing(name=name, client=who.id)
    word = name if do == "favourite" else f"{UNDO}{name}"
    ask(service, key, PORTRAITS, PortraitsRequest(client=who.id, verb="favourite", names=(word,)), Response())
    address = f"/page/clients/{who.id}/portraits"
    if not wants_pieces(request):
        return back_to(f"{address}#shot-{name.removesuffix('.png')}")
    card = portrait_card(who, name)
    undo = Undo(address=f"{address}/{name}", do="not" if do == "favourite" else "favourite")
    return page(
        request, "_marked.html", client=who, card=card, favourites=len(read_history(who).favourites), address=address,
        said=MARKED if card.favourite else UNMARKED, facts={"seed": card.seed}, undo=undo, only_choose=False,
    )  # fmt: skip


def portraits_router() -> APIRouter:
    """The gallery, and one click on a portrait."""
    return _router
