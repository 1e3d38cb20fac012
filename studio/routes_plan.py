"""The addresses of the plan for a web product, with its field names, so that its front end works; each goes by our own actions.

What differs from the plan stands in docs/service.md.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Body, Response
from pydantic import BaseModel, ConfigDict, Field

from actions.table import action_named
from client_folder.client import Client, last_used_first, open_client
from config import VERSION
from locales.language import N_, _
from machine.gpu import find_gpus
from portraits.clip_tokens import estimate
from portraits.magic_prompt import enhance
from portraits.styles import style_named
from studio.answers import Problem, file_url
from studio.assets import decoded
from studio.avatars import chosen_portraits, client_meant
from studio.job_records import JobState
from studio.keys import Key, Role
from studio.permissions import ASSET, check_role, check_texts, role_for
from studio.routes_actions import REFUSALS, with_assets
from studio.routes_common import Looking, Service, TheService, Working
from studio.routes_jobs import JobAnswer, JobName, told

MOST_WAIT_SECONDS = 600.0
USUAL_WAIT_SECONDS = 300.0
MOST_IMAGE_BYTES = 12 << 20
NOBODY = "ohwx"  # a trigger word for magic where no client is named; it is taken out again
STATUS_OF = {
    JobState.WAITING: "queued", JobState.RUNNING: "processing", JobState.DONE: "completed", JobState.FAILED: "failed",
    JobState.STOPPED: "cancelled",
}  # fmt: skip
NO_FILMS = N_("Films are not made yet: this program paints portraits.")
NO_FILMS_CURE = N_("Portraits are made with POST /generate-image, subtitles of a recording with POST /actions/transcribe.")
QUEUED = N_("It waits for its turn; ask GET /api/jobs/ID how it stands.")


Prompt = Annotated[str, Field(min_length=1, max_length=2000)]
AvatarName = Annotated[str, Field(max_length=80, description="id of an avatar; empty: the client used last")]
Wait = Annotated[
    float, Field(ge=0, le=MOST_WAIT_SECONDS, description="seconds to wait for the picture; then it is told by the job")
]
Encoded = Annotated[str, Field(max_length=MOST_IMAGE_BYTES * 4 // 3 + 100, description="a data URL, or plain base64")]


class PlanBody(BaseModel):
    """What the plan's front end sends beside what is known is left alone."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ImageWish(PlanBody):
    """`POST /generate-image`."""

    prompt: Prompt
    avatar: AvatarName = ""
    negative_prompt: Annotated[str, Field(max_length=2000)] = ""
    style: Annotated[str, Field(max_length=80)] = ""
    aspect: str = "1:1"
    seed: Annotated[int | None, Field(ge=0, le=2**32 - 1)] = None
    steps: Annotated[int | None, Field(ge=1, le=200)] = None
    magic: bool = False
    wait: Wait = USUAL_WAIT_SECONDS


class PromptWish(PlanBody):
    """`POST /magic-prompt`."""

    prompt: Prompt
    avatar: Annotated[str, Field(max_length=80, description="id of an avatar; empty: nobody's")] = ""
    style: Annotated[str, Field(max_length=80)] = ""


class SwapWish(PlanBody):
    """`POST /face-swap`. The face is always a client's, of whom there is consent; a `source_image` is not looked at."""

    target_image: Encoded
    avatar: AvatarName = ""
    source_image: Encoded = ""
    face: Annotated[str, Field(max_length=40)] = "client"
    wait: Wait = USUAL_WAIT_SECONDS


class Health(BaseModel):
    """`GET /`."""

    status: str = "online"
    mode: str = "local"
    version: str = VERSION
    docs: str = "/docs"


class GPUStatus(BaseModel):
    """`GET /gpu-status`, memory in GB (2^30 bytes); null: the driver does not tell."""

    status: str
    device: str = ""
    vram_total: float = 0.0
    vram_used: float | None = None
    vram_free: float | None = None
    vram_allocated: float = 0.0
    vram_reserved: float = 0.0
    utilization: int | None = None
    temperature: int | None = None
    loaded_models: list[str] = []
    cuda_version: str = ""
    programs: list[dict[str, Any]] = []


class Avatar(BaseModel):
    """A client: `img` is the first favourite, else the newest portrait."""

    id: str
    name: str
    img: str = ""
    portraits: list[str] = []


class Avatars(BaseModel):
    """`GET /avatars`."""

    status: str = "success"
    avatars: list[Avatar]


class PaintedImage(BaseModel):
    """A picture, or the job that will make it."""

    status: str = "success"
    job_id: str
    image: str = ""
    url: str = ""
    prompt: str = ""
    seed: int | None = None
    message: str = ""


class BetterPrompt(BaseModel):
    """What magic made of a prompt; `cut` is what the text encoder will not read."""

    status: str = "success"
    original_prompt: str
    prompt: str
    enhanced_prompt: str
    negative_prompt: str
    subject: str
    tokens: int
    cut: str = ""


class JobStatus(BaseModel):
    """`GET /api/jobs/ID` in the plan's words; `created_at` is in seconds since 1970, `progress` in percent of a stage."""

    id: str
    job_id: str
    status: str
    type: str
    created_at: float
    progress: int = 0
    message: str = ""
    url: str = ""
    error: str = ""


def update_of(job: JobAnswer) -> dict[str, Any]:
    """A job in the plan's words."""
    percent = 100 if job.state is JobState.DONE else job.progress.percent if job.progress else 0
    return JobStatus(
        id=job.id, job_id=job.id, status=STATUS_OF[job.state], type=job.action, progress=percent,
        created_at=datetime.fromisoformat(job.created).timestamp(), message=job.progress.item if job.progress else "",
        url=next(iter(job.made), ""), error=job.problem.error if job.problem else "",
    ).model_dump()  # fmt: skip


_router = APIRouter(tags=["plan"])


@_router.get("/")
def health(_key: Looking) -> Health:
    """Whether the service is there."""
    return Health()


@_router.get("/gpu-status")
def gpu_status(service: TheService, _key: Looking) -> GPUStatus:
    """The card with the most memory, what it holds, and the models that this service's jobs hold."""
    return _gpu_status(service)


@_router.get("/avatars")
def avatars(service: TheService, _key: Looking) -> Avatars:
    """Clients and their chosen portraits."""
    return Avatars(avatars=[_avatar(client, service.home) for client in last_used_first(service.home)])


@_router.post("/generate-image", responses={202: {"model": PaintedImage}, **REFUSALS})
async def generate_image(wish: ImageWish, service: TheService, key: Working, response: Response) -> PaintedImage:
    """Paint one portrait; answers with the picture, or with its job where that takes longer than `wait`."""
    job = await to_thread.run_sync(lambda: _painting(service, key, wish))
    return await _awaited(service, job, wish.wait, response, _painted)


@_router.post("/magic-prompt", responses=REFUSALS)
def magic_prompt(wish: PromptWish, service: TheService, _key: Looking) -> BetterPrompt:
    """A short prompt made into one that SDXL paints well, by rules, without a model."""
    return _better(service, wish)


@_router.post("/face-swap", responses={202: {"model": PaintedImage}, **REFUSALS})
async def face_swap(wish: SwapWish, service: TheService, key: Working, response: Response) -> PaintedImage:
    """Put a client's face into a picture."""
    asset = await service.assets.take("target.png", decoded(wish.target_image), key.name)
    try:
        job = await to_thread.run_sync(lambda: _swapping(service, key, wish, asset.id))
    except BaseException:
        service.assets.remove(asset.id)
        raise
    answer = await _awaited(service, job, wish.wait, response, _swapped)
    if response.status_code != 202:
        await to_thread.run_sync(lambda: service.assets.remove(asset.id))
    return answer


@_router.post("/render-video", status_code=501, responses={501: {"model": Problem}, **REFUSALS})
@_router.post("/render-multi-scene", status_code=501, responses={501: {"model": Problem}, **REFUSALS})
def render(_key: Working, _body: Annotated[dict[str, Any] | None, Body()] = None) -> Problem:
    """Films are not made yet."""
    return Problem(message=_(NO_FILMS), error=_(NO_FILMS), hint=_(NO_FILMS_CURE), code="no_films")


@_router.get("/api/jobs/{job}", responses={404: {"model": Problem}})
def job_status(job: JobName, service: TheService, _key: Looking) -> JobStatus:
    """How it stands with a job, in the plan's words."""
    return JobStatus(**update_of(told(service.jobs.find(job), service)))


def plan_router() -> APIRouter:
    """All of the plan's addresses but its assets."""
    return _router


def _gpu_status(service: Service) -> GPUStatus:
    gpu = max(find_gpus(), key=lambda one: one.total_gb, default=None)
    if gpu is None:
        return GPUStatus(status="offline")
    ours = sum(one.memory_gb for one in gpu.processes if one.pid in _own_processes())
    running = [job for job in service.jobs.all_jobs() if job.state is JobState.RUNNING]
    return GPUStatus(
        status="online", device=gpu.name, vram_total=round(gpu.total_gb, 2), vram_used=_rounded(gpu.used_gb),
        vram_free=_rounded(gpu.free_gb), vram_allocated=round(ours, 2), vram_reserved=round(ours, 2),
        utilization=gpu.utilisation, temperature=gpu.temperature, cuda_version=gpu.cuda,
        loaded_models=[f"{job.action} ({job.client})" if job.client else job.action for job in running],
        programs=[{"program": one.program, "memory": round(one.memory_gb, 2)} for one in gpu.processes],
    )  # fmt: skip


def _own_processes() -> frozenset[int]:
    import psutil

    return frozenset(child.pid for child in psutil.Process().children(recursive=True))


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 2)


def _avatar(client: Client, home: Path) -> Avatar:
    urls = [file_url(path, home) for path in chosen_portraits(client)]
    return Avatar(id=client.id, name=client.display_name, img=next(iter(urls), ""), portraits=urls)


def _painting(service: Service, key: Key, wish: ImageWish) -> str:
    action = action_named("generate")
    given = {
        "prompt": (wish.prompt,), "negative": wish.negative_prompt, "style": wish.style, "aspect": wish.aspect, "magic": wish.magic,
        "steps": wish.steps,
    }  # fmt: skip
    seeds = {"count": 1} if wish.seed is None else {"seed": (wish.seed,)}
    request = action.request.model_validate({"client": client_meant(service.home, wish.avatar), **given, **seeds})
    return _queued(service, key, request, "generate")


def _swapping(service: Service, key: Key, wish: SwapWish, asset: str) -> str:
    action = action_named("swap")
    request = action.request.model_validate(
        {"client": client_meant(service.home, wish.avatar), "targets": (f"{ASSET}{asset}",), "face": wish.face}
    )
    return _queued(service, key, request, "swap")


def _queued(service: Service, key: Key, request: Any, name: str) -> str:
    """The job of a request that is allowed and can be planned."""
    action = action_named(name)
    check_texts(request.model_dump(mode="json"))
    check_role(key.role, max(Role.WORK, role_for(name, request), key=lambda role: role.rank))
    request = with_assets(request, service.assets)
    service.planned(action, service.job_of(action, request))
    return service.jobs.add(action, request, key.name).id


async def _awaited(
    service: Service, job: str, wait: float, response: Response, made: Callable[[Service, JobAnswer], PaintedImage]
) -> PaintedImage:  # fmt: skip
    """The picture of a job once it is there, else the job."""
    until = time.monotonic() + wait
    while not service.jobs.find(job).state.over and time.monotonic() < until:
        await asyncio.sleep(0.1)
    answer = await to_thread.run_sync(lambda: told(service.jobs.find(job), service))
    if not answer.state.over:
        response.status_code = 202
        return PaintedImage(job_id=job, message=_(QUEUED))
    if answer.state is not JobState.DONE:
        response.status_code = 409
        return PaintedImage(status="error", job_id=job, message=answer.problem.error if answer.problem else answer.state.value)
    return await to_thread.run_sync(lambda: made(service, answer))


def _painted(service: Service, job: JobAnswer) -> PaintedImage:
    image = (job.answer or {})["images"][0]
    picture = service.home / image["file"]
    return PaintedImage(
        job_id=job.id, image=_data_url(picture), url=file_url(picture, service.home), prompt=image["prompt"], seed=image["seed"]
    )


def _swapped(service: Service, job: JobAnswer) -> PaintedImage:
    picture = service.home / (job.answer or {})["images"][0]["file"]
    return PaintedImage(job_id=job.id, image=_data_url(picture), url=file_url(picture, service.home))


def _data_url(picture: Path) -> str:
    kind = "jpeg" if picture.suffix.lower() in (".jpg", ".jpeg") else picture.suffix[1:].lower()
    return f"data:image/{kind};base64,{base64.b64encode(picture.read_bytes()).decode()}"


def _better(service: Service, wish: PromptWish) -> BetterPrompt:
    check_texts(wish.model_dump())
    client = open_client(service.home, wish.avatar) if wish.avatar else None
    trigger, word = (client.id, client.state().class_word) if client else (NOBODY, "person")
    style = style_named(service.home, wish.style) if wish.style else None
    made = enhance(wish.prompt, trigger, word, estimate, style=style)
    prompt = made.prompt if client else made.prompt.replace(f"{NOBODY} ", "")
    return BetterPrompt(
        original_prompt=wish.prompt, prompt=prompt, enhanced_prompt=prompt, negative_prompt=made.negative, subject=made.subject,
        tokens=made.tokens, cut=made.cut,
    )  # fmt: skip
