"""Every action of the program: the table that the menu and the command line are both drawn from, so that neither can do what the
other cannot.

A row says what the menu's lists and the help show. What an action asks, plans, runs and answers stands in the module that the row
names, which is imported with all its stages once somebody asks for the action: until then nobody waits for it. The last module of a
row draws what the action plans and reports; an answer as JSON needs none.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from actions.action import Action, Row
from locales.language import N_

ROWS = (
    Row("demo", N_("See the whole path with the sample client"), "actions.demo", "terminal.view_demo", tool=True),
    Row("setup", N_("Set up the program"), "actions.training", "terminal.view_doctor", tool=True),
    Row("client", N_("Create, show, export, import or erase a client"), "actions.clients", "terminal.view_program"),
    Row("import-mj", N_("Import MidJourney images"), "actions.imports", "terminal.view_pictures"),
    Row("import-photos", N_("Import real photos"), "actions.imports", "terminal.view_pictures"),
    Row("process", N_("Find and crop faces"), "actions.faces", "terminal.view_faces"),
    Row("dataset", N_("Build the dataset"), "actions.dataset", "terminal.view_dataset"),
    Row("train", N_("Train the LoRA"), "actions.training", "terminal.view_training"),
    Row("generate", N_("Paint portraits"), "actions.portraits", "terminal.view_portraits"),
    Row("rejected", N_("Look at what was rejected"), "actions.faces", "terminal.view_faces", more=True),
    Row("accept", N_("Accept a picture by hand"), "actions.faces", "terminal.view_faces", more=True),
    Row("who", N_("Point at the client's face"), "actions.faces", "terminal.view_faces", more=True),
    Row("limits", N_("Move the limits of quality"), "actions.faces", "terminal.view_faces", more=True),
    Row("captions", N_("Read or change captions"), "actions.dataset", "terminal.view_dataset", more=True),
    Row("quarantine", N_("Take pictures out of training"), "actions.dataset", "terminal.view_dataset", more=True),
    Row("checkpoints", N_("Show or export what was trained"), "actions.checkpoints", "terminal.view_training", extra=True),
    Row("tensorboard", N_("Training curves (TensorBoard)"), "actions.training", "terminal.view_training", more=True),
    Row("swap", N_("Swap a face"), "actions.swap", "terminal.view_portraits", extra=True),
    Row("transcribe", N_("Transcribe a recording"), "actions.recordings", "terminal.view_media", extra=True),
    Row("grids", N_("Split grids of four"), "actions.imports", "terminal.view_pictures"),
    Row("prompts", N_("Prompts: the master, and what is missing"), "actions.imports", "terminal.view_pictures", more=True),
    Row("gpu", N_("Show the GPU"), "actions.machine", "terminal.view_machine", tool=True),
    Row("settings", N_("Show or change the settings"), "actions.settings", "terminal.view_settings", tool=True),
    Row(
        "doctor", N_("Examine this machine, or a client's dataset"), "actions.doctor", "terminal.view_doctor", tool=True, more=True
    ),
    Row("colab", N_("Train without a card, on Google Colab"), "actions.colab", "terminal.view_colab", more=True),
    Row("queue", N_("Train several clients, one after another"), "actions.training", "terminal.view_training", tool=True),
    Row("models", N_("Models: show, download, free those of the menu"), "actions.machine", "terminal.view_machine", tool=True),
)


def row_named(name: str) -> Row:
    """The row of an action."""
    return next(row for row in ROWS if row.name == name)


def action_named(name: str) -> Action[Any]:
    """The action of a row, out of its module."""
    return next(action for action in import_module(row_named(name).module).ACTIONS if action.name == name)
