"""All addresses of the studio page."""

from __future__ import annotations

from fastapi import APIRouter

from studio.pages.client_pages import clients_router
from studio.pages.thumbnails import thumbnails_router


def page_router() -> APIRouter:
    """Pages, and the small pictures on them."""
    router = APIRouter(include_in_schema=False)
    for part in (clients_router, thumbnails_router):
        router.include_router(part())
    return router
