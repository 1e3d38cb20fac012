"""What the page shows of a client's pictures: where each stands, why, its caption, and what may be done with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from client_folder.client import Client
from client_folder.records import Picture, Source, Verdict
from dataset.files import list_captions
from dataset.quarantine import quarantined
from locales.language import N_
from studio.pages.thumbnails import large_url, small_url


class PictureGroup(Enum):
    """Where a picture stands; in this order on the page."""

    ACCEPTED = "accepted", N_("Accepted")
    REJECTED = "rejected", N_("Rejected")
    OUT = "out", N_("Out of training")
    NEW = "new", N_("Not looked at yet")

    def __init__(self, code: str, title: str) -> None:
        self.code, self.title = code, title


@dataclass(frozen=True, slots=True)
class PictureCard:
    """A picture as it is shown. `place` is how actions name it; `caption` is None where it is not in the dataset."""

    stem: str
    group: PictureGroup
    name: str
    place: str
    source: Source
    small: str
    large: str
    why: str = ""
    cure: str = ""
    by_hand: bool = False
    acceptable: bool = False  # it was refused, and has a face
    faces: int = 0
    caption: str | None = None
    edited: bool = False

    @property
    def order(self) -> str:
        """By what its group's cards are sorted."""
        return self.place


def picture_cards(client: Client) -> dict[str, PictureCard]:
    """Every picture of a client, by its stem, in the order of names; raises BrokenFile."""
    client = client.snapshot()
    verdicts = {face.sha256: face for face in client.faces()}
    out = {record.stem for record in quarantined(client)}
    captions = {row.picture: row for row in list_captions(client)}
    found = {}
    for picture in client.pictures():
        row, stem = captions.get(picture.stem), picture.stem
        card = _card(
            client, picture, verdicts.get(picture.sha256), stem in out, row.text if row else None, bool(row and row.edited)
        )
        found[card.stem] = card
    return dict(sorted(found.items(), key=lambda item: item[1].order))


def _card(
    client: Client, picture: Picture, verdict: Verdict | None, out: bool, caption: str | None, edited: bool
) -> PictureCard:  # fmt: skip
    folder = client.raw(picture.source)
    original, place = folder / picture.file, f"{folder.name}/{picture.file}"
    group, kind, file = PictureGroup.NEW, folder.name, original
    refused = verdict.rejection if verdict else None
    if out:
        group, kind, file = PictureGroup.OUT, "quarantine", client.quarantine / f"{picture.stem}.png"
    elif verdict and verdict.crop:
        group, kind, file = PictureGroup.ACCEPTED, "processed", client.processed / verdict.crop
    elif refused:
        preview = client.rejected / f"{picture.stem}.png"
        group, kind, file = PictureGroup.REJECTED, "rejected", preview
    small, large = _addresses(client, kind, file, original)
    return PictureCard(
        picture.stem, group, picture.original, place, picture.source, small, large,
        why=refused.sentence if refused else "", cure=refused.reason.cure if refused else "",
        by_hand=bool(verdict and verdict.by_hand), acceptable=bool(refused and verdict and verdict.square),
        faces=verdict.faces if verdict else 0, caption=caption, edited=edited,
    )  # fmt: skip


def _addresses(client: Client, kind: str, file: Path, original: Path) -> tuple[str, str]:
    """Of the small copy and of the picture; of the original where there is no other."""
    if small := small_url(client, kind, file):
        return small, large_url(client, file)
    return small_url(client, original.parent.name, original), large_url(client, original)


def counts(cards: Iterable[PictureCard]) -> dict[PictureGroup, int]:
    """How many stand where."""
    found = dict.fromkeys(PictureGroup, 0)
    for card in cards:
        found[card.group] += 1
    return found
