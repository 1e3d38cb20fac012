"""All addresses of the studio page."""

from __future__ import annotations

from fastapi import APIRouter

from studio.pages.client_pages import clients_router
from studio.pages.exam_pages import exam_router
from studio.pages.gallery_pages import gallery_router
from studio.pages.live_pages import jobs_page_router, training_events_router
from studio.pages.portrait_pages import portraits_router
from studio.pages.thumbnails import thumbnails_router


def page_router() -> APIRouter:
    """Pages, and the small pictures on them."""
    router = APIRouter(include_in_schema=False)
    parts = (
        clients_router, portraits_router, exam_router, jobs_page_router, training_events_router, gallery_router, thumbnails_router,
    )  # fmt: skip
    for part in parts:
        router.include_router(part())
    return router
