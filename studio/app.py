"""The application: routers out of a list, errors in the program's own words, the guard before all of it.

A page is a router more in ROUTERS; its files lie in `static/` and `templates/`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from config import VERSION
from locales.language import N_, _
from studio.answers import Problem, problem_of, status_of
from studio.guard import ENTER, Guard, plain_page
from studio.pages.router import page_router
from studio.routes_actions import actions_router
from studio.routes_assets import assets_router
from studio.routes_common import Service
from studio.routes_docs import docs_router
from studio.routes_files import files_router
from studio.routes_jobs import jobs_router
from studio.routes_keys import keys_router
from studio.routes_live import live_router
from studio.routes_plan import plan_router
from utils import PipelineError, ProgramFault, as_pipeline_error, log

STATIC = Path(__file__).resolve().parent / "static"
ROUTERS: tuple[Callable[[], APIRouter], ...] = (
    page_router, plan_router, actions_router, live_router, jobs_router, assets_router, keys_router, files_router, docs_router,
)  # fmt: skip
WRONG = N_("{where}: {what}")
STATUS_TEXT = {
    404: N_("There is nothing at this address."),
    405: N_("This address takes another method."),
    413: N_("That is more than this address takes."),
}
NOT_UNDERSTOOD = N_("The request cannot be understood.")


def make_app(service: Service, hosts: Sequence[str], routers: Sequence[Callable[[], APIRouter]] = ROUTERS) -> ASGIApp:
    """The whole service as an ASGI application; its queue works as long as it runs."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        work = asyncio.create_task(service.jobs.work())
        yield
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work

    app = FastAPI(
        title="Avatar Pipeline", version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None,
    )  # fmt: skip
    app.state.service = service
    for router in routers:
        app.include_router(router())
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    _answer_errors(app, service.home)
    return Guard(app, service.keyring, hosts)


def _answer_errors(app: FastAPI, home: Path) -> None:
    """Every refusal looks alike: see `Problem`."""

    def told(error: PipelineError) -> Response:
        return JSONResponse(problem_of(error, home), status_of(error))

    @app.exception_handler(PipelineError)
    async def refused(request: Request, error: PipelineError) -> Response:
        if request.url.path == ENTER:  # a person stands there, with a link that opens nothing
            return HTMLResponse(plain_page(error.text(), error.cure()), status_of(error))
        return told(error)

    @app.exception_handler(RequestValidationError)
    async def wrong(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0] if error.errors() else {"loc": (), "msg": ""}
        place = ".".join(str(part) for part in first["loc"][1:])
        text = _(WRONG).format(where=place or "body", what=first["msg"])[:400]
        return JSONResponse(_problem(text, "wrong_request"), 422)

    @app.exception_handler(HTTPException)
    async def http(_request: Request, error: HTTPException) -> JSONResponse:
        text = _(STATUS_TEXT.get(error.status_code, NOT_UNDERSTOOD))
        return JSONResponse(_problem(text, f"http_{error.status_code}"), error.status_code, headers=error.headers)

    @app.exception_handler(Exception)
    async def fault(_request: Request, error: Exception) -> Response:
        known = as_pipeline_error(error) if isinstance(error, OSError | ImportError) else None
        if known:
            return told(known)
        log.error("service", exc_info=error)
        return JSONResponse(problem_of(ProgramFault(error=type(error).__name__, path=home / "logs" / "service.log"), home), 500)


def _problem(text: str, code: str) -> dict[str, Any]:
    return Problem(message=text, error=text, code=code).model_dump()
