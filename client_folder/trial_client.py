"""A folder in which a client is trained for a trial, so that nothing of what is the client's own changes by it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from client_folder.client import Client, ClientState


@dataclass(frozen=True, slots=True)
class TrialClient(Client):
    """The client `of`, with dataset, exam, training and LoRAs below a `root` of their own.

    Crops and records are the client's; of what stages write, only descriptions of photos and captions that people wrote go there,
    as they would without any trial.
    """

    of: Client = field(kw_only=True)

    @property
    def id(self) -> str:
        """The client's, for it is the trigger word in captions and prompts."""
        return self.of.id

    @property
    def home(self) -> Path:
        """The client's: base models and settings lie there."""
        return self.of.home

    @property
    def processed(self) -> Path:
        """The client's crops."""
        return self.of.processed

    @property
    def metadata(self) -> Path:
        """The client's records."""
        return self.of.metadata

    @property
    def thumbnails(self) -> Path:
        """The client's small copies of pictures."""
        return self.of.thumbnails

    @property
    def exam_portraits(self) -> Path:
        """One folder for all trials: what the base paints is the same for each."""
        return self.of.tuning_portraits

    @property
    def regularisation(self) -> Path:
        """One folder for all trials: pictures of other people are the same for each, and what a trainer computes of them."""
        return self.of.tuning / "regularisation"

    @property
    def exam_rows(self) -> Path:
        """One file for all trials: a picture is measured once."""
        return self.of.tuning / "rows.npz"

    def state(self) -> ClientState:
        """The client's, without what an earlier search found: a trial says itself what it trains with."""
        return self.of.state().model_copy(update={"tuned": None})
