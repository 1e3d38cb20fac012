"""Portraits of a client, and the client's face in other pictures: what is about to be done, and the stages that have it done.

Of a swap nothing is opened before two questions are answered: what InsightFace's models are used for, and whether the person
agreed.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client_folder.client import Client
from client_folder.consent import Consent, What, check_consent
from client_folder.reasons import Reason, Rejection
from config import Settings
from locales.language import N_, _
from machine.base_models import BaseKind, BaseModel, base_of, known_sha256, practice_caption
from machine.licence import Use, check_licence
from machine.model_process import ModelProcess, relay
from machine.models import require
from pictures.listing import list_pictures
from portraits.errors import RecipeRefused
from portraits.magic_prompt import MagicPrompt
from portraits.painter import paint_missing
from portraits.portrait import Portrait, PortraitJob, PortraitRequest, portrait_jobs
from portraits.prompts import PromptOptions, prompt_text_of, settle_prompts
from portraits.recipes import (
    DEFAULT_SEEDS,
    DEFAULT_WEIGHT,
    PipelineSetup,
    Recipe,
    RecipeChoice,
    check_weight,
    setup_of,
    size_of,
)
from portraits.sheet import write_sheet
from portraits.swapper import FaceFiles, SwapOrder, SwapRecord, Target, TargetFace, best_crops
from portraits.upscaler import choose_upscaler, enlarged_name, missing_order
from training.checkpoints import Checkpoint, choose_lora, exam_choice
from training.exam_choice import ExamChoice
from utils import (
    Event,
    FolderMissing,
    NotReady,
    PipelineError,
    Progress,
    read_record,
    sweep_parts,
    whole_png,
)

STAGE = "generate"
SWAP_STAGE = "swap"
MAX_SOURCES = 8  # of the client's photos, the best ones: their mean embedding is steadier than any one of them
SOFT_FROM = 2.0  # times the 128 pixels are enlarged, from which on the face is visibly softer than the picture
DIGEST_DIGITS = 12
MAX_SEED = 2**32 - 1  # what A1111 and ComfyUI take too
LEAST_DETAIL, MOST_DETAIL = 0.05, 0.9  # of the steps, in a pass over the finished picture
MAX_PORTRAITS = 2000  # of one request: more is a slip of the finger


class NoTargetFace(PipelineError):
    """Facts: path, problem."""

    message = N_("{path}: {problem}")
    hint = N_("swap --preview shows every face with its number.")
    menu_hint = N_("The same again, with Yes to only showing the faces, gives each its number.")


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """How the portraits are to look: size and after-steps. `aspect` as in `recipes.SIZES`, `side` in pixels of its square."""

    aspect: str = "1:1"
    side: int | None = None
    detail: float = 0.0
    upscaler: str = ""


@dataclass(frozen=True, slots=True)
class PortraitPlan:
    """What `generate` is about to do: `missing` of `total` portraits have to be painted, the others are on disk."""

    setup: PipelineSetup
    loras: tuple[Path, ...]
    requests: tuple[PortraitRequest, ...]
    prompts: tuple[MagicPrompt, ...]
    size: tuple[int, int]
    total: int
    missing: int
    negative_ignored: bool  # one was asked for, and the recipe cannot use it
    upscaler: Path | None = None
    exam_choice: ExamChoice | None = None  # that the exam chose the LoRA, for nobody named one

    @property
    def base(self) -> Path:
        """The base model."""
        return self.setup.files.base

    @property
    def practice(self) -> bool:
        """Whether the base is a practice model."""
        return self.setup.base.kind is BaseKind.EMBEDDED

    @property
    def recipe(self) -> Recipe:
        """How it is sampled."""
        return self.setup.recipe

    @property
    def trigger_added(self) -> int:
        """How many prompts did not name the client, and got the trigger word in front."""
        return sum(prompt.trigger_added for prompt in self.prompts)

    @property
    def lora(self) -> Path | None:
        """The first LoRA that is loaded."""
        return self.loras[0] if self.loras else None


@dataclass(frozen=True, slots=True)
class PortraitReport:
    """What `generate` leaves: the portraits in the order they were asked for, `painted` of them made now, and the sheet."""

    images: tuple[Portrait, ...]
    painted: int
    contact_sheet: Path
    enlarged: tuple[Path, ...] = ()
    trigger_added: int = 0  # prompts that did not name the client, and got the trigger word
    practice: bool = False  # painted by the practice model
    exam_choice: ExamChoice | None = None  # that the exam chose the LoRA, for nobody named one

    @property
    def chosen_by_exam(self) -> bool:
        """Whether the LoRA is the one that the exam chose, for nobody named one."""
        return self.exam_choice is not None


def plan_portraits(
    client: Client,
    settings: Settings,
    *,
    prompt_options: PromptOptions = PromptOptions(),  # noqa: B008 - frozen
    seeds: Sequence[int] = DEFAULT_SEEDS,
    loras: Sequence[str] = (),
    weights: Sequence[float] = (),
    choice: RecipeChoice = RecipeChoice(),  # noqa: B008 - frozen
    image_options: ImageOptions = ImageOptions(),
) -> PortraitPlan:
    """Settle a request for every LoRA and weight, with the same prompts and seeds; a weight of 0 is the base alone, for comparison.

    Where no LoRA is named, it is the one that the exam chose, and where no weight is, the one that the exam found best for it.
    Raises NotReady where a LoRA is wanted and none was trained, NoCheckpoint or TornCheckpoint where the named one cannot be used,
    BrokenFile, ModelMissing where a model is not there, RecipeRefused for what cannot work.
    """
    by_exam = exam_choice(client) if not any(loras) and any(weights or (DEFAULT_WEIGHT,)) else None
    usual = (by_exam.weight if by_exam else DEFAULT_WEIGHT,)
    weights = tuple(dict.fromkeys(map(check_weight, weights or usual)))
    # Before any model is missed: nobody downloads a base for a LoRA that does not fit it.
    chosen = tuple(choose_lora(client, name) for name in dict.fromkeys(loras or ("",))) if any(weights) else ()
    _check_kinds(base_of(client, settings, choice.base), chosen)
    setup = setup_of(client, settings, choice)
    size = size_of(image_options.aspect, setup.base.native_px, image_options.side)
    _check(seeds, image_options)
    prompts = settle_prompts(client, setup, prompt_options)
    prompt_texts = tuple(dict.fromkeys(prompt_text_of(prompt, prompt_options, setup.recipe) for prompt in prompts))
    files, seeds = tuple(lora.path for lora in chosen), tuple(dict.fromkeys(seeds))
    requests = tuple(
        PortraitRequest(prompt_texts, seeds, file, weight, size, image_options.detail) for file, weight in _weighted(files, weights)
    )
    pieces = _portrait_jobs(client, setup, requests)
    _check_count(len(pieces))
    return PortraitPlan(
        setup, files, requests, prompts, size, len(pieces), sum(not whole_png(piece.file) for piece in pieces),
        negative_ignored=not setup.recipe.negative and bool(prompt_options.negative),
        upscaler=choose_upscaler(client.home, settings, image_options.upscaler) if image_options.upscaler else None,
        exam_choice=by_exam,
    )  # fmt: skip


def generate(
    client: Client, _settings: Settings, plan: PortraitPlan, model_process: ModelProcess | None = None
) -> Generator[Event, None, PortraitReport]:
    """Paint what is missing of a plan into the client's output, and lay all of it out on a contact sheet of its own."""
    pieces = _portrait_jobs(client, plan.setup, plan.requests)
    painted = sum(not whole_png(piece.file) for piece in pieces)
    with contextlib.ExitStack() as owned:
        model_process = model_process or owned.enter_context(ModelProcess())
        images = yield from paint_missing(client.output, pieces, STAGE, model_process)
        enlarged = yield from _enlarge(plan.upscaler, images, model_process)
    sheet = write_sheet(client, images, caption=practice_caption(plan.setup.base.kind))
    return PortraitReport(images, painted, sheet, enlarged, plan.trigger_added, plan.practice, plan.exam_choice)


def random_seeds(count: int) -> tuple[int, ...]:
    """Seeds that nobody chose; they stand in the portraits, so that each can be painted again."""
    return tuple(secrets.randbelow(MAX_SEED) + 1 for _ in range(count))


# --- the parts of a plan ----------------------------------------------------------------------------------------------
def _check_count(count: int) -> None:
    """Raises RecipeRefused for more portraits than anybody means."""
    if count > MAX_PORTRAITS:
        raise RecipeRefused(
            problem=_("{count} portraits at once.").format(count=count), cure=_("Ask for fewer prompts, seeds or weights.")
        )


def _weighted(files: Sequence[Path], weights: Sequence[float]) -> list[tuple[Path | None, float]]:
    """Every LoRA at every weight, after the base alone where a weight is 0."""
    alone: list[tuple[Path | None, float]] = [(None, 0.0)] if 0 in weights else []
    return alone + [(file, weight) for file in files for weight in weights if weight]


def _check(seeds: Sequence[int], image_options: ImageOptions) -> None:
    """Raises RecipeRefused for what no model can take."""
    wrong = next((seed for seed in seeds if not 0 <= seed <= MAX_SEED), None)
    if wrong is not None:
        raise RecipeRefused(
            problem=_("seed {seed}.").format(seed=wrong),
            cure=_("Seeds are whole numbers from 0 to {highest}.").format(highest=MAX_SEED),
        )
    if not (image_options.detail == 0 or LEAST_DETAIL <= image_options.detail <= MOST_DETAIL):
        raise RecipeRefused(
            problem=_("detail pass of {share:g}.").format(share=image_options.detail), cure=_("From 0.05 to 0.9; 0.3 is usual.")
        )


def _check_kinds(base: BaseModel, loras: Sequence[Checkpoint]) -> None:
    """Raises RecipeRefused for a LoRA of another kind of base than the one that would be painted with; BaseMissing for no base."""
    if not base.preload:  # what can be downloaded is known without being here
        base.require()
    for lora in loras:
        if lora.base_kind not in (None, base.kind):
            raise RecipeRefused(
                problem=_("{lora} was trained on another kind of base model than {base}.").format(
                    lora=lora.path.name, base=base.name
                ),
                cure=_("Paint with the base it was trained on, or train on this one first."),
            )


def _portrait_jobs(client: Client, setup: PipelineSetup, requests: Sequence[PortraitRequest]) -> list[PortraitJob]:
    pieces = (piece for request in requests for piece in portrait_jobs(client.output, setup, request))
    return list({piece.file: piece for piece in pieces}.values())


def _enlarge(
    model: Path | None, images: Sequence[Portrait], model_process: ModelProcess
) -> Generator[Event, None, tuple[Path, ...]]:
    """The enlargements of the portraits, those that are missing made now."""
    if model is None:
        return ()
    files = [image.file for image in images]
    order = missing_order(model, files)
    if order.files:
        yield from relay(model_process.ask("upscale", order), "upscale")
    return tuple(enlarged_name(file, model) for file in files)


# --- face swap --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class FaceChoice:
    """Which face of a target is replaced: `client`, `like` (a reference photo), `all`, or `numbers`."""

    mode: str = "client"
    numbers: tuple[int, ...] = ()
    reference: Path | None = None


@dataclass(frozen=True, slots=True)
class SwapPlan:
    """What `swap` is about to do; `missing` of the targets have no result yet."""

    order: SwapOrder
    use: Use
    consent: Consent
    missing: int
    preview: bool


@dataclass(frozen=True, slots=True)
class Swapped:
    """One picture with the client's face; `soft` where the swap's 128 pixels were enlarged more than looks good."""

    file: Path
    target: str
    replaced: tuple[int, ...]
    similarity: float
    enlarged: float

    @property
    def soft(self) -> bool:
        """Whether the face is softer than the picture around it."""
        return self.enlarged >= SOFT_FROM


@dataclass(frozen=True, slots=True)
class Previewed:
    """The faces of a picture with more than one, and the picture that shows their numbers."""

    target: str
    file: Path
    faces: tuple[TargetFace, ...]


@dataclass(frozen=True, slots=True)
class SwapReport:
    """What `swap` leaves: pictures made or found, what was refused and why, previews, and the device that computed."""

    images: tuple[Swapped, ...]
    refused: tuple[Rejection, ...]
    previews: tuple[Previewed, ...]
    device: str
    made: int
    preview: bool = False  # only the faces were to be shown


def read_choice(text: str, reference: Path | None) -> FaceChoice:
    """`client`, `all`, or numbers as `1,3`; a reference photo means the face that is like it. Raises RecipeRefused."""
    if reference is not None:
        if not reference.is_file():
            raise FolderMissing(path=reference)
        return FaceChoice("like", reference=reference)
    if text in ("client", "all"):
        return FaceChoice(text)
    if re.fullmatch(r"\s*\d{1,3}(\s*,\s*\d{1,3})*\s*", text) and "0" not in [number.strip() for number in text.split(",")]:
        return FaceChoice("numbers", tuple(dict.fromkeys(int(number) for number in text.split(","))))
    raise RecipeRefused(
        problem=_('"{text}" names no face.').format(text=text), cure=_("client, all, or numbers from the preview such as 1,3")
    )


def plan_swap(
    client: Client, settings: Settings, targets: Sequence[Path], choice: FaceChoice, *, preview: bool = False
) -> SwapPlan:  # fmt: skip
    """Raises LicenceRefused or ConsentMissing first, then ModelMissing, NotReady, FolderMissing, NoTargetFace."""
    use, consent = check_licence(settings), check_consent(client, What.FACE_SWAP)
    files = _files(client, settings)
    sources = best_crops(client)[:MAX_SOURCES]
    if not sources:
        raise NotReady(step=_("The face swap"), reason=_("no crop has passed yet"))
    pictures = [picture for target in targets for picture in _pictures_of(target)]
    if not pictures:
        raise NoTargetFace(path=targets[0] if targets else "-", problem=_("there is no picture."))
    facts = {
        "use": use.value,
        "consent": consent.recorded,
        "choice": choice.mode,
        "sources": [known_sha256(path) for path in sources],
    }
    jobs = tuple(_target(client, picture, choice, facts, files) for picture in dict.fromkeys(pictures))
    order = SwapOrder(
        files=files, sources=sources, targets=jobs, choice=choice.mode, numbers=choice.numbers, reference=choice.reference
    )
    return SwapPlan(order, use, consent, sum(not whole_png(job.result) for job in jobs), preview)


def swap_faces(
    client: Client, _settings: Settings, plan: SwapPlan, model_process: ModelProcess | None = None
) -> Generator[Event, None, SwapReport]:  # fmt: skip
    """Put the client's face into every target that has no result yet, or only show the faces where the plan is a preview."""
    client.swaps.mkdir(parents=True, exist_ok=True)
    sweep_parts(client.swaps)
    here = () if plan.preview else tuple(job for job in plan.order.targets if whole_png(job.result))
    missing = tuple(job for job in plan.order.targets if job not in here)
    items: list[dict[str, Any]] = []
    device = ""
    if missing:
        with contextlib.ExitStack() as owned:
            model_process = model_process or owned.enter_context(ModelProcess())
            order = plan.order.model_copy(update={"targets": missing})
            end = yield from relay(model_process.ask("faces" if plan.preview else "swap", order), SWAP_STAGE, items)
        if end.get("no_source"):
            raise NoTargetFace(path=client.processed, problem=_("InsightFace finds no face in the client's crops."))
        device = str(end.get("device", ""))
    yield Progress(SWAP_STAGE, len(plan.order.targets), len(plan.order.targets))
    return _report(here, items, device, plan.preview)


# --- the parts of a plan ----------------------------------------------------------------------------------------------
def _files(client: Client, settings: Settings) -> FaceFiles:
    """Where the models lie; raises NotDownloaded."""
    analysis, swapper = require(("buffalo_l", "inswapper_128"), client.home, settings)
    return FaceFiles(analysis=analysis.parent, swapper=swapper)


def _pictures_of(target: Path) -> tuple[Path, ...]:
    """The picture itself, or every picture of a folder; raises FolderMissing."""
    path = target.expanduser()
    if not path.exists():
        raise FolderMissing(path=path)
    return (path,) if path.is_file() else list_pictures(path)


def _target(client: Client, picture: Path, choice: FaceChoice, facts: dict[str, Any], files: FaceFiles) -> Target:
    """A target with the names of what comes of it, which follow from all that its pixels depend on."""
    own = known_sha256(picture)
    reference = known_sha256(choice.reference) if choice.reference else ""
    parts = [own, *facts["sources"], choice.mode, str(choice.numbers), reference, known_sha256(files.swapper)]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:DIGEST_DIGITS]
    stem = re.sub(r"[^\w-]+", "_", picture.stem)[:60]
    return Target(
        source=picture, result=client.swaps / f"{stem}_{digest}.png",
        preview=client.swaps / f"{stem}_{own[:DIGEST_DIGITS]}_faces.png",
        record={**facts, "target": picture.name, "target_sha256": own, "models": {"inswapper_128": known_sha256(files.swapper)}},
    )  # fmt: skip


# --- the report -------------------------------------------------------------------------------------------------------
def _report(here: Sequence[Target], items: Sequence[dict[str, Any]], device: str, preview: bool) -> SwapReport:
    """What was made now and, from the records beside them, what an earlier run made."""
    images: list[Swapped] = []
    for job in here:
        record = read_record(job.result.with_suffix(".json"), SwapRecord)
        similarity = max((face.similarity for face in record.faces if face.number in record.replaced), default=0.0)
        images.append(Swapped(job.result, job.source.name, record.replaced, similarity, record.enlarged))
    refused, previews = [], []
    for item in items:
        name = Path(item["source"]).name
        if "file" in item:
            replaced = tuple(item["replaced"])
            similarity = max((face["similarity"] for face in item["faces"] if face["number"] in replaced), default=0.0)
            images.append(Swapped(Path(item["file"]), name, replaced, similarity, item["enlarged"]))
        if "refused" in item:
            refused.append(Rejection(file=item["source"], source=name, reason=Reason(item["refused"])))
        if "preview" in item:
            faces = tuple(TargetFace.model_validate(face) for face in item["faces"])
            previews.append(Previewed(name, Path(item["preview"]), faces))
    return SwapReport(tuple(images), tuple(refused), tuple(previews), device, len(images) - len(here), preview)
