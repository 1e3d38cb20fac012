"""The worker as a real process: started once, asked, given up, killed, ended; and who may hold the video memory."""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from stages import finish, run

from machine.model_process import NOTICES, WORKER, ModelProcess, WorkerDied, _is_ours, relay
from machine.vram import RAM_KEPT_FREE_GB, ModelCache, dropped
from machine.worker import TASKS
from machine.worker_tasks import Task
from portraits.errors import OutOfMemory
from portraits.painter import CPU_BATCH, batch_size
from utils import Notice, ProgramFault, Progress

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def model_process(tmp_path):
    with ModelProcess(tmp_path / "worker.log") as model_process:
        yield model_process


def test_a_worker_starts_when_it_is_asked_and_ends_with_its_program(model_process):
    assert model_process.pid is None and not model_process.status().running, "asking for its status starts none"
    assert finish(model_process.ask("status")) == {"loaded": [], "allocated_gb": 0.0, "reserved_gb": 0.0}
    pid = model_process.pid
    finish(model_process.ask("status"))
    assert (model_process.pid, model_process.starts) == (pid, 1)
    model_process.close()
    assert model_process.pid is None and not psutil.pid_exists(pid)


def test_a_fault_in_the_worker_is_told_and_the_worker_lives_on(model_process, tmp_path):
    with pytest.raises(ProgramFault, match="KeyError"):
        finish(model_process.ask("nonesuch"))
    assert "KeyError" in (tmp_path / "worker.log").read_text()
    assert finish(model_process.ask("status"))["loaded"] == []
    assert model_process.starts == 1


def test_a_killed_worker_is_told_and_the_next_order_starts_another(model_process):
    finish(model_process.ask("status"))
    os.kill(model_process.pid, signal.SIGKILL)
    with pytest.raises(WorkerDied):
        finish(model_process.ask("status"))
        finish(model_process.ask("status"))
    assert finish(model_process.ask("status"))["loaded"] == []
    assert model_process.starts == 2


def test_a_worker_ends_when_its_program_is_killed(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from machine.model_process import ModelProcess\n"
        "shop = ModelProcess(Path(sys.argv[1])); shop.status(); list(shop.ask('status'))\n"
        "print(shop.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "log")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as program:
        worker = int(program.stdout.readline())
        assert psutil.pid_exists(worker)
        program.kill()
    end = time.monotonic() + 10
    while psutil.pid_exists(worker) and psutil.Process(worker).status() != psutil.STATUS_ZOMBIE and time.monotonic() < end:
        time.sleep(0.05)
    assert not psutil.pid_exists(worker) or psutil.Process(worker).status() == psutil.STATUS_ZOMBIE


def test_whatever_libraries_print_stays_out_of_the_answers(tmp_path):
    """Also what C code writes to file descriptor 1: it goes to the log."""
    (tmp_path / "noisy.py").write_text(
        "import os\ndef shout(facts, models, reporter):\n    print('hello')\n    os.write(1, b'raw\\n')\n    return {'ok': True}\n"
    )
    code = (
        f"import sys; sys.path.append({str(tmp_path)!r}); from machine import worker\n"
        "worker.TASKS['noise'] = 'noisy:shout'; worker.main()"
    )
    answer, said = ordered([sys.executable, "-c", code], Task(number=1, task="noise"), tmp_path / "log")
    assert answer == {"order": 1, "kind": "done", "facts": {"ok": True}}
    assert "hello" in said and "raw" in said


def ordered(words, order, log):
    """Give one order to a worker started with those words: its last answer, and all that it wrote to stderr."""
    pipe = subprocess.PIPE
    with log.open("w") as said, subprocess.Popen(words, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=said, text=True) as child:
        patience = threading.Timer(120, child.kill)
        patience.start()
        child.stdin.write(order.model_dump_json() + "\n")
        child.stdin.flush()
        answers = (json.loads(line) for line in child.stdout)
        answer = next(one for one in answers if one["kind"] in ("done", "failed"))
        child.stdin.close()
        child.wait()
        patience.cancel()
    return answer, log.read_text()


def test_a_task_brings_its_own_modules_and_no_others(tmp_path):
    """Who only listens to recordings neither waits for the painter nor needs its packages. Python says what it imported."""
    (tmp_path / "mute.wav").write_bytes(b"no sound")
    order = Task(number=1, task="transcribe", facts={"model": str(tmp_path), "file": str(tmp_path / "mute.wav")})
    answer, said = ordered([sys.executable, "-v", *WORKER], order, tmp_path / "log")
    assert answer["kind"] == "failed"
    imported = set(re.findall(r"^import '([\w.]+)' #", said, re.MULTILINE))
    assert {"media.speech_to_text", "machine.vram"} <= imported
    assert not imported & {
        "portraits.painter",
        "portraits.swapper",
        "portraits.upscaler",
        "portraits.sdxl",
        "portraits.portrait",
        "diffusers",
        "insightface",
        "spandrel",
    }


def test_only_tasks_of_the_table_are_done_and_each_of_them_is_there(model_process):
    for name, path in TASKS.items():
        module, _colon, function = path.partition(":")
        assert callable(getattr(importlib.import_module(module), function)), name
    for path in ("os:getcwd", "portraits.painter:paint_order", "vram", ""):
        with pytest.raises(ProgramFault, match="KeyError"):
            finish(model_process.ask(path))


def test_answers_become_events_and_items_are_kept():
    from machine.worker_tasks import TaskEvent

    def answers():
        yield TaskEvent(order=1, kind="waiting")
        yield TaskEvent(order=1, kind="note", facts={"code": "loading", "model": "x"})
        yield TaskEvent(order=1, kind="progress", facts={"done": 1.5, "total": 3, "item": "a"})
        yield TaskEvent(order=1, kind="item", facts={"file": "a"})
        return {"ok": 1}

    items = []
    events, report = run(relay(answers(), "swap", items))
    assert report == {"ok": 1}
    assert items == [{"file": "a"}]
    assert events == [
        Progress("swap", 0, 0),
        Notice(NOTICES["loading"], {"model": "x"}),
        Progress("swap", 1, 3, "a"),
        Progress("swap", 1, 3, "a"),
    ]


# --- who holds the memory ---------------------------------------------------------------------------------------------
@dataclass
class Weights:
    """A model that only remembers where it is."""

    gb: float
    movable: bool = True
    where: str = "gpu"

    def to_ram(self):
        self.where = "ram" if self.movable else self.where
        return self.movable

    def to_gpu(self):
        self.where = "gpu"


def test_one_model_is_on_the_gpu_and_the_others_wait_in_ram():
    models_in_memory = ModelCache(ram_free_gb=lambda: 64)
    first, second = Weights(7), Weights(2)
    assert models_in_memory.take("sdxl", lambda: first) is first
    assert models_in_memory.take("whisper", lambda: second) is second
    assert (first.where, second.where) == ("ram", "gpu")
    assert models_in_memory.take("sdxl", lambda: Weights(99)) is first, "not loaded again"
    assert (first.where, second.where, models_in_memory.loads) == ("gpu", "ram", 2)
    assert [model.name for model in models_in_memory.loaded()] == ["sdxl", "whisper"]


def test_what_cannot_move_or_does_not_fit_is_dropped():
    models_in_memory = ModelCache(ram_free_gb=lambda: 64)
    models_in_memory.take("swap", lambda: Weights(1, movable=False))
    models_in_memory.take("sdxl", lambda: Weights(7))
    assert [model.name for model in models_in_memory.loaded()] == ["sdxl"]
    tight = ModelCache(ram_free_gb=lambda: RAM_KEPT_FREE_GB - 1)
    tight.take("sdxl", lambda: Weights(7))
    tight.take("whisper", lambda: Weights(2))
    assert [model.name for model in tight.loaded()] == ["whisper"]
    assert tight.clear() == ("whisper",) and tight.loaded() == ()


def test_the_longest_unused_goes_first_and_no_more_than_must():
    waiting = [("a", 3.0), ("b", 1.0), ("c", 5.0)]
    assert dropped(waiting, RAM_KEPT_FREE_GB) == ()
    assert dropped(waiting, RAM_KEPT_FREE_GB - 2) == ("a",)
    assert dropped(waiting, RAM_KEPT_FREE_GB - 3.5) == ("a", "b")
    assert dropped(waiting, -100) == ("a", "b", "c")


def test_without_a_gpu_small_pictures_come_in_batches_and_large_ones_alone():
    from machine.gpu import find_gpus

    if find_gpus():
        pytest.skip("there is a GPU here")
    assert batch_size(96 * 96) == CPU_BATCH
    assert batch_size(1024 * 1024) == 1


# A worker of its own process with one task more: it raises what the order names, or says that it met with something else.
_FAILING_WORKER = """
import importlib
from machine import worker

def fail(facts, models_in_memory, reporter):
    if facts.get("forged"):
        raise type(facts["error"], (Exception,), {"__module__": facts["module"]})
    raise getattr(importlib.import_module(facts["module"]), facts["error"])(**facts["facts"])

importlib.import_module("machine.vram").fail = fail
worker.TASKS["fail"] = "machine.vram:fail"
worker.main()
"""
# A program that imports nothing but the process: what it had loaded before the order, what it met with, what it has loaded since.
_PARENT = """
import json, sys
from pathlib import Path
from pydantic import BaseModel, ConfigDict
from locales.language import speak
from machine import model_process

class Order(BaseModel):
    model_config = ConfigDict(extra="allow")

speak("en")
model_process.WORKER = ("-c", sys.argv[2])
order = json.loads(sys.argv[3])
before = order["module"] in sys.modules
with model_process.ModelProcess(Path(sys.argv[1])) as process:
    try:
        list(process.ask("fail", Order(**order)))
    except Exception as error:
        met = [f"{type(error).__module__}:{type(error).__qualname__}", error.text(), error.cure()]
print(json.dumps([before, order["module"] in sys.modules, *met]))
"""


def met_with(log, **order):
    """What a program meets with whose worker fails in that way: loaded before, loaded after, class, message, hint."""
    words = [sys.executable, "-c", _PARENT, str(log), _FAILING_WORKER, json.dumps(order)]
    finished = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def test_an_error_of_the_worker_arrives_as_it_was_where_its_module_was_not_loaded(tmp_path):
    before, after, kind, message, hint = met_with(
        tmp_path / "log", module="portraits.errors", error="OutOfMemory", facts={"model": "sdxl"}
    )
    assert (before, after, kind) == (False, True, "portraits.errors:OutOfMemory")
    assert (message, hint) == (OutOfMemory(model="sdxl").text(), OutOfMemory(model="sdxl").cure())


@pytest.mark.parametrize("module", ["os", "this", "xml.dom.minidom", "portraits.nowhere", "", "clients.ana.errors", "../utils"])
def test_a_forged_error_is_a_fault_and_no_foreign_module_is_imported_for_it(module, tmp_path):
    before, after, kind, message, _hint = met_with(tmp_path / "log", module=module, error="Forged", forged=True)
    assert after == before
    assert kind == "utils:ProgramFault" and "Forged" in message


def test_an_error_that_names_another_module_than_its_own_is_a_fault(tmp_path):
    _before, _after, kind, message, _hint = met_with(tmp_path / "log", module="os", error="OutOfMemory", forged=True)
    assert kind == "utils:ProgramFault" and "OutOfMemory" in message


@pytest.mark.parametrize(
    ("module", "ours"),
    [
        ("portraits.errors", True),
        ("utils", True),
        ("os", False),
        ("clients.errors", False),
        ("portraits", False),
        ("..utils", False),
    ],
)
def test_only_modules_in_the_packages_of_the_program_are_its_own(module, ours, tmp_path, monkeypatch):
    """A client's folder and a virtual environment lie below the program, too, where the home is the default one."""
    for file in ("utils.py", "portraits/__init__.py", "portraits/errors.py", "clients/errors.py"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    monkeypatch.setattr("machine.model_process.PROGRAM", tmp_path)
    assert _is_ours(module) is ours
