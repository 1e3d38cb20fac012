"""The process that holds the models: reads orders from stdin, does them one at a time, says what becomes of them on stdout.

It is started by `model_process` and ends when its orders end, also where the program that gave them was killed. Libraries that
print do so into its log: stdout belongs to the answers.
"""

from __future__ import annotations

import importlib
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from locales.language import speak, spoken
from machine.vram import ModelCache
from machine.worker_tasks import Cancelled, Task, TaskReporter
from utils import PipelineError, as_pipeline_error

TaskFunction = Callable[[dict[str, Any], ModelCache, TaskReporter], dict[str, Any]]

# What a worker does, as module:function. A task's module is imported when it is first asked for, and nothing else ever is: an order
# names a task of this table, so that no message can have other code run. A new kind of model is a line here.
TASKS = {
    "paint": "portraits.painter:paint_order",
    "swap": "portraits.swapper:swap_order",
    "faces": "portraits.swapper:faces_order",
    "upscale": "portraits.upscaler:upscale_order",
    "transcribe": "media.speech_to_text:transcribe_order",
    "status": "machine.vram:status_order",
}


class TaskQueue:
    """The orders as they come, and which of them were given up; read by a thread, so that giving up is heard while a task runs."""

    def __init__(self) -> None:
        self.waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._cancelled: set[int] = set()
        threading.Thread(target=self._listen, daemon=True).start()

    def is_cancelled(self, number: int) -> bool:
        """Whether an order was given up."""
        return number in self._cancelled

    def _listen(self) -> None:
        for line in sys.stdin:
            order = Task.model_validate_json(line)
            if order.task == "cancel":
                self._cancelled.add(order.number)
            else:
                self.waiting.put(order)
        # Nobody is left to work for. What is being written has a temporary name, and is swept by the next run.
        os._exit(0)


def main() -> None:
    """Serve until the orders end."""
    speak(spoken())
    out = _own_stdout()
    orders, models_in_memory = TaskQueue(), ModelCache()
    while True:
        order = orders.waiting.get()
        _serve(order, models_in_memory, TaskReporter(order.number, out, orders.is_cancelled))


def _own_stdout() -> TextIO:
    """The stream of the answers; whatever else is printed in this process, also by C code, goes where stderr goes."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdin.reconfigure(encoding="utf-8")  # type: ignore[union-attr]  # a TextIOWrapper: it is a pipe
    return out


def _serve(order: Task, models_in_memory: ModelCache, reporter: TaskReporter) -> None:
    """Do one order; whatever happens, its end is said."""
    try:
        module, _colon, name = TASKS[order.task].partition(":")
        function: TaskFunction = getattr(importlib.import_module(module), name)
        reporter.say("done", **function(order.facts, models_in_memory, reporter))
    except Cancelled:
        reporter.say("done")
    except PipelineError as error:
        _say_error(reporter, error)
    except (OSError, ImportError) as error:
        _say_error(reporter, as_pipeline_error(error) or error)
    except Exception as error:  # noqa: BLE001 - the program shows it; the worker lives on for the next order
        _say_error(reporter, error)


def _say_error(reporter: TaskReporter, error: Exception) -> None:
    facts = error.facts if isinstance(error, PipelineError) else {}
    if not isinstance(error, PipelineError):
        traceback.print_exception(error)
    plain = {name: str(fact) if isinstance(fact, Path) else fact for name, fact in facts.items()}
    reporter.say("failed", error=type(error).__name__, module=type(error).__module__, facts=plain)


if __name__ == "__main__":
    main()
