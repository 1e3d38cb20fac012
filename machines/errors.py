"""The errors of several machines that several modules raise."""

from __future__ import annotations

from locales.language import N_
from utils import PipelineError

REQUIREMENTS = "requirements-machines.txt"


class NoScheduler(PipelineError):
    """Facts: address."""

    message = N_("No scheduler answers at {address}.")
    hint = N_("Start it on the PC that has the clients: machines serve. If it runs, look whether a firewall closes its port.")


class LinkDown(PipelineError):
    """Facts: address. The scheduler, or a machine that has not been given up, does not answer just now."""

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
