"""Every action of the program: the table that the menu and the command line are both drawn from, so that neither can do what the
other cannot.

A row says what the menu's lists and the help show. What an action asks, plans and runs stands in a room of its own, which is
imported with all its stages once somebody asks for the action: until then nobody waits for it. So is the module that its row names
as `view`, which draws what the action plans and reports; an answer as JSON needs none.
"""

from __future__ import annotations

from collections.abc import Sequence

from action_table import Action, Row
from language import N_


def _program() -> Sequence[Action]:
    import program_actions

    return program_actions.ACTIONS


def _pictures() -> Sequence[Action]:
    import import_actions

    return import_actions.ACTIONS


def _faces() -> Sequence[Action]:
    import face_actions

    return face_actions.ACTIONS


def _training() -> Sequence[Action]:
    import training_actions

    return training_actions.ACTIONS


def _studio() -> Sequence[Action]:
    import studio_actions

    return studio_actions.ACTIONS


def _doctor() -> Sequence[Action]:
    import doctor_action

    return doctor_action.ACTIONS


ROWS = (
    Row("demo", N_("See the whole path with the sample client"), _program, view="view_demo", tool=True),
    Row("setup", N_("Set up the program"), _training, view="view_doctor", tool=True),
    Row("client", N_("Create, show, export or erase a client"), _program, view="view_program"),
    Row("import-mj", N_("Import MidJourney images"), _pictures, view="view_pictures"),
    Row("import-photos", N_("Import real photos"), _pictures, view="view_pictures"),
    Row("process", N_("Find and crop faces"), _faces, view="view_faces"),
    Row("dataset", N_("Build the dataset"), _faces, view="view_dataset"),
    Row("train", N_("Train the LoRA"), _training, view="view_training"),
    Row("generate", N_("Paint portraits"), _studio, view="view_portraits"),
    Row("rejected", N_("Look at what was rejected"), _faces, view="view_faces", more=True),
    Row("accept", N_("Accept a picture by hand"), _faces, view="view_faces", more=True),
    Row("who", N_("Point at the client's face"), _faces, view="view_faces", more=True),
    Row("limits", N_("Move the limits of quality"), _faces, view="view_faces", more=True),
    Row("captions", N_("Read or change captions"), _faces, view="view_dataset", more=True),
    Row("quarantine", N_("Take pictures out of training"), _faces, view="view_dataset", more=True),
    Row("checkpoints", N_("Show or export what was trained"), _training, view="view_training", extra=True),
    Row("tensorboard", N_("Training curves (TensorBoard)"), _training, view="view_training", more=True),
    Row("swap", N_("Swap a face"), _studio, view="view_portraits", extra=True),
    Row("transcribe", N_("Transcribe a recording"), _studio, view="view_media", extra=True),
    Row("grids", N_("Split grids of four"), _pictures, view="view_pictures"),
    Row("prompts", N_("Prompts: the master, and what is missing"), _pictures, view="view_pictures", more=True),
    Row("gpu", N_("Show the GPU"), _studio, view="view_machine", tool=True),
    Row("settings", N_("Show or change the settings"), _program, view="view_program", tool=True),
    Row("doctor", N_("Examine this machine, or a client's dataset"), _doctor, view="view_doctor", tool=True, more=True),
    Row("queue", N_("Train several clients, one after another"), _training, view="view_training", tool=True),
    Row("models", N_("Models: show, download, free memory"), _studio, view="view_machine", tool=True),
)


def row_named(name: str) -> Row:
    """The row of an action."""
    return next(row for row in ROWS if row.name == name)


def action_named(name: str) -> Action:
    """The action of a row, out of its room."""
    return next(action for action in row_named(name).room() if action.name == name)
