"""The client's face in other pictures: what is about to be done, and the stage that has it done.

Nothing is opened before two questions are answered: what InsightFace's models are used for, and whether the person agreed.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client_folder.client import Client
from client_folder.consent import Consent, What, check_consent
from client_folder.reasons import Reason, Rejection
from client_folder.records import Source, Verdict
from config import Settings
from locales.language import _
from machine.errors import NoTargetFace, RecipeRefused
from machine.licence import Use, check_licence
from machine.model_process import Workshop, relay
from machine.models import Found, find
from pictures.picture_file import list_pictures
from portraits.swapper import FaceFiles, SeenFace, SwapOrder, SwapRecord, Target
from utils import Event, FolderMissing, ModelMissing, NotReady, Progress, known_sha256, read_record, sweep_parts

STAGE = "swap"
MAX_SOURCES = 8  # of the client's photos, the best ones: their mean embedding is steadier than any one of them
SOFT_FROM = 2.0  # times the 128 pixels are enlarged, from which on the face is visibly softer than the picture
DIGEST_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Choice:
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
    faces: tuple[SeenFace, ...]


@dataclass(frozen=True, slots=True)
class SwapReport:
    """What `swap` leaves: pictures made or found, what was refused and why, previews, and the device that computed."""

    images: tuple[Swapped, ...]
    refused: tuple[Rejection, ...]
    previews: tuple[Previewed, ...]
    device: str
    made: int
    preview: bool = False  # only the faces were to be shown


def read_choice(text: str, reference: Path | None) -> Choice:
    """`client`, `all`, or numbers as `1,3`; a reference photo means the face that is like it. Raises RecipeRefused."""
    if reference is not None:
        if not reference.is_file():
            raise FolderMissing(path=reference)
        return Choice("like", reference=reference)
    if text in ("client", "all"):
        return Choice(text)
    if re.fullmatch(r"\s*\d{1,3}(\s*,\s*\d{1,3})*\s*", text) and "0" not in [number.strip() for number in text.split(",")]:
        return Choice("numbers", tuple(dict.fromkeys(int(number) for number in text.split(","))))
    raise RecipeRefused(
        problem=_('"{text}" names no face.').format(text=text), cure=_("client, all, or numbers from the preview such as 1,3")
    )


def plan_swap(
    client: Client, settings: Settings, targets: Sequence[Path], choice: Choice, *, preview: bool = False
) -> SwapPlan:  # fmt: skip
    """Raises LicenceRefused or ConsentMissing first, then ModelMissing, NotReady, FolderMissing, NoTargetFace."""
    use, consent = check_licence(settings), check_consent(client, What.FACE_SWAP)
    files = _files(client, settings)
    sources = _best_crops(client)
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
    return SwapPlan(order, use, consent, sum(not job.result.exists() for job in jobs), preview)


def swap_faces(
    client: Client, _settings: Settings, plan: SwapPlan, workshop: Workshop | None = None
) -> Generator[Event, None, SwapReport]:  # fmt: skip
    """Put the client's face into every target that has no result yet, or only show the faces where the plan is a preview."""
    client.swaps.mkdir(parents=True, exist_ok=True)
    sweep_parts(client.swaps)
    here = () if plan.preview else tuple(job for job in plan.order.targets if job.result.exists())
    missing = tuple(job for job in plan.order.targets if job not in here)
    items: list[dict[str, Any]] = []
    device = ""
    if missing:
        with contextlib.ExitStack() as owned:
            shop = workshop or owned.enter_context(Workshop())
            order = plan.order.model_copy(update={"targets": missing})
            end = yield from relay(shop.ask("faces" if plan.preview else "swap", order), STAGE, items)
        if end.get("no_source"):
            raise NoTargetFace(path=client.processed, problem=_("InsightFace finds no face in the client's crops."))
        device = str(end.get("device", ""))
    yield Progress(STAGE, len(plan.order.targets), len(plan.order.targets))
    return _report(here, items, device, plan.preview)


# --- the parts of a plan ----------------------------------------------------------------------------------------------
def _files(client: Client, settings: Settings) -> FaceFiles:
    """Where the models lie; raises ModelMissing."""
    found = {name: find(name, client.home, settings) for name in ("buffalo_l", "inswapper_128")}
    for one in found.values():
        if not one.here:
            raise ModelMissing(model=f"{one.model.title} (models preload {one.model.name})")
    return FaceFiles(analysis=_path(found["buffalo_l"]).parent, swapper=_path(found["inswapper_128"]))


def _path(found: Found) -> Path:
    assert found.path is not None
    return found.path


def _best_crops(client: Client) -> tuple[Path, ...]:
    """The best accepted crops: photos before MidJourney images, then what was enlarged least, then what is sharpest."""

    def rank(face: Verdict) -> tuple[bool, float, float, str]:
        upscale, sharpness = face.measures.get("upscale", 1.0), face.measures.get("sharpness", 0.0)
        return (face.source is not Source.REAL, max(1.0, upscale), -sharpness, face.crop)

    return tuple(client.processed / face.crop for face in sorted(client.crops(), key=rank)[:MAX_SOURCES])


def _pictures_of(target: Path) -> tuple[Path, ...]:
    """The picture itself, or every picture of a folder; raises FolderMissing."""
    path = target.expanduser()
    if not path.exists():
        raise FolderMissing(path=path)
    return (path,) if path.is_file() else list_pictures(path)


def _target(client: Client, picture: Path, choice: Choice, facts: dict[str, Any], files: FaceFiles) -> Target:
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
    images = [_known(job) for job in here]
    images += [_swapped(item) for item in items if "file" in item]
    refused = tuple(
        Rejection(file=item["source"], source=Path(item["source"]).name, reason=Reason(item["refused"]))
        for item in items
        if "refused" in item
    )
    previews = tuple(
        Previewed(Path(item["source"]).name, Path(item["preview"]), tuple(SeenFace.model_validate(face) for face in item["faces"]))
        for item in items
        if "preview" in item
    )
    return SwapReport(tuple(images), refused, previews, device, sum("file" in item for item in items), preview)


def _swapped(item: dict[str, Any]) -> Swapped:
    replaced = tuple(item["replaced"])
    alike = max((face["similarity"] for face in item["faces"] if face["number"] in replaced), default=0.0)
    return Swapped(Path(item["file"]), Path(item["source"]).name, replaced, alike, item["enlarged"])


def _known(job: Target) -> Swapped:
    """What the record beside a result of an earlier run tells."""
    record = read_record(job.result.with_suffix(".json"), SwapRecord)
    alike = max((face.similarity for face in record.faces if face.number in record.replaced), default=0.0)
    return Swapped(job.result, job.source.name, record.replaced, alike, record.enlarged)
