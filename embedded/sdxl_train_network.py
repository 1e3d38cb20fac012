"""An SDXL LoRA trainer with sd-scripts' command line, progress line, file names and key format, made of diffusers and peft.

Run by its path, from any folder:

    python embedded/sdxl_train_network.py --pretrained_model_name_or_path MODEL --train_data_dir PARENT ...

It trains any SDXL-shaped model, in diffusers' layout or in one file, and needs no GPU, no hub and no clone of sd-scripts. Where it
differs from sd-scripts on purpose: it ends with code 1 when there is nothing to train on (sd-scripts: 0), refuses NaN latents
instead of training on them, trains the U-Net only, leaves no half-written file when it is killed, paints the finished LoRA too, and
a resumed training gives the same LoRA as one that was never stopped. While it trains it may be asked to save, to paint, or to stop
with a state saved: see `trainer.trainer_control`.

Exit codes: 0 trained; 1 refused or failed, the last line says why; 2 wrong words; 3 stopped as asked, with a state saved; killed
by a signal: that signal.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

if __package__ in (None, ""):
    # Python puts this script's own folder first; the modules beside it are known by the package's name
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from embedded.trainer.kohya_dataset import read_dataset
from embedded.trainer.trainer_console import open_log
from embedded.trainer.trainer_control import STOPPED_CODE, StopAsked
from embedded.trainer.trainer_flags import Refused, parse_flags


class Terminated(BaseException):
    """SIGTERM came: what is being written is put away before the process dies of it."""


def main(argv: Sequence[str]) -> int:
    """Trains as the command line says; returns the exit code."""
    try:
        with _dying_of_signals():
            flags = parse_flags(argv)
            open_log(flags.console_log_simple, flags.console_log_file)
            data = read_dataset(flags)
            _quiet_libraries()
            # here, because importing torch and diffusers takes seconds that a wrong command line should not cost
            from embedded.trainer.lora_training import train

            train(flags, data)
    except Refused as error:
        print(f"sdxl_train_network.py: {error}", file=sys.stderr, flush=True)
        return 1
    except StopAsked:
        return STOPPED_CODE
    return 0


@contextmanager
def _dying_of_signals() -> Iterator[None]:
    """SIGTERM and Ctrl-C unwind what runs, so that nothing half written stays, and then end the process as they would have.

    The signal is what counts: a library that was at work may have made another exception of ours on the way out.
    """
    heard: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated

    signal.signal(signal.SIGTERM, hear)
    signal.signal(signal.SIGINT, hear)  # said aloud: a shell starts what runs in its background deaf to it
    try:
        yield
    finally:
        if heard:
            if heard[0] == signal.SIGINT:
                print("KeyboardInterrupt", file=sys.stderr, flush=True)
            signal.signal(heard[0], signal.SIG_DFL)
            signal.raise_signal(heard[0])


def _quiet_libraries() -> None:
    """Keeps the libraries' own bars and notices out of the log, and the hub out of a training that needs nothing from it."""
    for name, value in {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "DIFFUSERS_VERBOSITY": "error",
        "TOKENIZERS_PARALLELISM": "false",
    }.items():
        os.environ.setdefault(name, value)
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
