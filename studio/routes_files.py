"""`/files/CLIENT/...`: what was made for a client, by the name that answers tell; nothing else of the disk can be reached."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import FileResponse

from client_folder.client import open_client
from studio.answers import Problem
from studio.routes_common import Looking, TheService
from utils import FolderMissing

# Pictures, what was trained, what was written down, archives; no record of ours with decisions or consents in it.
ENDINGS = frozenset({
    ".png", ".jpg", ".jpeg", ".webp", ".safetensors", ".zip", ".srt", ".vtt", ".txt", ".csv", ".html", ".svg",
})  # fmt: skip
SHOWN = frozenset({".png", ".jpg", ".jpeg", ".webp"})  # by a browser; all else is saved


def files_router() -> APIRouter:
    """One address."""
    router = APIRouter(prefix="/files", tags=["files"])

    @router.get("/{client}/{name:path}", response_class=FileResponse, responses={404: {"model": Problem}})
    def get_file(
        client: Annotated[str, Path(max_length=80)], name: Annotated[str, Path(max_length=400)],
        service: TheService, _key: Looking,
    ) -> FileResponse:  # fmt: skip
        """A file of a client: a portrait, a crop, a sheet, a LoRA."""
        folder = open_client(service.home, client).root.resolve()
        file = (folder / name).resolve() if "\0" not in name else folder
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts) if file.is_relative_to(folder) else True
        if hidden or file.suffix.lower() not in ENDINGS or not file.is_file():
            raise FolderMissing(path=name)
        kept = "inline" if file.suffix.lower() in SHOWN else "attachment"
        return FileResponse(
            file, filename=file.name, content_disposition_type=kept, headers={"cache-control": "private, max-age=60"}
        )

    return router
