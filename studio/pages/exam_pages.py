"""What was examined: the exam's verdict with its plot and sheet, the blind test by eye, and what the dataset doctor found."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Form, Path, Response
from fastapi.responses import FileResponse, HTMLResponse
from starlette.requests import Request

from actions.blind import BLIND, BlindRequest
from actions.dataset import QUARANTINE, QuarantineRequest
from actions.doctor import DOCTOR, DoctorRequest
from actions.review import UNDO
from client_folder.client import Client, open_client
from dataset.findings import Readiness
from exam.blind import BlindRecord, Nearer, ShownPair, agreement_with, pair_to_judge
from exam.report import ExamFile
from exam.words import agreement_said, remarks_said, sureness_said, verdict_said
from locales.language import N_
from studio.pages.client_pages import ClientName, Undo
from studio.pages.pictures import picture_cards
from studio.pages.portraits import Shot
from studio.pages.rendering import OurForm, PageRoute, back_to, page, wants_pieces
from studio.pages.thumbnails import large_url, sent, small, small_url
from studio.routes_actions import ask
from studio.routes_common import Looking, TheService
from utils import FolderMissing, read_record

TAKEN, RETURNED = N_("Out of training: {count}"), N_("Back in training: {count}")


_router = APIRouter(include_in_schema=False, route_class=PageRoute)


@_router.get("/page/clients/{client}/exam")
def exam_page(request: Request, client: ClientName, service: TheService, _key: Looking) -> HTMLResponse:
    """The verdict of the last exam, every checkpoint with its numbers, and the blind test."""
    who = open_client(service.home, client).snapshot()
    exam = who.read(who.exam_report, ExamFile)
    told = (verdict_said(exam), sureness_said(exam), *remarks_said(exam)) if exam else ()
    pictures = [
        Shot(title, small_url(who, "exam", file), large_url(who, file))
        for title, file in ((N_("Likeness over steps"), who.exam_plot), (N_("What it judged by"), who.exam_sheet))
        if file.is_file()
    ]
    return page(request, "exam.html", client=who, tab="exam", exam=exam, told=told, pictures=pictures)


@_router.get("/page/clients/{client}/doctor")
def doctor_page(request: Request, client: ClientName, service: TheService, key: Looking) -> HTMLResponse:
    """What the dataset doctor finds, with the pictures that each finding is about."""
    who = open_client(service.home, client)
    found = ask(service, key, DOCTOR, DoctorRequest(client=who.id), Response())
    cards = picture_cards(who)
    return page(
        request,
        "doctor.html",
        client=who,
        tab="doctor",
        found=found,
        cards=cards,
        verdicts={one.value: one.label for one in Readiness},
    )


@_router.post("/page/clients/{client}/quarantine", dependencies=[OurForm])
def take_out(
    request: Request, client: ClientName, service: TheService, key: Looking, pictures: Annotated[str, Form(max_length=100_000)],
    do: Annotated[str, Form(pattern="^(out|back)$")],
) -> Response:  # fmt: skip
    """Take the pictures of a finding out of training, or put them back."""
    stems = [FilePath(name).stem for name in pictures.split()]
    words = tuple(stems if do == "out" else (f"{UNDO}{stem}" for stem in stems))
    ask(service, key, QUARANTINE, QuarantineRequest(client=client, pictures=words), Response())
    address = f"/page/clients/{client}"
    if not wants_pieces(request):
        return back_to(f"{address}/doctor")
    undo = Undo(address=f"{address}/quarantine", do="back" if do == "out" else "out", pictures=pictures)
    return page(request, "_toast.html", said=TAKEN if do == "out" else RETURNED, facts={"count": len(stems)}, undo=undo)


# --- the blind test ---------------------------------------------------------------------------------------------------
def _next_pair(client: Client) -> ShownPair | None:
    """The pair to judge; None before the test began and after its end."""
    return pair_to_judge(client) if client.blind_record.is_file() else None


@_router.get("/page/clients/{client}/blind")
def blind_page(request: Request, client: ClientName, service: TheService, _key: Looking) -> HTMLResponse:
    """The pair that comes next or, once all were judged, what the answers say."""
    who = open_client(service.home, client)
    begun = who.blind_record.is_file()
    pair = _next_pair(who)
    answered = len(read_record(who.blind_record, BlindRecord).answers) if begun else 0
    told = agreement_said(agreement_with(who.exam_report, who.blind_record)) if begun and pair is None else ()
    return page(
        request, "blind.html", client=who, tab="exam", begun=begun, pair=pair, told=told, answered=answered,
        Nearer=tuple(Nearer),
    )  # fmt: skip


@_router.post("/page/clients/{client}/blind", dependencies=[OurForm])
def answer_pair(
    client: ClientName, service: TheService, key: Looking, do: Annotated[str, Form(pattern="^(begin|again|left|right|same)$")],
    number: Annotated[int, Form(ge=0, le=1000)] = 0,
) -> Response:  # fmt: skip
    """Begin, or keep an answer; an answer to a pair that was judged already, as of a form sent twice, is let go."""
    who = open_client(service.home, client)
    pair = _next_pair(who)
    if do in set(Nearer):
        if pair and pair.number == number:
            ask(service, key, BLIND, BlindRequest(client=who.id, answers=(do,)), Response())
    else:
        ask(service, key, BLIND, BlindRequest(client=who.id, again=do == "again"), Response())
    return back_to(f"/page/clients/{who.id}/blind")


@_router.get("/page/clients/{client}/blind/{number}/{side}.jpg", response_class=FileResponse)
def blind_picture(
    client: ClientName, number: int, side: Annotated[str, Path(pattern="^(photo|left|right)$")],
    service: TheService, _key: Looking,
) -> FileResponse:  # fmt: skip
    """A picture of the pair, under an address that does not tell who painted it."""
    who = open_client(service.home, client)
    pair = _next_pair(who)
    if pair is None or pair.number != number:
        raise FolderMissing(path=side)
    answer = sent(small(who, getattr(pair, side), 512))
    answer.headers["cache-control"] = "no-store"
    return answer


def exam_router() -> APIRouter:
    """The exam, the blind test, the dataset doctor."""
    return _router
