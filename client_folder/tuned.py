"""Settings of a training that `tune` found for a client: what is tried, what a client's state keeps, what a home remembers."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from utils import Record


class TunedSettings(Record):
    """What is searched: settings of the training, and how the dataset is made up for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    learning_rate: float = Field(gt=0, lt=1)
    dim: int = Field(ge=1, le=1024)  # rank
    alpha: float = Field(gt=0)
    steps: int = Field(ge=1)
    share_real: float | None = Field(default=None, ge=0, le=1)  # None: there is but one source, so nothing to share out
    max_repeats: int = Field(ge=1, le=1000)

    @property
    def distribution(self) -> dict[str, float]:
        """The part that is about the dataset, by its names below `distribution` in the settings."""
        share = {} if self.share_real is None else {"share_real": self.share_real}
        return {**share, "max_repeats": self.max_repeats}


class ClientPlan(Record):
    """What was found for one client, and on which base: on another one it counts for the dataset alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_digest: str
    settings: TunedSettings
