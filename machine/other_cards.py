"""Cards that this program does not compute on: AMD's, Intel's, Apple's, and NVIDIA's whose driver does not answer.

Told of them is the maker, a name where the system knows it cheaply, and what can be done; nothing of theirs is loaded. Looked
for only where no NVIDIA card answers.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from locales.language import N_, Labelled

DRM = Path("/sys/class/drm")
_SECONDS = 10.0  # PowerShell's first start takes a few
_WINDOWS = "Get-CimInstance Win32_VideoController | Select-Object -Property Name | ConvertTo-Json -Compress"


class Maker(Labelled):
    """Who made a card, and what it can do here; PCI's numbers of makers are public."""

    english_use: str

    def __init__(self, code: str, label: str = "", use: str = "") -> None:
        super().__init__(code, label)
        self.english_use = use

    NVIDIA = (
        "nvidia", N_("NVIDIA"),
        N_("Its driver does not answer: install it, and start again. Until then this card is of no use here."),
    )  # fmt: skip
    AMD = (
        "amd", N_("AMD"),
        N_("Nothing here computes on AMD cards: SDXL cannot be trained, and the processor paints portraits, in many minutes each. "
           "ComfyUI paints on it, SimpleTuner trains on it (both on Linux, with ROCm)."),
    )  # fmt: skip
    INTEL = (
        "intel", N_("Intel"),
        N_("Nothing here computes on Intel graphics: SDXL cannot be trained, and the processor paints portraits, in many minutes "
           "each. ComfyUI paints on Intel's Arc cards."),
    )  # fmt: skip
    APPLE = (
        "apple", N_("Apple"),
        N_("Nothing here computes on Apple's chips: SDXL cannot be trained, and the processor paints portraits, in many minutes "
           "each. ComfyUI paints on them, SimpleTuner trains on them."),
    )  # fmt: skip

    @property
    def use(self) -> str:
        """What it can do, in English; shown translated."""
        return self.english_use


@dataclass(frozen=True, slots=True)
class OtherCard:
    """A card that is not computed on; the name is the maker's where the system tells no other."""

    maker: Maker
    name: str


_BY_PCI = {"0x10de": Maker.NVIDIA, "0x1002": Maker.AMD, "0x8086": Maker.INTEL}
_ORDER = tuple(_BY_PCI.values())  # a machine with a card of its own and a processor's graphics is told of the card first


@lru_cache(maxsize=1)
def find_other_cards() -> tuple[OtherCard, ...]:
    """The cards of this machine, those worth most first; empty where the system tells of none. Asked once a run."""
    system = platform.system()
    if system == "Darwin":
        chip = _said(("sysctl", "-n", "machdep.cpu.brand_string")) if platform.machine() == "arm64" else ""
        return (OtherCard(Maker.APPLE, chip),) if chip else ()
    found = _on_windows() if system == "Windows" else on_linux(DRM)
    return tuple(sorted(set(found), key=lambda card: (_ORDER.index(card.maker), card.name)))


def on_linux(drm: Path) -> list[OtherCard]:
    """The cards that the kernel lists below a folder such as /sys/class/drm; their names by lspci, where it is installed."""
    cards = []
    for card in sorted(drm.glob("card[0-9]*")):
        with suppress(OSError):
            device = card / "device"
            maker = _BY_PCI.get((device / "vendor").read_text(encoding="ascii").strip())
            if maker is not None and "-" not in card.name:  # card0-HDMI-A-1 is a plug of card0
                cards.append(OtherCard(maker, _name_by_lspci(device.resolve().name) or maker.label))
    return cards


def _name_by_lspci(slot: str) -> str:
    """ "Navi 31 [Radeon RX 7900 XTX]" of "03:00.0 VGA compatible controller: Advanced ... [AMD/ATI] Navi 31 [...] (rev c8)"."""
    line = _said(("lspci", "-s", slot))
    return line.partition(": ")[2].rpartition(" (rev")[0] or line.partition(": ")[2]


def _on_windows() -> list[OtherCard]:
    """What Windows lists; adapters of remote desktops and virtual machines are no cards."""
    cards = []
    with suppress(ValueError):
        told = json.loads(_said(("powershell", "-NoProfile", "-NonInteractive", "-Command", _WINDOWS)) or "[]")
        for row in told if isinstance(told, list) else [told]:
            name = str(row.get("Name") or "")
            maker = maker_of(name)
            if maker is not None:
                cards.append(OtherCard(maker, name))
    return cards


def maker_of(name: str) -> Maker | None:
    """Who makes an adapter of that name; None for one that is no card of these makers."""
    marks = ((Maker.NVIDIA, ("nvidia",)), (Maker.AMD, ("amd", "radeon")), (Maker.INTEL, ("intel",)))
    return next((maker for maker, words in marks if any(word in name.lower() for word in words)), None)


def _said(command: Sequence[str]) -> str:
    """The first line of what a program of the system prints; empty where it is not installed, fails or takes too long."""
    program = shutil.which(command[0])
    if program is None:
        return ""
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            (program, *command[1:]), stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8", errors="replace",
            timeout=_SECONDS, check=False,
        )  # fmt: skip
        return done.stdout.strip().partition("\n")[0] if done.returncode == 0 else ""
    return ""
