"""The action that examines: this machine, or with a client its dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

from actions.action import Action, Answer, Rounded4, Stage
from actions.journey import how_far
from actions.request import Ask, Job, Menu, Request
from client_folder.client import last_used_first, list_clients, open_client
from dataset import doctor as dataset_doctor
from dataset.doctor import Examination, Spread
from dataset.findings import Readiness
from dataset.signs import Sign, Symptom
from locales.language import N_, _
from training.machine_doctor import MachineReport, examine_machine


def _patients(job: Job[DoctorRequest]) -> list[tuple[str, str]]:
    """This machine, and every client, the last used first."""
    clients = last_used_first(job.home)
    return [("", _("this machine")), *((client.id, f"{client.title:<28} {how_far(client)}") for client in clients)]


class DoctorRequest(Request):
    """Whose dataset is to be examined; nobody's: this machine is."""

    client: Annotated[
        str,
        Ask(
            N_("examine the dataset of this client"), "--client", "ID",
            menu=Menu.CHOICE, offer=_patients, when=lambda job: job.client is None and bool(list_clients(job.home)),
        ),
    ] = ""  # fmt: skip


def _examine(job: Job[DoctorRequest]) -> Stage:
    client = job.client or (open_client(job.home, job.request.client) if job.request.client else None)
    if client is None:
        return (yield from examine_machine(job.home, job.settings))
    return dataset_doctor.examine(client, job.settings)


# --- what is answered -------------------------------------------------------------------------------------------------
class CheckAnswer(Answer):
    """One thing looked at; `cure` says in the user's language what to do where it is not well, `command` how exactly."""

    label: str
    found: str
    well: bool
    cure: str
    command: str


class MachineAnswer(Answer):
    """Everything that was looked at, in the order it matters."""

    checks: tuple[CheckAnswer, ...]

    @classmethod
    def of(cls, report: MachineReport) -> Self:
        """The report; what is well has no cure."""
        return cls(
            checks=tuple(
                CheckAnswer(
                    label=check.label, found=check.found, well=check.well, cure="" if check.well else _(check.cure),
                    command=check.command,
                )
                for check in report.checks
            )
        )  # fmt: skip


class NamedPicture(Answer):
    """A picture of the dataset, and the name that the user knows it by."""

    picture: str
    source: str


class FindingAnswer(Answer):
    """What the doctor found, in the user's language, `detail` with what was measured; `quarantine` it would take out."""

    code: Sign
    level: str
    pictures: tuple[NamedPicture, ...]
    reason: str
    remedy: str
    detail: str
    measured: Rounded4
    limit: Rounded4
    quarantine: tuple[str, ...]

    @classmethod
    def about(cls, found: Symptom, names: dict[str, str]) -> Self:
        """A finding; `names` are what the user calls the pictures."""
        return cls(
            code=found.sign, level=found.level.name.lower().replace("_", "-"),
            pictures=tuple(NamedPicture(picture=f"{stem}.png", source=names.get(stem, stem)) for stem in found.pictures),
            reason=found.sentence, remedy=found.sign.remedy, detail=found.detail, measured=found.measured, limit=found.limit,
            quarantine=tuple(f"{stem}.png" for stem in found.cure_by_removing),
        )  # fmt: skip


class ExaminationAnswer(Answer):
    """Go, go with warnings, or no-go, and why; `effective` are the pictures after near-duplicates."""

    verdict: Readiness
    reason: str
    findings: tuple[FindingAnswer, ...]
    images: int
    effective: int
    share_real: Rounded4
    spread: Spread

    @classmethod
    def of(cls, report: Examination) -> Self:
        """The report, with its words."""
        return cls(
            verdict=report.verdict, reason=report.reason.sentence if report.reason else "",
            findings=tuple(FindingAnswer.about(symptom, report.names) for symptom in report.symptoms), images=report.images,
            effective=report.effective, share_real=report.share_real, spread=report.spread,
        )  # fmt: skip


def answer(report: MachineReport | Examination) -> MachineAnswer | ExaminationAnswer:
    """What was examined, as it is answered."""
    return MachineAnswer.of(report) if isinstance(report, MachineReport) else ExaminationAnswer.of(report)


def what_helps(report: Examination) -> tuple[str, ...]:
    """The action that answers what was found: who the client is first, for without that nobody knows whom to take out."""
    if any(symptom.sign in (Sign.SEVERAL_PEOPLE, Sign.SEVERAL_DRAWN) for symptom in report.symptoms):
        return ("who",)
    return ("quarantine",) if any(symptom.cure_by_removing for symptom in report.symptoms) else ()


def _next(_job: Job[DoctorRequest], report: MachineReport | Examination) -> Sequence[str]:
    return () if isinstance(report, MachineReport) else what_helps(report)


DOCTOR = Action("doctor", DoctorRequest, _examine, answer, changes=False, lasts=lambda request: not request.client, then=_next)
ACTIONS = (DOCTOR,)
