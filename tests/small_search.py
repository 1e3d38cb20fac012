"""The program with a small search: four portraits a set, two checkpoints a trial, few steps. Run as a program of its own, so that
it can be killed: all that is searched, trained, painted and measured is real, there is only less of it."""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def make_small():
    """Less of everything, in this process."""
    import exam.prompts
    import exam.trials
    import training.plan
    from embedded.drawing import regularisation
    from portraits import recipes

    regularisation.draw_regularisation = partial(regularisation.draw_regularisation, count=4)
    exam.prompts._PRACTICE_SCENES = exam.prompts._PRACTICE_SCENES[:2]
    exam.trials.CHECKPOINTS = 2
    training.plan.EMBEDDED = replace(
        training.plan.EMBEDDED, steps=dict.fromkeys(training.plan.EMBEDDED.steps, 4), batch=1, warmup=0
    )
    recipes.EMBEDDED_RECIPE = replace(recipes.EMBEDDED_RECIPE, steps=2)


if __name__ == "__main__":
    make_small()
    from avatar_pipeline import main

    sys.exit(main(sys.argv[1:]))
