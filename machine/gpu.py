"""What GPU is here and what holds its memory, asked from the driver through NVML; no CUDA context is made."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from config import GPU_PROFILES, Architecture, GPUProfile

CPU = next(profile for profile in GPU_PROFILES if profile.architecture == "cpu")
_GIB = 2**30
_SAME_GB = 1.0  # a card reports a little less than it is sold with


@dataclass(frozen=True, slots=True)
class GPUProcess:
    """A program that holds memory of a GPU, in GiB; 0 where the driver does not tell (Windows)."""

    pid: int
    memory_gb: float
    program: str = ""  # empty where the system does not tell, as of a process outside this container


@dataclass(frozen=True, slots=True)
class GPUState:
    """One GPU at this moment. Memory in GiB, utilisation in percent, temperature in degrees Celsius."""

    name: str
    driver: str
    capability: tuple[int, int]  # CUDA compute capability
    total_gb: float
    used_gb: float
    free_gb: float
    utilisation: int
    temperature: int
    processes: tuple[GPUProcess, ...] = ()
    uuid: str = ""  # the card's own name, the same in every program
    cuda: str = ""  # the newest CUDA the driver can run


def find_gpus() -> tuple[GPUState, ...]:
    """Every NVIDIA GPU; empty where there is no driver."""
    try:
        import pynvml
    except ImportError:
        return ()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        driver = _text(pynvml.nvmlSystemGetDriverVersion())
        return tuple(_state(index, driver) for index in range(pynvml.nvmlDeviceGetCount()))
    finally:
        pynvml.nvmlShutdown()


def _state(index: int, driver: str) -> GPUState:
    import pynvml

    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
    cuda = int(pynvml.nvmlSystemGetCudaDriverVersion_v2())  # 13020 is 13.2
    return GPUState(
        name=_text(pynvml.nvmlDeviceGetName(handle)),
        driver=driver,
        capability=(major, minor),
        total_gb=memory.total / _GIB,
        used_gb=memory.used / _GIB,
        free_gb=memory.free / _GIB,
        utilisation=pynvml.nvmlDeviceGetUtilizationRates(handle).gpu,
        temperature=pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU),
        cuda=f"{cuda // 1000}.{cuda % 1000 // 10}",
        processes=_processes(handle),
        uuid=_text(pynvml.nvmlDeviceGetUUID(handle)),
    )


def _processes(handle: Any) -> tuple[GPUProcess, ...]:
    """Who computes on a card, and who draws with it; the same process may do both, and holds what it holds once."""
    import psutil
    import pynvml

    found = {process.pid: process for process in pynvml.nvmlDeviceGetComputeRunningProcesses(handle)}
    with suppress(pynvml.NVMLError):  # a card without graphics, as in a server
        found = {process.pid: process for process in pynvml.nvmlDeviceGetGraphicsRunningProcesses(handle)} | found
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


def profile_here() -> GPUProfile:
    """The profile of the GPU with the most memory, the processor's where there is none."""
    gpu = largest_gpu()
    return profile_of(gpu) if gpu else CPU


def profile_of(gpu: GPUState) -> GPUProfile:
    """The known profile of a GPU by its name and memory; else one made of what it says of itself.

    The speed of an unknown GPU is that of the fastest known one with no more memory: a guess that a first run corrects.
    """
    known = [profile for profile in GPU_PROFILES if profile.architecture != "cpu"]
    named = [profile for profile in known if _is_model(_model(profile), gpu.name)]
    for profile in sorted(named, key=lambda profile: len(_model(profile)), reverse=True):
        if abs(profile.vram_gb - gpu.total_gb) <= _SAME_GB:
            return profile
    smaller = [profile for profile in known if profile.vram_gb <= gpu.total_gb + _SAME_GB] or known[:1]
    # Rounded, so that the same card gives the same plan whatever a driver reserves.
    return GPUProfile(gpu.name, float(round(gpu.total_gb)), _architecture(gpu), min(p.seconds_per_step for p in smaller))


def _model(profile: GPUProfile) -> str:
    """ "RTX 4060 Ti" of "RTX 4060 Ti 16GB"."""
    return profile.name.rsplit(" ", 1)[0]


def _is_model(model: str, name: str) -> bool:
    """Whether a driver's name says that model: a "4060 Ti" is no "4060", a "4080 SUPER" no "4080"."""
    words, sought = name.split(), model.split()
    variants = {"Ti", "SUPER"} - set(sought)
    return any(words[at : at + len(sought)] == sought for at in range(len(words))) and not variants & set(words)


def _architecture(gpu: GPUState) -> Architecture:
    """By compute capability. Older than Turing counts as Turing: no bf16; Hopper counts as Ada: both have bf16 and fp8."""
    if gpu.capability >= (10, 0):
        return "blackwell"
    if gpu.capability >= (8, 9):
        return "ada"
    if gpu.capability >= (8, 0):
        return "ampere"
    # The GTX 16xx are the Turing cards that compute NaN in fp16.
    return "turing-gtx" if gpu.capability == (7, 5) and "GTX" in gpu.name else "turing"
