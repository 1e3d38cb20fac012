"""Pages out of templates: escaped, in the language of who reads, and errors as pages too.

An address answers a browser that sent a form with the page it came from, and a script of ours (`X-Pieces`) with the pieces that
changed: each is put in the place of the piece of that id.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Form
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request

from locales.language import LANGUAGES, _, ngettext, speaking, spoken
from studio.answers import problem_of, status_of
from studio.guard import COOKIE
from studio.keys import FormStale, Role, check_form_token, form_token
from studio.routes_common import key_of, service_of
from utils import PipelineError

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"
PIECES = "x-pieces"  # the header of a script that wants no whole page


class PageRoute(APIRoute):
    """An address of the page: it answers in the reader's language, and an error as a page."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with that around it."""
        handler = super().get_route_handler()

        async def in_their_language(request: Request) -> Response:
            with speaking(language_of(request)):
                try:
                    return await handler(request)
                except PipelineError as error:
                    return problem_page(request, error)
                except RequestValidationError:
                    return problem_page(request, FormStale())

        return in_their_language


def language_of(request: Request) -> str:
    """The first of our languages that the browser asks for; else the program's."""
    wishes = []
    for wish in request.headers.get("accept-language", "").split(",")[:20]:
        code, _semicolon, weight = wish.partition(";q=")
        try:
            wishes.append((float(weight or 1), code.strip()[:2].lower()))
        except ValueError:
            continue
    return next((code for _weight, code in sorted(wishes, key=lambda one: -one[0]) if code in LANGUAGES), spoken())


# --- forms ------------------------------------------------------------------------------------------------------------
def check_form(request: Request, form: Annotated[str, Form(max_length=80)] = "") -> None:
    """Refuse a form that no page of ours showed to this browser; who calls with a key of its own has no cookie to be abused."""
    if COOKIE in request.cookies:
        check_form_token(form, request.cookies[COOKIE])


OurForm = Depends(check_form)


# --- pages ------------------------------------------------------------------------------------------------------------
@cache
def templates() -> Environment:
    """All templates; every value is escaped, and one that is missing is a fault."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.i18n"],
    )  # fmt: skip
    environment.install_gettext_callables(_, ngettext, newstyle=False)  # type: ignore[attr-defined]
    return environment


def wants_pieces(request: Request) -> bool:
    """Whether a script asks, which puts pieces into the page that is open."""
    return PIECES in request.headers


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page, or what a template says."""
    key = key_of(request)
    known: Mapping[str, Any] = {
        "form": form_token(request.cookies.get(COOKIE, "")), "language": spoken(), "key": key, "pieces": wants_pieces(request),
        "may_work": key.role.rank >= Role.WORK.rank, "may_admin": key.role.rank >= Role.ADMIN.rank,
        "path": request.url.path, "facts": {}, "undo": None, "job": "", "reload": False,  # of the line that says what was done
    }  # fmt: skip
    html = templates().get_template(template).render({**known, **values})
    return HTMLResponse(html, status, {"referrer-policy": "same-origin"})  # without it a form does not say where it came from


def back_to(address: str) -> RedirectResponse:
    """The page that a form was sent from, for a browser without scripts."""
    return RedirectResponse(address, 303)


def problem_page(request: Request, error: PipelineError) -> Response:
    """An error for people: a line on the page that is open, or a page."""
    problem = problem_of(error, service_of(request).home)
    template = "_problem.html" if wants_pieces(request) else "problem.html"
    return page(request, template, status_of(error), problem=problem)
