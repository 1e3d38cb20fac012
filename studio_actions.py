"""The actions of portraits, face swaps, transcripts, models and the GPU."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import downloads
import face_swap
import generation
import language
import transcription
from action_table import Action, Answer, Ask, Job, Option, Stage, at_once
from checkpoints import list_checkpoints
from config import Settings
from consent import Use, What, check_licence, has_consent, record_consent, record_licence
from gpu import GPUState, find_gpus
from language import N_
from models import USUAL, WHISPER_SIZES, Allows, Found, list_models, model_named
from recipes import BASE_SAMPLERS, DEFAULT_SEEDS, DEFAULT_WEIGHT, RECIPES, SIZES, Wish, base_of, default_prompts, is_embedded
from studio_errors import NoTargetFace
from styles import load_styles
from utils import PipelineError
from workshop import WorkshopStatus

USUAL_PICK, OWN_PICK, ALL_LORAS = "usual", "own", "all"
MOST_SEEDS = 64


def _path(text: str) -> Path:
    return Path(text.strip().strip("\"'")).expanduser()


def _weights(text: str) -> tuple[float, ...]:
    """Weights with commas or blanks between them."""
    try:
        return tuple(float(word) for word in text.replace(",", " ").split())
    except ValueError as error:
        raise ArgumentTypeError(f"0.8 / 0.7,0.85,1: {error}") from error


def _seeds(text: str) -> tuple[int, ...]:
    """Seeds with commas or blanks between them, or `random:4` for four that are drawn now."""
    kind, _colon, count = text.partition(":")
    try:
        if kind.strip() != "random":
            return tuple(int(word) for word in text.replace(",", " ").split())
        drawn = int(count or 1)
    except ValueError as error:
        raise ArgumentTypeError(f"11,12 / random:4: {error}") from error
    if not 1 <= drawn <= MOST_SEEDS:
        raise ArgumentTypeError(f"random:1 - random:{MOST_SEEDS}")
    return generation.random_seeds(drawn)


def _flat(lists: Sequence[Sequence[Any]] | None) -> tuple[Any, ...]:
    return tuple(value for values in lists or () for value in values)


# --- portraits --------------------------------------------------------------------------------------------------------
def _recommended(job: Job) -> tuple[str, ...]:
    return default_prompts(job.who.id, job.who.state().class_word, is_embedded(base_of(job.who, job.settings)))


def _picks(job: Job) -> list[tuple[str, str]]:
    """What the menu offers to paint: the recommended prompts of this client, together or one of them, or one's own."""
    ready = [(str(number), prompt) for number, prompt in enumerate(_recommended(job), 1)]
    return [
        (USUAL_PICK, language._("the recommended prompts, with the usual settings")),
        *ready,
        (OWN_PICK, language._("a prompt of my own")),
    ]


def _prompts(job: Job) -> tuple[str, ...]:
    options = job.options
    prompts = tuple(options.prompt or ())
    if options.prompt_file:
        prompts += generation.read_prompts(options.prompt_file)
    if options.transcript:
        prompts += (generation.read_transcript(job.who, options.transcript),)
    if not prompts and options.pick and options.pick.isdigit():
        ready = _recommended(job)
        prompts = (ready[min(int(options.pick), len(ready)) - 1],)
    return prompts


def _loras(job: Job) -> tuple[str, ...]:
    names = tuple(job.options.lora or ())
    if ALL_LORAS in names:
        return tuple(checkpoint.path.name for checkpoint in list_checkpoints(job.who) if checkpoint.whole)
    return tuple(name for name in names if name)


def _plan_portraits(job: Job) -> generation.PortraitPlan:
    options = job.options
    words = generation.Words(_prompts(job), options.negative or "", options.style or "", options.magic)
    return generation.plan_portraits(
        job.who, job.settings, words=words, seeds=_flat(options.seed) or DEFAULT_SEEDS, loras=_loras(job),
        weights=_flat(options.weight) or (DEFAULT_WEIGHT,),
        wish=Wish(options.recipe, options.steps, options.cfg, options.sampler or ""),
        look=generation.Look(options.aspect, options.side, options.detail or 0.0, options.upscale or ""),
    )  # fmt: skip


def _plan_portraits_answer(plan: generation.PortraitPlan) -> Answer:
    return {
        "base": str(plan.base), "lora": plan.lora and str(plan.lora), "total": plan.total, "missing": plan.missing,
        "recipe": {**asdict(plan.recipe), "unet": plan.studio.files.unet and str(plan.studio.files.unet)},
        "width": plan.size[0], "height": plan.size[1],
        "prompts": [asdict(prompt) for prompt in plan.prompts],
    }  # fmt: skip


def _generate(job: Job) -> Stage:
    return generation.generate(job.who, job.settings, job.plan, job.workshop)


def _generate_answer(report: generation.PortraitReport) -> Answer:
    images = [
        {"file": str(image.file), "seed": image.seed, "lora": image.lora, "weight": image.weight, "prompt": image.prompt}
        for image in report.images
    ]
    return {
        "images": images, "contact_sheet": str(report.contact_sheet), "painted": report.painted,
        "enlarged": [str(file) for file in report.enlarged],
    }  # fmt: skip


def _details(job: Job) -> bool:
    """Whether the menu asks for more than what to paint."""
    return job.options.pick != USUAL_PICK


def _styles(job: Job) -> list[tuple[str, str]]:
    spoken = language.spoken()
    return [("none", language._("no style")), *((name, style.label(spoken)) for name, style in load_styles(job.home).items())]


def _checkpoints(job: Job) -> list[tuple[str, str]]:
    """The newest first; and all of them, side by side."""
    names = [checkpoint.path.stem for checkpoint in list_checkpoints(job.who) if checkpoint.whole]
    return [
        ("", language._("the newest finished one")),
        *((name, name) for name in reversed(names)),
        (ALL_LORAS, language._("all of them, side by side")),
    ]


_WEIGHT_HELP = N_("Weight of the LoRA, 0.7 to 1.0; 0 paints without it; several with commas make a grid:")
_SEED_HELP = N_("Seeds, with commas between them, or random:4 for four new ones:")
_STYLE_HELP = N_("Style:")
_RECIPE_LABELS = {
    "auto": N_("what fits this machine"),
    "base": N_("SDXL in full quality"),
    "lightning-4": N_("SDXL-Lightning in 4 steps"),
    "lightning-8": N_("SDXL-Lightning in 8 steps"),
}
_MAGIC_HELP = N_("Magic prompt: add words of light, lens and quality; Spanish is put into English?")

GENERATE = Action(
    "generate", _generate, _generate_answer, plan=_plan_portraits, plan_answer=_plan_portraits_answer,
    options=(
        Option("--pick", N_("What shall be painted?"), Ask.CHOICE, offer=_picks, metavar="N"),
        Option("--prompt", N_("Prompt:"), Ask.TEXT, repeatable=True, metavar="TEXT", when=lambda job: job.options.pick == OWN_PICK),
        Option("--prompt-file", N_("file of prompts, one a line"), read=_path, metavar="FILE"),
        Option("--transcript", N_("transcript of the client, used as a prompt"), metavar="NAME"),
        Option("--style", _STYLE_HELP, Ask.CHOICE, offer=_styles, metavar="NAME", when=_details),
        Option("--magic", _MAGIC_HELP, Ask.CHOICE, False, switch=True, when=_details),
        Option("--negative", N_("what must not be seen"), metavar="TEXT"),
        Option("--recipe", N_("Recipe:"), Ask.CHOICE, "auto", choices=RECIPES, labels=_RECIPE_LABELS,
               when=lambda job: _details(job) and not is_embedded(base_of(job.who, job.settings))),
        Option("--steps", N_("steps of a base, 20 to 30"), read=int, metavar="N"),
        Option("--cfg", N_("guidance of a base, 7 to 8 is usual"), read=float, metavar="X"),
        Option("--sampler", N_("sampler of a base"), choices=BASE_SAMPLERS),
        Option("--lora", N_("Checkpoint:"), Ask.CHOICE, offer=_checkpoints, repeatable=True, metavar="NAME",
               when=lambda job: _details(job) and sum(one.whole for one in list_checkpoints(job.who)) > 1),
        Option("--weight", _WEIGHT_HELP, Ask.TEXT, read=_weights, repeatable=True, metavar="X", when=_details),
        Option("--seed", _SEED_HELP, Ask.TEXT, read=_seeds, repeatable=True, metavar="N", when=_details),
        Option("--aspect", N_("Width to height:"), Ask.CHOICE, "1:1", choices=tuple(SIZES), when=_details),
        Option("--side", N_("side in pixels of the square of the same area"), read=int, metavar="PX"),
        Option("--detail", N_("paint it over at 1.5 times the size: share of the walk, such as 0.3"), read=float, metavar="X"),
        Option("--upscale", N_("enlarge with this model of models/upscalers"), metavar="NAME"),
    ),
)  # fmt: skip


# --- face swap --------------------------------------------------------------------------------------------------------
def _answered(job: Job) -> Settings:
    """Keep what the user answered to the two questions; the settings with it."""
    options = job.options
    settings = record_licence(job.home, job.settings, options.licence) if options.licence else job.settings
    if options.consent:
        record_consent(job.who, What.FACE_SWAP, options.consent)
    return settings


def _plan_swap(job: Job) -> face_swap.SwapPlan:
    options = job.options
    choice = face_swap.read_choice(options.face, options.like)
    return face_swap.plan_swap(job.who, _answered(job), options.targets, choice, preview=options.preview)


def _plan_swap_answer(plan: face_swap.SwapPlan) -> Answer:
    return {
        "use": plan.use.value, "consent": plan.consent.by, "targets": [str(target.source) for target in plan.order.targets],
        "missing": plan.missing, "sources": [path.name for path in plan.order.sources],
    }  # fmt: skip


def _swap(job: Job) -> Stage:
    return face_swap.swap_faces(job.who, job.settings, job.plan, job.workshop)


def _swap_answer(report: face_swap.SwapReport) -> Answer:
    images = [
        {
            "file": str(one.file), "target": one.target, "replaced": list(one.replaced), "similarity": one.similarity,
            "enlarged": one.enlarged, "soft": one.soft,
        }
        for one in report.images
    ]  # fmt: skip
    previews = [
        {"target": one.target, "file": str(one.file), "faces": [face.model_dump() for face in one.faces]} for one in report.previews
    ]
    refused = [{"file": one.source, "reason": one.reason.value} for one in report.refused]
    return {"images": images, "refused": refused, "previews": previews, "device": report.device, "made": report.made}


def _nothing_swapped(report: face_swap.SwapReport) -> PipelineError | None:
    if report.images or not report.refused or (report.preview and report.previews):
        return None
    return NoTargetFace(path=report.refused[0].source, problem=language._("no face was replaced; the reason of each is listed."))


_LICENCE_HELP = N_("InsightFace's models are for non-commercial research only. What are they used for here?")
_CONSENT_HELP = N_("Did the person agree to have the face put into pictures? Say who agreed, how and when:")
_FACE_HELP = N_("Which face: client (the one most like the client), all, or numbers such as 1,3:")
_USES = {use.value: use.english_label for use in Use}

SWAP = Action(
    "swap", _swap, _swap_answer, plan=_plan_swap, plan_answer=_plan_swap_answer, verdict=_nothing_swapped,
    options=(
        Option("targets", N_("Picture, or folder of pictures, that get the client's face:"), Ask.PATH, read=_path, nargs="+"),
        Option("--licence", _LICENCE_HELP, Ask.CHOICE, choices=tuple(_USES), labels=_USES,
               when=lambda job: job.settings.insightface_use not in (Use.RESEARCH.value, Use.LICENSED.value)),
        Option("--consent", _CONSENT_HELP, Ask.TEXT, metavar="TEXT", when=lambda job: not has_consent(job.who, What.FACE_SWAP)),
        Option("--preview", N_("Only show the faces with their numbers?"), Ask.CHOICE, False, switch=True),
        Option("--face", _FACE_HELP, Ask.TEXT, "client", metavar="WHICH", when=lambda job: not job.options.preview),
        Option("--like", N_("photo of the person whose face is to be replaced"), read=_path, metavar="FILE"),
    ),
)  # fmt: skip


# --- transcripts ------------------------------------------------------------------------------------------------------
def _plan_transcripts(job: Job) -> transcription.TranscriptPlan:
    options = job.options
    return transcription.plan_transcripts(
        job.who, job.settings, options.recordings, model=options.model, language=options.spoken or "", device=options.device
    )  # fmt: skip


def _plan_transcripts_answer(plan: transcription.TranscriptPlan) -> Answer:
    return {"recordings": [str(file) for file in plan.recordings], "model": str(plan.folder), "missing": plan.missing}


def _transcribe(job: Job) -> Stage:
    return transcription.transcribe(job.who, job.settings, job.plan, job.workshop)


def _transcribe_answer(report: transcription.TranscriptReport) -> Answer:
    files = [str(one.file.with_suffix(kind)) for one in report.transcripts for kind in transcription.FORMATS]
    languages = list(dict.fromkeys(one.language for one in report.transcripts))
    return {
        "files": files, "language": languages[0] if len(languages) == 1 else languages, "made": report.made,
        "transcripts": [{**asdict(one), "file": str(one.file)} for one in report.transcripts],
    }  # fmt: skip


TRANSCRIBE = Action(
    "transcribe", _transcribe, _transcribe_answer, plan=_plan_transcripts, plan_answer=_plan_transcripts_answer,
    options=(
        Option("recordings", N_("Audio or video file, or a folder of them:"), Ask.PATH, read=_path, nargs="+"),
        Option("--model", N_("Model (larger hears better and takes longer):"), Ask.CHOICE, transcription.DEFAULT_MODEL,
               offered=WHISPER_SIZES, metavar="SIZE"),
        # Not --language, which is the program's own.
        Option("--spoken", N_("Language that is spoken, such as es (empty: found by itself):"), Ask.TEXT, metavar="CODE"),
        Option("--device", N_("auto, cpu or gpu"), default="auto", choices=transcription.DEVICES),
    ),
)  # fmt: skip


# --- models and the GPU -----------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class ModelList:
    """Every model of the table."""

    models: tuple[Found, ...]


@dataclass(frozen=True, slots=True)
class Freed:
    """The models whose memory was given back."""

    models: tuple[str, ...]


def _names(job: Job) -> tuple[str, ...]:
    return tuple(job.options.names) or USUAL


def _plan_preload(job: Job) -> downloads.PreloadPlan:
    if any(model_named(name).allows is Allows.RESEARCH for name in _names(job)):
        check_licence(record_licence(job.home, job.settings, job.options.licence) if job.options.licence else job.settings)
    return downloads.plan_preload(job.home, job.settings, _names(job))


def _plan_preload_answer(plan: downloads.PreloadPlan) -> Answer:
    missing = [{"name": one.model.name, "bytes": one.model.bytes} for one in plan.models]
    return {"missing": missing, "here": list(plan.here), "bytes": plan.bytes, "free": plan.free}


def _models(job: Job) -> Stage:
    if job.options.verb == "preload":
        return (yield from downloads.preload(job.plan))
    if job.options.verb == "free":
        return Freed(job.workshop.close())
    return ModelList(list_models(job.home, job.settings))


def _models_answer(report: ModelList | Freed | downloads.PreloadReport) -> Answer:
    if isinstance(report, ModelList):
        return {"models": [_model_answer(found) for found in report.models]}
    if isinstance(report, Freed):
        return {"freed": list(report.models)}
    return {"fetched": list(report.fetched), "here": list(report.here), "checked": report.checked}


def _model_answer(found: Found) -> Answer:
    model = found.model
    return {
        "name": model.name, "title": model.title, "source": model.source, "revision": model.revision, "bytes": model.bytes,
        "licence": model.licence, "allows": model.allows.value, "vram_gb": model.vram_gb, "here": found.here,
        "path": found.path and str(found.path), "place": str(found.place), "page": model.page,
        "files": [asdict(file) for file in (*model.archives, *model.files)],
    }  # fmt: skip


_VERBS = {
    "list": N_("show them"),
    "preload": N_("download what is missing"),
    "free": N_("free the memory that models hold"),
}
MODELS = Action(
    "models", _models, _models_answer, needs_client=False, changes=False,
    plan=_plan_preload, plan_answer=_plan_preload_answer, plans=lambda job: job.options.verb == "preload", long=True,
    options=(
        Option("verb", N_("What to do with the models:"), Ask.CHOICE, "list", choices=tuple(_VERBS), labels=_VERBS, nargs="?"),
        Option("names", N_("Models to download (empty: the usual ones):"), Ask.TEXT, (), nargs="*", metavar="NAME",
               when=lambda job: job.options.verb == "preload"),
        Option("--licence", _LICENCE_HELP, choices=tuple(_USES)),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class GPUs:
    """The GPUs of this machine, none is an answer too; what our own worker holds of them."""

    gpus: tuple[GPUState, ...]
    worker: WorkshopStatus


def _gpus(job: Job) -> GPUs:
    return GPUs(find_gpus(), job.workshop.status())


# What works on a processor alone, and what does not: said where there is no GPU.
WITHOUT_GPU = {
    "embedded": N_("the embedded model: training and portraits"),
    "faces": N_("import, faces, dataset"),
    "swap": N_("face swaps, in seconds each"),
    "transcribe": N_("transcripts"),
    "sdxl": N_("portraits with SDXL, in many minutes each"),
}


def _gpus_answer(report: GPUs) -> Answer:
    return {**asdict(report), "works_without": [] if report.gpus else list(WITHOUT_GPU)}


GPU = Action("gpu", at_once(_gpus), _gpus_answer, needs_client=False, changes=False)

ACTIONS = (GENERATE, SWAP, TRANSCRIBE, MODELS, GPU)
