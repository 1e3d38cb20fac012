"""The actions that are attacked: all that change something, each with the prepared home it begins in."""

from __future__ import annotations

from dataclasses import dataclass

from attack.scenes import CLIENT, USERNAME

_ANA = f"--client {CLIENT}"
TRAINED = ("trained", "painted")  # homes that take minutes to make: short rounds do without


@dataclass(frozen=True, slots=True)
class Attacked:
    """One action; `child` is a word of the command line of the process whose calls are counted: its child's, or its own."""

    name: str
    scene: str
    line: str
    child: str = ""
    slow: bool = False  # takes many seconds; only a few tries
    ends: tuple[int, ...] = (0,)  # exit codes that the second run may have: what is done already may be refused
    weight: int = 1  # how many tries it gets


ACTIONS = (
    Attacked("import-mj", "created", f"import-mj {_ANA} {{given}}/mj --yes --username {USERNAME}", weight=3),
    Attacked(
        "import-mj --move", "created", f"import-mj {_ANA} {{given}}/mj --yes --username {USERNAME} --move", ends=(0, 1), weight=4,
    ),
    Attacked("import-photos", "created", f"import-photos {_ANA} {{given}}/photos --yes", weight=3),
    Attacked("import-photos --move", "created", f"import-photos {_ANA} {{given}}/photos --yes --move", ends=(0, 1), weight=4),
    Attacked("process", "imported", f"process {_ANA} --yes", child="avatar_pipeline.py", slow=True),
    Attacked("dataset", "processed", f"dataset {_ANA} --yes", weight=4),
    Attacked("dataset restyled", "restyled", f"dataset {_ANA} --yes", weight=5),
    Attacked("quarantine", "dataset", f"quarantine {_ANA} {{crop}} --yes"),
    Attacked("quarantine undo", "quarantined", f"quarantine {_ANA} undo:{{crop}} --yes"),
    Attacked("accept", "processed", f"accept {_ANA} {{refused}} --yes", weight=2),
    Attacked("accept undo", "accepted", f"accept {_ANA} undo:{{refused}} --yes", weight=2),
    Attacked("who", "processed", f"who {_ANA} {{photo}}:1 --yes"),
    Attacked("prompts", "dataset", f"prompts {_ANA} --username {USERNAME} --master 'portrait of a woman'"),
    Attacked("captions", "dataset", f"captions {_ANA} {{crop}} --text 'portrait of ana woman, by hand'"),
    Attacked("settings", "dataset", "settings distribution.share_real=0.2 quality.max_noise=9 preset=quick"),
    Attacked("limits", "processed", f"limits {_ANA} max_noise=2 min_brightness=60 --yes", weight=2),
    Attacked("checkpoints export", "trained", f"checkpoints {_ANA} export --for all --yes", weight=2),
    Attacked("checkpoints strip", "trained", f"checkpoints {_ANA} strip --yes"),
    Attacked("portraits favourite", "painted", f"portraits {_ANA} favourite 1 --yes"),
    Attacked("portraits deliver", "painted", f"portraits {_ANA} deliver 1 2 --to {{try}}/handed.zip --overwrite --yes"),
    Attacked("client create", "dataset", "client create bea --class-word woman", ends=(0, 1)),
    Attacked("client export", "dataset", f"client export {CLIENT} --to {{try}}/out.zip --overwrite --yes"),
    Attacked("client import", "packed", "client import {home}/packed.zip --yes", ends=(0, 1), weight=3),
    Attacked("erase", "dataset", f"client erase {CLIENT} --yes", ends=(0, 1), weight=4),
    Attacked(
        "train", "dataset",
        f"train {_ANA} --yes --anyway --steps 12 --save-every 4 --sample-every 4 --batch 2 --warmup 1 --consent test",
        child="sdxl_train_network", slow=True,
    ),
    Attacked(
        "generate", "trained", f"generate {_ANA} --yes --prompt 'portrait of ana woman' --seed 5,6",
        child="machine.worker", slow=True,
    ),
)  # fmt: skip
