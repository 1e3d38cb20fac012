"""`POST /actions/NAME`: every action of the table, typed by its own request and answer. Short ones answer at once, long ones become
jobs; what would be done is told with `?plan=true`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from actions.action import Action, answer_kind, dump
from actions.request import Request
from actions.table import ROWS, action_named
from studio.answers import Problem, hidden
from studio.assets import Assets
from studio.keys import Key
from studio.permissions import ASSET, check_role, check_texts, check_yes, role_for
from studio.routes_common import Looking, Service, TheService
from studio.routes_jobs import JobAnswer, told

LEFT_OUT = frozenset({"serve"})  # the service does not start another one
REFUSALS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem} for code in (401, 403, 404, 409, 413, 422, 429, 507)
}  # fmt: skip


def actions_router() -> APIRouter:
    """An address for each row of the table; imports all their modules."""
    router = APIRouter(prefix="/actions", tags=["actions"])
    for row in ROWS:
        if row.name in LEFT_OUT:
            continue
        action = action_named(row.name)
        router.add_api_route(
            f"/{row.name}", _endpoint(action), methods=["POST"], summary=row.label, description=row.about,
            operation_id=row.name, response_model=None,
            responses={200: {"model": answer_kind(action.answer)}, 202: {"model": JobAnswer}, **REFUSALS},
        )  # fmt: skip
    return router


def _endpoint(action: Action[Any]) -> Callable[..., Any]:
    """A function with that action's own request as its body, which is all that FastAPI looks at."""

    def endpoint(
        body: Request, service: TheService, key: Looking, response: Response,
        plan: Annotated[bool, Query(description="only tell what would be done")] = False,
        yes: Annotated[bool, Query(description="go ahead with what cannot be undone")] = False,
        job: Annotated[bool, Query(description="make a job of it, however short it is")] = False,
    ) -> Any:  # fmt: skip
        return ask(service, key, action, body, response, plan=plan, yes=yes, as_job=job)

    signature = inspect.signature(endpoint, eval_str=True)
    parameters = [
        one.replace(annotation=action.request) if name == "body" else one for name, one in signature.parameters.items()
    ]  # fmt: skip
    endpoint.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return endpoint


def ask(
    service: Service, key: Key, action: Action[Any], request: Request, response: Response, *,
    plan: bool = False, yes: bool = False, as_job: bool = False,
) -> Any:  # fmt: skip
    """Plan, answer or queue what a request asks. Raises NotAllowed, TextRefused, YesWanted, and what the action raises."""
    check_texts(request.model_dump(mode="json"))
    check_role(key.role, role_for(action.name, request))
    request = with_assets(request, service.assets)
    job = service.job_of(action, request)
    if plan:
        planned = action.planned(job)
        return (
            hidden(dump(action.plan_answer(planned.plan)), service.home) if action.plan_answer and planned.plan is not None else {}
        )
    check_yes(action.grave(job), yes)
    if not (as_job or action.lasts(request)):
        return service.run_now(action, job)
    service.planned(action, job)  # what speaks against it is said now, not by a job
    response.status_code = 202
    return told(service.jobs.add(action, request, key.name), service)


def with_assets(request: Request, assets: Assets) -> Request:
    """The request with the files of uploads in place of `asset:ID`. Raises AssetUnknown."""
    changed: dict[str, Any] = {}
    for name in type(request).model_fields:
        value = getattr(request, name)
        if isinstance(value, tuple) and any(_is_asset(one) for one in value):
            changed[name] = tuple(_file_of(one, assets) for one in value)
        elif _is_asset(value):
            changed[name] = _file_of(value, assets)
    return request.model_copy(update=changed)


def _is_asset(value: object) -> bool:
    return isinstance(value, str | Path) and str(value).startswith(ASSET)


def _file_of(value: Any, assets: Assets) -> Any:
    if not _is_asset(value):
        return value
    file = assets.find(str(value))[1]
    return file if isinstance(value, Path) else str(file)
