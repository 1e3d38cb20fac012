"""What GPU is here and what holds its memory, asked from the driver through NVML; no CUDA context is made.

A driver may answer a part of what it is asked (WSL2, laptops, virtual GPUs): what it keeps back is None or empty, and nothing else
is lost.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from machine.cards import GPU_PROFILES, Architecture, GPUProfile, seconds_by_bandwidth

CPU = next(profile for profile in GPU_PROFILES if profile.architecture == "cpu")
_GIB = 2**30
_SAME_GB, _SAME_SHARE = 1.0, 0.08  # a card reports a little less than it is sold with; with error correction (L4, L40S) 6 % less
_DESKTOP_SHARE = 0.1  # of the memory, taken as held where the driver does not tell what is free
_KNOWN = tuple(profile for profile in GPU_PROFILES if profile.architecture != "cpu")


@dataclass(frozen=True, slots=True)
class GPUProcess:
    """A program that holds memory of a GPU, in GiB; 0 where the driver does not tell (Windows)."""

    pid: int
    memory_gb: float
    program: str = ""  # empty where the system does not tell, as of a process outside this container


@dataclass(frozen=True, slots=True)
class GPUState:
    """One GPU at this moment. Memory in GiB, utilisation in percent, temperature in degrees Celsius.

    What the driver does not answer is None, empty, or (0, 0); `total_gb` is then what cards of that name are sold with, else 0.
    """

    name: str
    driver: str
    capability: tuple[int, int]  # CUDA compute capability
    total_gb: float
    used_gb: float | None
    free_gb: float | None
    utilisation: int | None
    temperature: int | None
    processes: tuple[GPUProcess, ...] = ()
    uuid: str = ""  # the card's own name, the same in every program
    cuda: str = ""  # the newest CUDA the driver can run
    bandwidth_gb_s: float | None = None  # of its memory, GB (10^9 bytes) a second

    @property
    def room_gb(self) -> float:
        """What is free; where the driver does not tell, all but what a desktop usually takes."""
        return self.free_gb if self.free_gb is not None else self.total_gb * (1 - _DESKTOP_SHARE)

    @property
    def key(self) -> str:
        """What tells it from other cards, fit for a file's name."""
        return self.uuid or re.sub(r"\W+", "-", self.name)


def find_gpus() -> tuple[GPUState, ...]:
    """Every NVIDIA GPU; empty where there is no driver, or one that names no card."""
    try:
        import pynvml
    except ImportError:
        return ()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        driver = _text(_ask("nvmlSystemGetDriverVersion", default=""))
        handles = [_ask("nvmlDeviceGetHandleByIndex", index) for index in range(_ask("nvmlDeviceGetCount", default=0))]
        return tuple(_state(handle, driver) for handle in handles if handle is not None)
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _ask(query: str, *about: Any, default: Any = None) -> Any:
    """What the driver answers to one query; the default where it, or an older binding, does not answer that one."""
    import pynvml

    try:
        return getattr(pynvml, query)(*about)
    except (pynvml.NVMLError, AttributeError):
        return default


def _state(handle: Any, driver: str) -> GPUState:
    import pynvml

    name = _text(_ask("nvmlDeviceGetName", handle, default="NVIDIA GPU"))
    memory = _ask("nvmlDeviceGetMemoryInfo", handle)
    capability = _ask("nvmlDeviceGetCudaComputeCapability", handle, default=(0, 0))
    cuda = int(_ask("nvmlSystemGetCudaDriverVersion_v2", default=0))  # 13020 is 13.2
    load = _ask("nvmlDeviceGetUtilizationRates", handle)
    return GPUState(
        name=name,
        driver=driver,
        capability=(capability[0], capability[1]),
        total_gb=memory.total / _GIB if memory else _sold_with(name),
        used_gb=memory.used / _GIB if memory else None,
        free_gb=memory.free / _GIB if memory else None,
        utilisation=load.gpu if load else None,
        temperature=_ask("nvmlDeviceGetTemperature", handle, pynvml.NVML_TEMPERATURE_GPU),
        cuda=f"{cuda // 1000}.{cuda % 1000 // 10}" if cuda else "",
        processes=_processes(handle),
        uuid=_text(_ask("nvmlDeviceGetUUID", handle, default="")),
        bandwidth_gb_s=_bandwidth(handle),
    )


def _bandwidth(handle: Any) -> float | None:
    """GB a second: the width of the bus, twice a cycle of the memory's clock (RTX 4090: 384 bit, 10501 MHz, 1008 GB/s)."""
    import pynvml

    bits = _ask("nvmlDeviceGetMemoryBusWidth", handle)
    megahertz = _ask("nvmlDeviceGetMaxClockInfo", handle, getattr(pynvml, "NVML_CLOCK_MEM", 2))
    return 2 * megahertz * 1e6 * bits / 8 / 1e9 if bits and megahertz else None


def _processes(handle: Any) -> tuple[GPUProcess, ...]:
    """Who computes on a card, and who draws with it; the same process may do both, and holds what it holds once."""
    import psutil

    found = {process.pid: process for process in _ask("nvmlDeviceGetComputeRunningProcesses", handle, default=())}
    # A card without graphics, as in a server, has none of the other kind.
    found = {process.pid: process for process in _ask("nvmlDeviceGetGraphicsRunningProcesses", handle, default=())} | found
    named = []
    for process in found.values():
        program = ""
        with suppress(psutil.Error):
            program = psutil.Process(process.pid).name()
        named.append(GPUProcess(process.pid, (process.usedGpuMemory or 0) / _GIB, program))
    return tuple(sorted(named, key=lambda process: -process.memory_gb))


def _text(value: str | bytes) -> str:
    """Older bindings answer in bytes."""
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value


def largest_gpu() -> GPUState | None:
    """The GPU with the most memory, which is the one that trains; None where there is none."""
    return max(find_gpus(), key=lambda gpu: gpu.total_gb, default=None)


# --- profiles ---------------------------------------------------------------------------------------------------------
def profile_here() -> GPUProfile:
    """The profile of the GPU with the most memory, the processor's where there is none."""
    gpu = largest_gpu()
    return profile_of(gpu) if gpu else CPU


def profile_of(gpu: GPUState) -> GPUProfile:
    """The known profile of a GPU by its name and memory; else one made of what it says of itself.

    The speed of an unknown GPU follows the bandwidth of its memory or, where the driver does not tell that, is that of the slowest
    known card of about its memory: a guess that a first run corrects.
    """
    for profile in _of_model(gpu.name):
        if _same_memory(profile, gpu.total_gb):
            return profile
    like = nearest_profile(gpu.total_gb)
    seconds = seconds_by_bandwidth(gpu.bandwidth_gb_s) if gpu.bandwidth_gb_s else like.seconds_per_step
    # Rounded, so that the same card gives the same plan whatever a driver reserves.
    return GPUProfile(gpu.name, float(round(gpu.total_gb)), _architecture(gpu), seconds)


def profile_named(name: str) -> GPUProfile | None:
    """The card that a user means: "RTX 4090 24GB", "rtx 3070", "4070 ti", "3060 12"; or any name with its memory ("Foo 20 GB").

    Of a card sold with several sizes of memory the smallest is taken where none is said. None where nothing is known or told.
    """
    told = re.sub(r"(?i)\b(nvidia|geforce)\b", " ", name).strip()
    found = re.fullmatch(r"(?i)(?P<model>.+?)[\s,]+(?P<gb>\d{1,3}(?:\.\d)?)\s*(?P<unit>gi?b)?", told)
    for model, gb in ((told, None), (found["model"], float(found["gb"])) if found else (told, None)):
        meant = {f"{series}{_plain(model)}" for series in ("", "rtx", "gtx", "tesla")}
        named = [profile for profile in _KNOWN if _plain(_model(profile)) in meant]
        fitting = [profile for profile in named if gb is None or _same_memory(profile, gb)]
        if fitting:
            return min(fitting, key=lambda profile: abs(profile.vram_gb - gb) if gb else profile.vram_gb)
    if _plain(told) == "cpu":
        return CPU
    if found is None or not found["unit"]:
        return None
    gb = float(found["gb"])
    like = nearest_profile(gb)
    architecture = _architecture_by_name(found["model"]) or like.architecture
    return GPUProfile(f"{found['model'].strip()} {gb:g}GB (~ {like.name})", gb, architecture, like.seconds_per_step)


def names_like(name: str, most: int = 3) -> tuple[str, ...]:
    """The names of known cards that look most like a name nobody knows."""
    import difflib

    plain = {_plain(profile.name): profile.name for profile in _KNOWN}
    return tuple(plain[found] for found in difflib.get_close_matches(_plain(name), plain, most, 0.3))


def nearest_profile(total_gb: float) -> GPUProfile:
    """The slowest known card whose memory is nearest to that: where nothing else is known of one, it is not promised too much."""
    nearest = min(abs(profile.vram_gb - total_gb) for profile in _KNOWN)
    as_large = [profile for profile in _KNOWN if abs(profile.vram_gb - total_gb) == nearest]
    return max(as_large, key=lambda profile: profile.seconds_per_step)


def _same_memory(profile: GPUProfile, gb: float) -> bool:
    return abs(profile.vram_gb - gb) <= max(_SAME_GB, _SAME_SHARE * profile.vram_gb)


def _of_model(name: str) -> list[GPUProfile]:
    """The profiles whose model a driver's name says, the longest name first: a "4060 Ti" is also a "4060"."""
    return sorted((one for one in _KNOWN if _is_model(_model(one), name)), key=lambda one: -len(_model(one)))


def _sold_with(name: str) -> float:
    """The least memory that cards of a name are sold with, in GB; 0 where it is not known."""
    return min((profile.vram_gb for profile in _of_model(name)), default=0.0)


def _model(profile: GPUProfile) -> str:
    """ "RTX 4060 Ti" of "RTX 4060 Ti 16GB"."""
    return profile.name.rsplit(" ", 1)[0]


def _plain(name: str) -> str:
    """A name as people type it in as many ways: "rtx4060ti16gb"."""
    return re.sub(r"[\s_-]+", "", name.lower())


def _is_model(model: str, name: str) -> bool:
    """Whether a driver's name says that model: a "4060 Ti" is no "4060", a "4080 SUPER" no "4080"."""
    words, sought = name.split(), model.split()
    variants = {"Ti", "SUPER"} - set(sought)
    return any(words[at : at + len(sought)] == sought for at in range(len(words))) and not variants & set(words)


def _architecture(gpu: GPUState) -> Architecture:
    """By compute capability. Older than Turing counts as Turing: no bf16; Hopper counts as Ada: both have bf16 and fp8."""
    if gpu.capability == (0, 0):
        return _architecture_by_name(gpu.name) or "turing"
    if gpu.capability >= (10, 0):
        return "blackwell"
    if gpu.capability >= (8, 9):
        return "ada"
    if gpu.capability >= (8, 0):
        return "ampere"
    # The GTX 16xx are the Turing cards that compute NaN in fp16.
    return "turing-gtx" if gpu.capability == (7, 5) and "GTX" in gpu.name else "turing"


_BY_NAME: tuple[tuple[str, Architecture], ...] = (
    (r"\b50[5-9]0\b|blackwell|\bB[123]00\b", "blackwell"), (r"\b40[5-9]0\b|\bada\b|\bL4|\bH[12]00\b", "ada"),
    (r"\b30[5-9]0\b|\bA\d{1,4}\b", "ampere"), (r"\bGTX ?16", "turing-gtx"), (r"\b20[6-8]0\b|\bT4\b|GTX|TITAN|quadro", "turing"),
)  # fmt: skip


def _architecture_by_name(name: str) -> Architecture | None:
    """By the numbers in a card's name; None where they tell nothing."""
    return next((architecture for pattern, architecture in _BY_NAME if re.search(pattern, name, re.IGNORECASE)), None)
