"""The cards that trainings are planned for: memory, architecture and speed of each, none of them measured here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Architecture = Literal["turing-gtx", "turing", "ampere", "ada", "blackwell", "cpu"]


@dataclass(frozen=True, slots=True)
class GPUProfile:
    """What training on a GPU needs to know of it. `seconds_per_step` is at 1024 px, batch 1, with gradient checkpointing."""

    name: str
    vram_gb: float
    architecture: Architecture
    seconds_per_step: float


# None of these was measured by this program on a card. Five speeds are the original plan's own hours for 2000 steps, which contain
# its accumulation of gradients: 11, 5, 4.5, 4 and 3.5 h come to 4.4, 4.5, 4.05, 3.6 and 3.15 s a picture of 1024 px. All others
# follow the memory bandwidth of the card (its maker's figure, GB/s): the plan's four RTX cards move about 970 GB a picture.
_GB_A_PICTURE = 970.0


def seconds_by_bandwidth(bandwidth_gb_s: float) -> float:
    """Seconds a picture of 1024 px, for a card that moves so many GB a second: an estimate."""
    return round(_GB_A_PICTURE / bandwidth_gb_s, 2)


def _cards(architecture: Architecture, rows: str) -> tuple[GPUProfile, ...]:
    """The profiles of rows `MODEL | GB | GB/s`, or `MODEL | GB | =SECONDS` where the plan has the card."""
    cards = []
    for model, vram, speed in ([word.strip() for word in row.split("|")] for row in rows.split(";")):
        seconds = float(speed[1:]) if speed.startswith("=") else seconds_by_bandwidth(float(speed))
        cards.append(GPUProfile(f"{model} {vram}GB", float(vram), architecture, seconds))
    return tuple(cards)


GPU_PROFILES = (
    *_cards(
        "turing-gtx",
        "GTX 1630|4|96; GTX 1650|4|=4.4; GTX 1650 SUPER|4|192; GTX 1660|6|192; GTX 1660 SUPER|6|336; GTX 1660 Ti|6|288",
    ),
    *_cards(
        "turing",
        "RTX 2060|6|336; RTX 2060|12|336; RTX 2060 SUPER|8|448; RTX 2070|8|448; RTX 2070 SUPER|8|448; RTX 2080|8|448;"
        "RTX 2080 SUPER|8|496; RTX 2080 Ti|11|616; TITAN RTX|24|672; Tesla T4|15|320",
    ),
    *_cards(
        "ampere",
        "RTX 3050|6|168; RTX 3050|8|=4.5; RTX 3060|8|=4.05; RTX 3060|12|360; RTX 3060 Ti|8|448; RTX 3070|8|448; RTX 3070 Ti|8|608;"
        "RTX 3080|10|760; RTX 3080|12|912; RTX 3080 Ti|12|912; RTX 3090|24|936; RTX 3090 Ti|24|1008; RTX A2000|6|288;"
        "RTX A2000|12|288; RTX A4000|16|448; RTX A4500|20|640; RTX A5000|24|768; RTX A6000|48|768; A10|24|600",
    ),
    *_cards(
        "ada",
        "RTX 4050|6|192; RTX 4060|8|=3.6; RTX 4060 Ti|8|288; RTX 4060 Ti|16|=3.15; RTX 4070|12|504; RTX 4070 SUPER|12|504;"
        "RTX 4070 Ti|12|504; RTX 4070 Ti SUPER|16|672; RTX 4080|16|717; RTX 4080 SUPER|16|736; RTX 4090|24|1008;"
        "RTX 4000 Ada|20|360; RTX 6000 Ada|48|960; L4|24|300; L40S|48|864",
    ),
    *_cards(
        "blackwell",
        "RTX 5050|8|320; RTX 5060|8|448; RTX 5060 Ti|8|448; RTX 5060 Ti|16|448; RTX 5070|12|672; RTX 5070 Ti|16|896;"
        "RTX 5080|16|960; RTX 5090|32|1792; RTX PRO 6000|96|1792",
    ),
    GPUProfile("CPU", 0, "cpu", 900.0),
)
