"""The errors of several machines that several modules raise."""

from __future__ import annotations

from locales.language import N_
from utils import PipelineError

REQUIREMENTS = "requirements-machines.txt"


class NoScheduler(PipelineError):
    """Facts: address."""

    message = N_("No scheduler answers at {address}.")
    hint = N_("Start it on the PC that has the clients: machines serve. If it runs, look whether a firewall closes its port.")


class WrongKey(PipelineError):
    """Facts: address."""

    message = N_("The scheduler at {address} has another joining key.")
    hint = N_("Copy the key again from where it was started: machines shows it there.")


class NotAKey(PipelineError):
    """Facts: letters."""

    message = N_("That is no joining key: it has {letters} letters and digits, as in ABCD-EFGH-...")
    hint = N_("Copy the key whole from where the scheduler was started: machines shows it there.")


class NameTaken(PipelineError):
    """Facts: name."""

    message = N_('A machine "{name}" has joined already.')
    hint = N_("Give this one another name: --name NAME")


class LinkDown(PipelineError):
    """The scheduler, or a machine that has not been given up, does not answer just now. Facts: address."""

    message = N_("The scheduler at {address} does not answer.")
    hint = N_("Start it again: machines serve. What the machines have finished meanwhile comes home then.")


class MachineLost(PipelineError):
    """Facts: machine."""

    message = N_("{machine} is gone, or was started anew.")
    hint = N_("Its work goes on elsewhere from the last state that came home. Join it again: machines join")


class JobNotHere(PipelineError):
    """Facts: job."""

    message = N_("This machine knows nothing of {job}.")
    hint = N_("It goes on elsewhere by itself.")


class ParcelDamaged(PipelineError):
    """Facts: path, expected, found."""

    message = N_("{path} did not arrive as it was sent: its SHA-256 is {found}, not {expected}.")
    hint = N_("Nothing of it was taken in. The same queue again sends it once more.")


class StillChanging(PipelineError):
    """Facts: path."""

    message = N_("{path} was removed by the trainer while it was packed.")
    hint = N_("It is packed again by itself.")


class NotWhole(PipelineError):
    """Facts: client, machine."""

    message = N_("{machine} says that {client} is trained, but sent no whole LoRA of that plan.")
    hint = N_("Nothing that was there is lost. The same queue again goes on from the last state.")
