"""Is the exam's word right on real trainings? Drawn clients on the practice base: `python -m benchmarks.exam_drawn [--clients 8]`.

Each client is trained twice: as `train` does it, and as a copier (one picture, no pictures of other people, or it does not copy).
What is then judged by the program's own exam, each with the word that is right:

- good: her LoRA after half and after all of the steps; one of the two must be chosen
- short: her LoRA after ten steps only; none
- other: the LoRA of a client with other hair and skin; none
- copier: none
- mixed: all of them in one exam; one of the two good ones must be chosen
- sister: her good LoRA, judged by photos of a woman with the same hair, skin and eyes but another face, and with glasses; none, or
  "may be another". Without the glasses no ruler here tells her: the practice base paints faces too coarsely

Three photos are held back, of scenes that training never saw, in any light. All clients have one name, so that a LoRA of another's
answers to hers. Everything is kept in `--folder`; what is there is not trained or painted again. Prints a line a judgement, with
the word, what was chosen and the flags, and the share that was right.
"""

from __future__ import annotations

import argparse
import random
import shutil
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.drawn_client import draw_client, hold_back_drawn, look_of
from client_folder.client import Client, open_client
from config import Settings
from data_preprocessor import prepare_dataset
from exam.examination import examine
from exam.records import Flag, Word
from exam.report import ExamFile
from lora_trainer import plan_training, train
from machine.model_process import ModelProcess
from training.plan import Overrides

NAME, SHORT, GOOD, PHOTOS = "ana", 10, (110, 220), 3
FIRST_PERSON = 100  # numbers below it were used to choose limits
LORA = f"{NAME}_avatar_v1"
# The step that each LoRA takes in an exam: the finished one has none in its name.
PLACES = {"short": 10, "copier": 60, "other": 90, "half": 110, "whole": 220}
CASES: Mapping[str, tuple[str, ...]] = {
    "good": ("half", "whole"), "short": ("short",), "other": ("other",), "copier": ("copier",),
    "mixed": ("short", "copier", "other", "half", "whole"), "sister": ("half", "whole"),
}  # fmt: skip


def finish(stage: Generator[Any, None, Any]) -> Any:
    """What a stage returns."""
    while True:
        try:
            next(stage)
        except StopIteration as end:
            return end.value


def trained(home: Path, person: int, *, copier: bool) -> Client:
    """A client with its trained LoRA; of a copier's dataset one picture is left and nobody else."""
    here = (home / "clients" / NAME).is_dir()
    client = open_client(home, NAME) if here else draw_client(home, NAME, person)
    if not (client.models / f"{LORA}.safetensors").is_file():
        finish(prepare_dataset(client, Settings()))
        if copier:
            pictures = [path for folder in client.dataset_folders() for path in sorted(folder.glob("*.png"))]
            for picture in pictures[1:]:
                picture.unlink()
                picture.with_suffix(".txt").unlink()
        plan = plan_training(client, Settings(), overrides=Overrides(save_every=SHORT)).plan
        finish(train(client, Settings(), plan.model_copy(update={"regularised": False}) if copier else plan))
    return client


def loras_of(client: Client, copier: Client, other: Client) -> dict[str, Path]:
    """Where each LoRA lies that is judged beside that client's photos."""
    steps = {step: client.models / f"{LORA}-step{step:08d}.safetensors" for step in (SHORT, GOOD[0])}
    whole = f"{LORA}.safetensors"
    return {
        "short": steps[SHORT], "half": steps[GOOD[0]], "whole": client.models / whole, "copier": copier.models / whole,
        "other": other.models / whole,
    }  # fmt: skip


def judge(
    folder: Path, case: str, loras: Mapping[str, Path], client: Client, look: dict[str, Any], process: ModelProcess
) -> ExamFile:
    """The exam of a copy of the client that has just these LoRAs, by photos of that look; portraits are shared by all her exams."""
    home = folder / "judged"
    if not home.is_dir():
        kept = shutil.ignore_patterns("models", "training", "exam_portraits")
        shutil.copytree(client.root, home / "clients" / NAME, ignore=kept)
    judged = open_client(home, NAME)
    shutil.rmtree(judged.models, ignore_errors=True)
    judged.models.mkdir()
    for kind in CASES[case]:
        ending = "" if kind == "whole" else f"-step{PLACES[kind]:08d}"
        shutil.copyfile(loras[kind], judged.models / f"{LORA}{ending}.safetensors")
    hold_back_drawn(judged, look, PHOTOS)
    judged.exam_report.unlink(missing_ok=True)
    found: ExamFile = finish(examine(judged, Settings(), model_process=process)).file
    return found


def is_right(case: str, found: ExamFile) -> bool:
    """Whether that is the word for it."""
    if case in ("good", "mixed"):
        return found.verdict is not Word.NONE and found.step in GOOD
    return found.verdict is Word.NONE or (case == "sister" and Flag.IDENTITY_UNSURE in found.flags)


def sister_of(person: int) -> dict[str, Any]:
    """The same looks in words, another face, and glasses."""
    from embedded.drawing.portraits import random_face

    return {**look_of(person), "face": random_face(random.Random(f"sister {person}")), "glasses": True}


def another(person: int, people: Sequence[int]) -> int:
    """The next client with other hair and other skin: whoever shares both is a lookalike, which no ruler here tells."""
    own = look_of(person)
    ahead = [*(one for one in people if one > person), *(one for one in people if one < person)]
    return next(one for one in ahead if all(look_of(one)[part] != own[part] for part in ("hair", "skin")))


def main() -> None:
    """Train, judge, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--folder", type=Path, required=True, help="where everything is kept")
    asked = parser.parse_args()
    began, right = time.monotonic(), []
    people = range(FIRST_PERSON, FIRST_PERSON + asked.clients)
    both = {}
    for person in people:
        both[person] = tuple(
            trained(asked.folder / f"{person}{kind}", person, copier=bool(kind)) for kind in ("", "copier")
        )  # fmt: skip
        print(f"trained {person}, {time.monotonic() - began:.0f} s", flush=True)
    with ModelProcess() as process:
        for person in people:
            client, copier = both[person]
            loras = loras_of(client, copier, both[another(person, people)][0])
            for case in CASES:
                look = sister_of(person) if case == "sister" else look_of(person)
                found = judge(asked.folder / f"{person}", case, loras, client, look, process)
                right.append(is_right(case, found))
                told = [
                    f"{person} {case:7}", "right" if right[-1] else "WRONG", f"{found.verdict:5} step {found.step}",
                    f"weight {found.weight}", ",".join(found.reasons) or "-", "flags", ",".join(found.flags) or "-",
                    f"  [{time.monotonic() - began:.0f} s]",
                ]  # fmt: skip
                print(*told, flush=True)
    print(f"right {sum(right)} of {len(right)}")


if __name__ == "__main__":
    main()
