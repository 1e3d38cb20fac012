"""`/docs`: every address on one page of plain HTML, out of the OpenAPI at `/openapi.json`; nothing is loaded from elsewhere."""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from locales.language import N_, _, spoken
from studio.routes_common import Looking

TITLE = N_("Addresses of this service")
SCHEMA = N_("As OpenAPI, for programs: {link}")


def docs_router() -> APIRouter:
    """The page, and the OpenAPI itself, both for whoever has a key."""
    router = APIRouter(include_in_schema=False)

    @router.get("/openapi.json")
    def schema(request: Request, _key: Looking) -> dict[str, Any]:
        """The OpenAPI of this service."""
        found: dict[str, Any] = request.app.openapi()
        return found

    @router.get("/docs")
    def page(request: Request, _key: Looking) -> HTMLResponse:
        """The addresses as a table."""
        return HTMLResponse(_page(request.app.openapi()))

    return router


def _page(schema: dict[str, Any]) -> str:
    rows = [
        f"<tr><td>{method.upper()}</td><td><code>{escape(path)}</code></td><td>{escape(_about(facts))}</td></tr>"
        for path, methods in schema["paths"].items()
        for method, facts in methods.items()
    ]
    link = '<a href="/openapi.json">/openapi.json</a>'
    return (
        f'<!doctype html><html lang="{spoken()}"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<title>{escape(_(TITLE))}</title><link rel="stylesheet" href="/static/service.css"><main>'
        f"<h1>{escape(_(TITLE))}</h1><p>{escape(_(SCHEMA)).format(link=link)}</p><table>{''.join(rows)}</table></main></html>"
    )


def _about(facts: dict[str, Any]) -> str:
    """What an address does: of an action its row of the table, in the user's language."""
    summary = facts.get("summary", "")
    return (
        f"{_(summary)}. {_(facts.get('description', ''))}"
        if "actions" in facts.get("tags", ())
        else facts.get("description", summary)
    )
