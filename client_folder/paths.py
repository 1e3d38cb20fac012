"""Every path of a client's folder; nothing else in the program builds one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from client_folder.records import Source


@dataclass(frozen=True, slots=True)
class ClientPaths:
    """The paths below one client's folder, `root`."""

    root: Path

    @property
    def id(self) -> str:
        """The client's folder, which is also its trigger word; what people call the client is `display_name`."""
        return self.root.name

    @property
    def home(self) -> Path:
        """The folder of the program that holds this client."""
        return self.root.parent.parent

    @property
    def raw_mj(self) -> Path:
        """MidJourney originals, never changed."""
        return self.root / "raw_mj"

    @property
    def raw_real(self) -> Path:
        """Real originals, never changed."""
        return self.root / "raw_real"

    def raw(self, source: Source) -> Path:
        """The folder of originals of one source."""
        return self.raw_mj if source is Source.MIDJOURNEY else self.raw_real

    @property
    def processed(self) -> Path:
        """1024 px square PNGs that passed."""
        return self.root / "processed"

    @property
    def rejected(self) -> Path:
        """What did not pass, each with its reason beside it."""
        return self.root / "rejected"

    @property
    def training_data(self) -> Path:
        """The parent folder that Kohya's `--train_data_dir` wants."""
        return self.root / "training_data"

    def dataset_folder(self, repeats: int) -> Path:
        """The pictures that are seen so often in an epoch, named as Kohya reads it."""
        return self.training_data / f"{repeats}_{self.id}"

    def dataset_folders(self) -> tuple[Path, ...]:
        """Every folder of that kind that is there, by name."""
        named = re.compile(rf"\d+_{re.escape(self.id)}")
        folders = self.training_data.iterdir() if self.training_data.is_dir() else ()
        return tuple(sorted(folder for folder in folders if named.fullmatch(folder.name) and folder.is_dir()))

    @property
    def metadata(self) -> Path:
        """Records of what was imported and found."""
        return self.root / "metadata"

    @property
    def exam(self) -> Path:
        """Real photos held back from training, to measure the LoRA with."""
        return self.root / "exam"

    @property
    def exam_file(self) -> Path:
        """Which photos those are, and why they belong together."""
        return self.exam / "exam.json"

    @property
    def exam_portraits(self) -> Path:
        """Portraits painted only to examine checkpoints."""
        return self.exam / "portraits"

    @property
    def exam_rows(self) -> Path:
        """What was measured of pictures for an exam, by their hashes; safe to delete."""
        return self.exam / "rows.npz"

    @property
    def exam_report(self) -> Path:
        """What the last exam found, with all that is needed to compute it again."""
        return self.exam / "report.json"

    @property
    def exam_sheet(self) -> Path:
        """The portraits it judged by, with their numbers."""
        return self.exam / "sheet.jpg"

    @property
    def exam_plot(self) -> Path:
        """Likeness over steps."""
        return self.exam / "likeness.png"

    @property
    def exam_swaps(self) -> Path:
        """The base's portraits with the client's face swapped in: what can be had without training."""
        return self.exam / "swaps"

    @property
    def blind_record(self) -> Path:
        """What a person answered in the blind test of the last exam."""
        return self.exam / "blind.json"

    @property
    def blind_pairs(self) -> Path:
        """The pairs that were shown in it, as pictures that do not tell who painted them."""
        return self.exam / "blind"

    @property
    def tuning(self) -> Path:
        """Trials of settings: each with a dataset and a training of its own; safe to delete."""
        return self.root / "tuning"

    @property
    def tuning_study(self) -> Path:
        """What was tried and how it came out, as Optuna keeps it."""
        return self.tuning / "study.db"

    @property
    def tuning_file(self) -> Path:
        """What the trials are about, and how long they took so far."""
        return self.tuning / "tuning.json"

    @property
    def tuning_portraits(self) -> Path:
        """Portraits painted only to examine trials."""
        return self.tuning / "portraits"

    @property
    def tuning_run(self) -> Path:
        """Which process of ours tries settings in the background, until somebody was told of its end; a search that begins anew
        empties `tuning/`, so it lies elsewhere."""
        return self.training / "search.json"

    def trial_folder(self, number: int) -> Path:
        """Where one trial's dataset and LoRAs lie."""
        return self.tuning / f"trial_{number:03d}"

    @property
    def quarantine(self) -> Path:
        """Pictures taken out of training by a person, with all that is needed to put them back."""
        return self.root / "quarantine"

    @property
    def training(self) -> Path:
        """Plan, logs and the trainer's own record."""
        return self.root / "training"

    @property
    def regularisation(self) -> Path:
        """Pictures of other people, in Kohya's folder layout, that keep the base as it is for everybody else."""
        return self.training / "regularisation"

    @property
    def logs(self) -> Path:
        """TensorBoard's folder."""
        return self.training / "logs"

    @property
    def plan_file(self) -> Path:
        """The plan the last training was started with."""
        return self.training / "lora_config.json"

    @property
    def train_log(self) -> Path:
        """Every line the trainer printed."""
        return self.training / "train.log"

    @property
    def runs(self) -> Path:
        """A record of each run of a trainer: what was asked, how it went, the loss at each checkpoint."""
        return self.training / "runs"

    @property
    def sample_prompts(self) -> Path:
        """The fixed prompts that are painted while training."""
        return self.training / "sample_prompts.txt"

    @property
    def tensorboard_file(self) -> Path:
        """Which TensorBoard shows this client's curves, while one does."""
        return self.training / "tensorboard.json"

    @property
    def trainer_pid(self) -> Path:
        """Who trains, should this program be killed before it can end the trainer."""
        return self.training / "trainer.json"

    @property
    def background_file(self) -> Path:
        """Which process of ours trains in the background, until somebody was told of its end."""
        return self.training / "background.json"

    @property
    def trainer_control(self) -> Path:
        """Where wishes are laid for the trainer: save now, sample now, stop."""
        return self.training / "control"

    @property
    def models(self) -> Path:
        """LoRA files, states of a training, and the trainer's samples."""
        return self.root / "models"

    @property
    def trainer_samples(self) -> Path:
        """Where sd-scripts paints while training; the place cannot be chosen."""
        return self.models / "sample"

    @property
    def samples(self) -> Path:
        """Pictures made while training, gathered from there."""
        return self.root / "samples"

    def lora_name(self, version: int) -> str:
        """What the files of one version of the LoRA are called, without step and ending."""
        return f"{self.id}_avatar_v{version}"

    def samples_sheet(self, version: int) -> Path:
        """The samples of one version of the LoRA, side by side."""
        return self.samples / f"contact_sheet_v{version}.png"

    @property
    def output(self) -> Path:
        """Portraits and exports."""
        return self.root / "output"

    def exports(self, app: str) -> Path:
        """A LoRA ready for another program, in that program's own folders."""
        return self.output / "lora" / app

    @property
    def sheets(self) -> Path:
        """The contact sheets of portraits, one a run, none of them ever written over."""
        return self.output / "sheets"

    @property
    def portraits_file(self) -> Path:
        """Every run of portraits, and which portraits are favourites."""
        return self.output / "portraits.json"

    @property
    def swaps(self) -> Path:
        """Pictures with the client's face put in."""
        return self.output / "swaps"

    @property
    def transcripts(self) -> Path:
        """What was said in recordings."""
        return self.output / "transcripts"

    @property
    def consents_file(self) -> Path:
        """Who agreed to what, and when."""
        return self.metadata / "consents.json"

    @property
    def state_file(self) -> Path:
        """What no other file can show."""
        return self.root / "state.json"

    @property
    def lock_file(self) -> Path:
        """What a program holds while it works on the client."""
        return self.root / ".lock"

    @property
    def images_file(self) -> Path:
        """The list of originals."""
        return self.metadata / "images.json"

    @property
    def midjourney_file(self) -> Path:
        """What MidJourney's files tell."""
        return self.metadata / "midjourney.json"

    @property
    def user_notes_file(self) -> Path:
        """What the user told of MidJourney's pictures: prompts, user names, the master prompt."""
        return self.metadata / "told.json"

    @property
    def last_used_file(self) -> Path:
        """What the user last asked of each action, to be filled in again."""
        return self.metadata / "last_used.json"

    @property
    def faces_file(self) -> Path:
        """The verdict on every original."""
        return self.metadata / "faces.json"

    @property
    def captions_file(self) -> Path:
        """Captions that people wrote, also of pictures that are not in the dataset just now."""
        return self.metadata / "captions.json"

    @property
    def descriptions_file(self) -> Path:
        """What a model said of photos, for captions."""
        return self.metadata / "descriptions.json"

    @property
    def decisions_file(self) -> Path:
        """What a person decided about pictures."""
        return self.metadata / "decisions.json"

    @property
    def faces_table(self) -> Path:
        """The same as a table."""
        return self.metadata / "faces.csv"

    @property
    def looks(self) -> Path:
        """What was seen in each original as a file of its own, written the moment it is known."""
        return self.metadata / "faces"

    @property
    def processed_sheet(self) -> Path:
        """Every crop that passed, at a glance."""
        return self.processed / "contact_sheet.jpg"

    @property
    def rejected_sheet(self) -> Path:
        """Every refused original, at a glance."""
        return self.rejected / "contact_sheet.jpg"

    @property
    def thumbnails(self) -> Path:
        """Small copies of pictures, from which sheets are drawn; safe to delete."""
        return self.root / "thumbnails"
