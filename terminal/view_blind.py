"""How the blind test looks: a pair beside a photo, how far the test is, and how often the person and the exam agree."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from exam.agreement import Agreement, Concord
from exam.blind import BlindReport, ShownPair
from exam.words import agreement_said
from locales.language import N_, _
from terminal.picture import Protocol, pictures, protocol
from terminal.screens import Views

PAIR_COLUMNS = 76
PAIR = N_("Pair {number} of {pairs}. Esc stops; what was answered stays, and the test goes on later.")
ANSWERED = N_("{answered} of {pairs} pairs answered.")


class _Pair:
    """Photo, left and right portrait; where pictures cannot be shown, or only coarsely, the file that shows all three."""

    def __init__(self, pair: ShownPair) -> None:
        self._pair = pair

    def __rich_console__(self, console: Console, _options: ConsoleOptions) -> RenderResult:
        """The pictures, and the path."""
        pair = self._pair
        captions = (_("photo"), _("left"), _("right"))
        yield pictures((pair.photo, pair.left, pair.right), PAIR_COLUMNS, captions)
        if protocol(console) in (Protocol.OFF, Protocol.BLOCKS):
            yield Text(str(pair.picture), overflow="fold")


def _pair(pair: ShownPair) -> RenderableType:
    return Group(Text(_(PAIR).format(number=pair.number, pairs=pair.pairs), style="bold"), _Pair(pair))


def _report(report: BlindReport) -> RenderableType:
    """How far it is; what the answers say is told once all are given, so that nobody answers by it."""
    lines: list[RenderableType] = [Text(_(ANSWERED).format(answered=report.answered, pairs=report.pairs))]
    return Group(*lines, *([] if report.waiting else agreement_lines(report.agreement)))


def agreement_lines(agreement: Agreement | None) -> list[RenderableType]:
    """What a person's answers say of the exam."""
    looks = ["bold", "green" if agreement.word is Concord.AGREES else "yellow", ""] if agreement else [""]
    return [Text(said, style=look) for said, look in zip(agreement_said(agreement), looks, strict=False)]


VIEWS: Views = {BlindReport: _report, ShownPair: _pair}
