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
    Row(
        "demo", N_("See the whole path with the sample client"),
        N_("Draws a person by code and goes every step, up to portraits. It takes some minutes and needs nothing of yours."),
        "actions.demo", "terminal.view_demo", tool=True,
    ),
    Row(
        "setup", N_("Set up the program"),
        N_("Asks which base model, makes folders and settings, and shows what would be fetched before it is. What is there stays."),
        "actions.setup", "terminal.view_setup", tool=True,
    ),
    Row(
        "client", N_("Create, show, export, import or erase a client"),
        N_("Everything of one person lies in one folder. It can be shown, packed into one .zip, or erased."),
        "actions.clients", "terminal.view_program",
    ),
    Row(
        "import-mj", N_("Import MidJourney images"),
        N_("Copies MidJourney's pictures from a folder or .zip and reads their prompts for captions. Yours stay as they are."),
        "actions.imports", "terminal.view_pictures",
    ),
    Row(
        "import-photos", N_("Import real photos"),
        N_("Copies photos of the real person. They tell who the client is: without them nobody can be recognised."),
        "actions.imports", "terminal.view_pictures",
    ),
    Row(
        "process", N_("Find and crop faces"),
        N_("Cuts the client's face out of every picture and refuses what is blurred, too small or somebody else."),
        "actions.faces", "terminal.view_faces",
    ),
    Row(
        "dataset", N_("Build the dataset"),
        N_("Puts crops and captions into the folders that the trainer reads, photos and MidJourney in balance."),
        "actions.dataset", "terminal.view_dataset",
    ),
    Row(
        "train", N_("Train the LoRA"),
        N_("Shows what it will take in memory and time, then teaches the base this person. It can be stopped and goes on later."),
        "actions.training", "terminal.view_training",
    ),
    Row(
        "generate", N_("Paint portraits"),
        N_("Paints the client with the trained LoRA: recommended prompts or your own words, with styles, sizes and new seeds."),
        "actions.portraits", "terminal.view_portraits",
    ),
    Row(
        "portraits", N_("Portraits: history, favourites, delivery"),
        N_("Every run with its prompts and seeds; favourites are marked, and the chosen ones packed into one .zip to hand over."),
        "actions.gallery", "terminal.view_portraits", extra=True,
    ),
    Row(
        "rejected", N_("Look at what was rejected"),
        N_("Lists the refused pictures by reason, and what would help each."),
        "actions.faces", "terminal.view_faces", more=True,
    ),
    Row(
        "accept", N_("Accept a picture by hand"),
        N_("Takes a refused picture in all the same, or takes that back."),
        "actions.faces", "terminal.view_faces", more=True,
    ),
    Row(
        "who", N_("Say which face is the client's"),
        N_("Says which face is the client's where photos show several people. All pictures are judged anew by it."),
        "actions.who", "terminal.view_faces", more=True,
    ),
    Row(
        "limits", N_("Move the limits of quality"),
        N_("Makes quality control stricter or milder, and shows which pictures would pass before anything moves."),
        "actions.faces", "terminal.view_faces", more=True,
    ),
    Row(
        "captions", N_("Read or change captions"),
        N_("What a caption names stays changeable; what it leaves out becomes part of the person."),
        "actions.dataset", "terminal.view_dataset", more=True,
    ),
    Row(
        "quarantine", N_("Take pictures out of training"),
        N_("Takes pictures that do harm out of training, or puts them back. Nothing is deleted."),
        "actions.dataset", "terminal.view_dataset", more=True,
    ),
    Row(
        "checkpoints", N_("Show or export what was trained"),
        N_("Lists every LoRA file with its samples, and copies one for ComfyUI, AUTOMATIC1111, InvokeAI or diffusers."),
        "actions.checkpoints", "terminal.view_training", extra=True,
    ),
    Row(
        "exam", N_("Examine the checkpoints"),
        N_("Says which checkpoint looks most like the client in photos that training never saw, how sure that is, or none."),
        "actions.exam", "terminal.view_exam", more=True,
    ),
    Row(
        "blind", N_("Test the exam blind, by eye"),
        N_("Shows pairs of portraits beside a real photo, not who painted them, and says how often you and the exam agree."),
        "actions.blind", "terminal.view_blind", more=True,
    ),
    Row(
        "tune", N_("Search for the best settings"),
        N_("Tries settings by training and examining, for as many hours as you say; what is clearly better counts from then on."),
        "actions.tune", "terminal.view_tune", more=True,
    ),
    Row(
        "tensorboard", N_("Training curves (TensorBoard)"),
        N_("Opens the loss and learning rate of the training as curves in the browser."),
        "actions.training", "terminal.view_training", more=True,
    ),
    Row(
        "swap", N_("Swap a face"),
        N_("Puts the client's face into another picture. InsightFace's models are for non-commercial research."),
        "actions.swap", "terminal.view_portraits", extra=True,
    ),
    Row(
        "transcribe", N_("Transcribe a recording"),
        N_("Writes down what is said in sound or video, with times and subtitles."),
        "actions.recordings", "terminal.view_media", extra=True,
    ),
    Row(
        "grids", N_("Split grids of four"),
        N_("Makes four pictures of each grid that MidJourney answers with; the grids stay."),
        "actions.imports", "terminal.view_pictures",
    ),
    Row(
        "prompts", N_("Prompts: the master, and what is missing"),
        N_("What MidJourney's file names do not tell: user name, cut prompts, what all share. Captions get better by it."),
        "actions.imports", "terminal.view_pictures", more=True,
    ),
    Row(
        "gpu", N_("Show the GPU"),
        N_("The graphics card, its free memory, and which programs hold the rest."),
        "actions.machine", "terminal.view_machine", tool=True,
    ),
    Row(
        "settings", N_("Show or change the settings"),
        N_("Language, base model, folders of ComfyUI and AUTOMATIC1111, limits of quality and more."),
        "actions.settings", "terminal.view_settings", tool=True,
    ),
    Row(
        "doctor", N_("Examine this machine, or a client's dataset"),
        N_("Says whether this machine can train and paint, or what is wrong with a dataset, each with its cure."),
        "actions.doctor", "terminal.view_doctor", tool=True, more=True,
    ),
    Row(
        "colab", N_("Train without a card, on Google Colab"),
        N_("Packs the client for notebooks/colab.ipynb, which trains on a card that Google lends and hands the client back."),
        "actions.colab", "terminal.view_colab", more=True,
    ),
    Row(
        "queue", N_("Train several clients, one after another"),
        N_("For a night: the clients that are ticked are trained and examined in turn; one that fails does not stop the others."),
        "actions.queue", "terminal.view_training", tool=True,
    ),
    Row(
        "serve", N_("Serve other programs and the browser"),
        N_("Answers over HTTP, this machine alone unless told otherwise: every action, jobs with live events, pictures, keys."),
        "actions.serve", "terminal.view_serve", tool=True,
    ),
    Row(
        "machines", N_("Several machines: one queue"),
        N_("Other PCs join with a key and train clients from this one's queue. Shows who has joined, lets others join, or joins."),
        "actions.machines", "terminal.view_machines", tool=True, more=True,
    ),
    Row(
        "models", N_("Models: show, download, free those of the menu"),
        N_("Which models are here and how large the others are. Downloads them, or frees the memory that they hold."),
        "actions.machine", "terminal.view_machine", tool=True,
    ),
)  # fmt: skip


def row_named(name: str) -> Row:
    """The row of an action."""
    return next(row for row in ROWS if row.name == name)


def action_named(name: str) -> Action[Any]:
    """The action of a row, out of its module."""
    return next(action for action in import_module(row_named(name).module).ACTIONS if action.name == name)
