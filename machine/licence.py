"""The licence of InsightFace's models, asked once for the program: they are for non-commercial research only, however they were
downloaded; only a licence bought from InsightFace allows more.
"""

from __future__ import annotations

from pathlib import Path

from config import Settings, change_settings
from locales.language import N_, Labelled
from utils import PipelineError

LICENCE_QUESTION = N_("InsightFace's models are for non-commercial research only. What are they used for here?")


class LicenceRefused(PipelineError):
    """Facts: none. The answer was one that the licence does not allow."""

    message = N_(
        "InsightFace's models are not opened: they are for non-commercial research, and the answer here was: commercial work "
        "without a licence."
    )
    hint = N_(
        "Buy a licence from InsightFace and answer again: swap --licence licensed. Portraits with the LoRA need none of them."
    )
    menu_hint = N_(
        "With a licence bought from InsightFace, choose the same again: it asks anew. Portraits with the LoRA need none of them."
    )


class LicenceUnanswered(LicenceRefused):
    """Facts: none. Nobody was asked yet."""

    message = N_(
        "InsightFace's models are not opened: they are for non-commercial research only, and nobody said yet what they are used "
        "for here."
    )
    hint = N_("Answer once: --licence research, --licence licensed (one was bought), or --licence commercial (without one).")
    menu_hint = N_("Choose the same again, and answer what they are used for.")


class Use(Labelled):
    """The answers to: what are InsightFace's models used for here?"""

    RESEARCH = "research", N_("research, not commercial")
    LICENSED = "licensed", N_("commercial, with a licence bought from InsightFace")
    COMMERCIAL = "commercial", N_("commercial, without a licence")


def check_licence(settings: Settings) -> Use:
    """What InsightFace's models may be used for; raises LicenceRefused or LicenceUnanswered where they may not be opened."""
    if settings.insightface_use in (Use.RESEARCH.value, Use.LICENSED.value):
        return Use(settings.insightface_use)
    if settings.insightface_use == Use.COMMERCIAL.value:
        raise LicenceRefused()
    raise LicenceUnanswered()


def record_licence(home: Path, settings: Settings, use: str) -> Settings:
    """Keep the answer in the settings."""
    return settings if settings.insightface_use == use else change_settings(home, [f"insightface_use={use}"])
