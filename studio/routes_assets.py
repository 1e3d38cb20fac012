"""`/api/assets`: files that a caller hands in, to be named in requests as `asset:ID`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, HTTPException, Path, Query, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel
from starlette.datastructures import UploadFile as Upload

from studio.answers import Problem
from studio.assets import ASSET_ID, Asset
from studio.permissions import check_texts
from studio.routes_common import Looking, TheService, Working

AssetName = Annotated[str, Path(max_length=40, pattern=ASSET_ID, description="the id of an upload")]
CHUNK_BYTES = 1 << 20
MOST_FILES = 50  # of one form


class AssetList(BaseModel):
    """Uploads, the newest first."""

    status: str = "success"
    assets: list[Asset]
    assets_count: int


class AssetTaken(BaseModel):
    """What was taken in; `asset` is how a request names the first of them."""

    status: str = "success"
    asset: str
    assets: list[Asset]
    assets_count: int


_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object", "required": ["file"],
                    "properties": {
                        "file": {"type": "array", "items": {"type": "string", "format": "binary"}, "maxItems": MOST_FILES}
                    },
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}  # fmt: skip


_router = APIRouter(prefix="/api/assets", tags=["assets"])


@_router.get("")
def list_assets(service: TheService, _key: Looking) -> AssetList:
    """Every upload."""
    found = service.assets.all_assets()
    return AssetList(assets=found, assets_count=len(found))


@_router.post(
    "", openapi_extra=_FORM, responses={code: {"model": Problem} for code in (409, 413, 422, 507)}, status_code=200
)  # fmt: skip
async def take_asset(
    request: Request, service: TheService, key: Working,
    name: Annotated[str, Query(max_length=200, description="of a file that is sent as it is, without a form")] = "",
) -> AssetTaken:  # fmt: skip
    """Take in pictures, an archive, a recording or a list of prompts: a form with `file`, or the bytes with `?name=`."""
    check_texts(name)
    taken: list[Asset] = []
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        async with request.form(max_files=MOST_FILES, max_fields=10, max_part_size=1 << 16) as form:
            for upload in [one for _field, one in form.multi_items() if isinstance(one, Upload)]:
                check_texts(upload.filename or "")
                taken.append(await service.assets.take(upload.filename or "", _chunks(upload), key.name))
    elif name:
        taken.append(await service.assets.take(name, request.stream(), key.name))
    if not taken:
        raise HTTPException(422, "file")
    count = await to_thread.run_sync(lambda: len(service.assets.all_assets()))
    return AssetTaken(asset=f"asset:{taken[0].id}", assets=taken, assets_count=count)


@_router.get("/{asset}", responses={404: {"model": Problem}}, response_class=FileResponse)
def get_asset(asset: AssetName, service: TheService, _key: Looking) -> FileResponse:
    """The file itself."""
    record, file = service.assets.find(asset)
    return FileResponse(file, filename=record.name, content_disposition_type="attachment")


@_router.delete("/{asset}", responses={404: {"model": Problem}})
def remove_asset(asset: AssetName, service: TheService, _key: Working) -> Asset:
    """Remove an upload; what was imported of it stays."""
    return service.assets.remove(asset)


def assets_router() -> APIRouter:
    """Lists, uploads, contents, removal."""
    return _router


async def _chunks(upload: Upload) -> AsyncIterator[bytes]:
    while chunk := await upload.read(CHUNK_BYTES):
        yield chunk
