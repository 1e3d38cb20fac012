"""The action that examines: this machine, or with a client its dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import dataset_doctor
from action_table import Action, Answer, Job, Option, Stage
from client import Client, open_client
from language import N_, _
from machine_doctor import MachineReport, examine_machine


def _patient(job: Job) -> Client | None:
    return job.client or (open_client(job.home, job.options.client) if job.options.client else None)


def _examine(job: Job) -> Stage:
    client = _patient(job)
    if client is None:
        return (yield from examine_machine(job.home, job.settings))
    return dataset_doctor.examine(client, job.settings)


def _answer(report: MachineReport | dataset_doctor.Examination) -> Answer:
    """Every check or finding, with its cure in the user's language."""
    if isinstance(report, MachineReport):
        return {"checks": [{**asdict(check), "cure": "" if check.well else _(check.cure)} for check in report.checks]}
    return {
        "verdict": report.verdict.value, "reason": report.reason.sentence if report.reason else "",
        "findings": [symptom.answer(report.names) for symptom in report.symptoms], "images": report.images,
        "effective": report.effective, "share_real": round(report.share_real, 4), "spread": asdict(report.spread),
    }  # fmt: skip


def _quarantine_next(_job: Job, report: MachineReport | dataset_doctor.Examination) -> Sequence[str]:
    if isinstance(report, MachineReport):
        return ()
    return ("quarantine",) if any(symptom.cure_by_removing for symptom in report.symptoms) else ()


DOCTOR = Action(
    "doctor", _examine, _answer, needs_client=False, changes=False, then=_quarantine_next,
    options=(Option("--client", N_("examine the dataset of this client"), metavar="ID"),),
)  # fmt: skip

ACTIONS = (DOCTOR,)
