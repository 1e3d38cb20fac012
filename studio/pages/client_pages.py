"""The first page with all clients, and a client's own: its steps, its pictures, and what is done with a picture by one click."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel
from starlette.requests import Request

from actions.dataset import CAPTIONS, QUARANTINE, CaptionsRequest, QuarantineRequest
from actions.faces import ACCEPT, AcceptRequest
from actions.journey import State, how_far, read_journey
from actions.review import UNDO
from actions.table import action_named, row_named
from actions.who import UNDO as WHO_UNDO
from actions.who import WHO, Candidate, WhoRequest, candidates
from client_folder.client import Client, last_used_first, open_client
from client_folder.errors import PictureMissing
from client_folder.lookup import find_picture, read_detected_faces
from faces.crops import face_picture
from faces.verdicts import left_to_right
from locales.language import N_
from studio.keys import Key
from studio.pages.pictures import PictureCard, PictureGroup, counts, picture_cards
from studio.pages.rendering import OurForm, PageRoute, back_to, page, wants_pieces
from studio.pages.thumbnails import FACE_PX, KEPT_SECONDS
from studio.routes_actions import ask
from studio.routes_common import Looking, Service, TheService
from studio.routes_jobs import JobAnswer

ClientName = Annotated[str, Path(max_length=80)]
Stem = Annotated[str, Path(max_length=80, pattern=r"^[a-z]+_[0-9a-f]+$")]
# What a client's page begins with nothing more to be said; everything else about them is asked by the terminal or by /actions.
STARTED = frozenset({"process", "dataset", "train", "exam", "generate"})


class Do(StrEnum):
    """What one click does with a picture."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    OUT = "out"
    BACK = "back"
    CAPTION = "caption"
    WHO = "who"
    WHO_BACK = "who-back"


SAID = {
    Do.ACCEPT: N_("Accepted: {name}"),
    Do.REFUSE: N_("Not accepted any more: {name}"),
    Do.OUT: N_("Out of training: {name}"),
    Do.BACK: N_("Back in training: {name}"),
    Do.CAPTION: N_("Caption written: {name}"),
    Do.WHO: N_("All pictures are judged anew by this face: {name}"),
    Do.WHO_BACK: N_("All pictures are judged anew, as before."),
}
BACK_OF = {
    Do.ACCEPT: Do.REFUSE,
    Do.REFUSE: Do.ACCEPT,
    Do.OUT: Do.BACK,
    Do.BACK: Do.OUT,
    Do.CAPTION: Do.CAPTION,
    Do.WHO: Do.WHO_BACK,
}


class Undo(BaseModel):
    """What takes the last click back: another click."""

    address: str
    do: str
    text: str = ""
    pictures: str = ""


_router = APIRouter(include_in_schema=False, route_class=PageRoute)


@_router.get("/page")
def clients_page(request: Request, service: TheService, _key: Looking) -> HTMLResponse:
    """All clients, the last used first, and how far each is."""
    busy = {job.client: job for job in service.jobs.all_jobs() if not job.state.over and job.client}
    rows = [(client, how_far(client), busy.get(client.id)) for client in last_used_first(service.home)]
    return page(request, "clients.html", rows=rows)


@_router.get("/page/clients/{client}")
def client_page(request: Request, client: ClientName, service: TheService, _key: Looking) -> HTMLResponse:
    """A client's pictures, and its steps."""
    who = open_client(service.home, client)
    cards = picture_cards(who)
    steps = read_journey(service.home, service.session().settings, who)
    return page(
        request, "client.html", client=who, tab="pictures", cards=cards.values(), groups=tuple(PictureGroup),
        counts=counts(cards.values()), steps=steps, startable=STARTED, State=State,
    )  # fmt: skip


@_router.post("/page/clients/{client}/begin", dependencies=[OurForm])
def begin(
    client: ClientName, service: TheService, key: Looking, step: Annotated[str, Form(max_length=20)], request: Request
) -> Response:  # fmt: skip
    """Begin a step of the client's, as a job."""
    if step in STARTED:
        action = action_named(step)
        answer = ask(service, key, action, action.request(client=client), Response(), as_job=True)
        if wants_pieces(request):
            return page(request, "_toast.html", said=row_named(step).label, job=answer.id, reload=True)
    return back_to(f"/page/clients/{client}")


@_router.post("/page/clients/{client}/pictures/{stem}", dependencies=[OurForm])
def decide(
    request: Request, client: ClientName, stem: Stem, service: TheService, key: Looking, do: Annotated[Do, Form()],
    text: Annotated[str, Form(max_length=4000)] = "", face: Annotated[int, Form(ge=1, le=999)] = 1,
) -> Response:  # fmt: skip
    """One click on a picture: answers with every card that changed by it."""
    who = open_client(service.home, client)
    before = picture_cards(who)
    if stem not in before:
        raise PictureMissing(name=stem, client=who.id)
    answer = act(service, key, who, before[stem], do, text, face)
    if not wants_pieces(request):
        return back_to(f"/page/clients/{client}#pic-{stem}")
    after = picture_cards(who)
    changed = [card for name, card in after.items() if before.get(name) != card]
    undo = undo_of(who, before[stem], do)
    return page(
        request, "_decided.html", client=who, changed=changed, counts=counts(after.values()), said=SAID[do],
        facts={"name": before[stem].name}, undo=undo, job=answer.id if isinstance(answer, JobAnswer) else "",
        reload=do in (Do.WHO, Do.WHO_BACK),
    )  # fmt: skip


def act(service: Service, key: Key, client: Client, card: PictureCard, do: Do, text: str = "", face: int = 1) -> Any:
    """Ask the action that a click stands for. Raises what it raises."""
    name = client.id
    asked: dict[Do, Callable[[], tuple[Any, Any]]] = {
        Do.ACCEPT: lambda: (ACCEPT, AcceptRequest(client=name, pictures=(card.place,))),
        Do.REFUSE: lambda: (ACCEPT, AcceptRequest(client=name, pictures=(f"{UNDO}{card.place}",))),
        Do.OUT: lambda: (QUARANTINE, QuarantineRequest(client=name, pictures=(card.place,))),
        Do.BACK: lambda: (QUARANTINE, QuarantineRequest(client=name, pictures=(f"{UNDO}{card.place}",))),
        Do.CAPTION: lambda: (CAPTIONS, CaptionsRequest(client=name, picture=card.stem, text=text)),
        Do.WHO: lambda: (WHO, WhoRequest(client=name, faces=(f"{card.place}:{face}",))),
        Do.WHO_BACK: lambda: (WHO, WhoRequest(client=name, faces=(WHO_UNDO,))),
    }
    action, request = asked[do]()
    return ask(service, key, action, request, Response())


def undo_of(client: Client, card: PictureCard, do: Do) -> Undo | None:
    """The click that takes this one back; a caption goes back to what it was."""
    if do not in BACK_OF or (do is Do.CAPTION and not card.caption):
        return None
    text = (card.caption or "") if do is Do.CAPTION else ""
    return Undo(address=f"/page/clients/{client.id}/pictures/{card.stem}", do=BACK_OF[do].value, text=text)


# --- who the client is ------------------------------------------------------------------------------------------------
def _people_of(service: Service, client: Client) -> tuple[Candidate, ...]:
    found = candidates(service.job_of(WHO, WhoRequest(client=client.id, faces=())))
    return (*found.people, *found.singles)


@_router.get("/page/clients/{client}/people")
def people_page(request: Request, client: ClientName, service: TheService, _key: Looking) -> HTMLResponse:
    """Everybody whom the pictures show, to say who of them the client is."""
    who = open_client(service.home, client)
    stems = {card.place: card.stem for card in picture_cards(who).values()}
    faces = [(one, stem) for one in _people_of(service, who) if (stem := stems.get(one.value.rpartition(":")[0]))]
    return page(request, "people.html", client=who, tab="people", faces=faces)


@_router.get("/page/clients/{client}/people/{stem}/{number}.jpg")
def face_of(
    client: ClientName, stem: Stem, number: Annotated[int, Path(ge=1, le=999)], service: TheService, _key: Looking
) -> Response:  # fmt: skip
    """A face of a picture, counted from the left."""
    import io

    who = open_client(service.home, client)
    picture = find_picture(who, stem)
    detected = read_detected_faces(who, picture)
    faces = left_to_right(detected) if detected else []
    shown = face_picture(who.raw(picture.source) / picture.file, faces[number - 1].square) if number <= len(faces) else None
    if shown is None:
        raise PictureMissing(name=stem, client=who.id)
    shown.thumbnail((FACE_PX, FACE_PX))
    written = io.BytesIO()
    shown.convert("RGB").save(written, "JPEG", quality=88)
    return Response(written.getvalue(), media_type="image/jpeg", headers={"cache-control": f"private, max-age={KEPT_SECONDS}"})


def clients_router() -> APIRouter:
    """The pages of clients and pictures."""
    return _router
