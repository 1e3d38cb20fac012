"""How the blind test looks: a pair beside a photo, how far the test is, and how often the person and the exam agree."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from exam.agreement import Agreement, Concord
from exam.blind import BlindReport, ShownPair
from locales.language import N_, _, ngettext
from terminal.picture import Protocol, pictures, protocol
from terminal.screens import Views

PAIR_COLUMNS = 76
PAIR = N_("Pair {number} of {pairs}. Esc stops; what was answered stays, and the test goes on later.")
ANSWERED = N_("{answered} of {pairs} pairs answered.")
AGREED = N_(
    "You agreed with the exam in {agreed} of {counted} pairs: {share:.0%}, between {low:.0%} and {high:.0%}, nine times in ten."
)
CONCORDS = {
    Concord.AGREES: N_("That is more than chance: your eyes and the exam see the same."),
    Concord.CHANCE: N_("That is no more than chance: so far your answers neither support the exam nor speak against it."),
    Concord.DISAGREES: N_("That is less than chance: your eyes say the opposite of the exam. Choose the checkpoint by eye."),
}


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
    if agreement is None:
        return [Text(_("No answer chose a side, so there is nothing to compare the exam with."))]
    found = agreement.model_dump(include={"agreed", "counted", "share", "low", "high"})
    look = "green" if agreement.word is Concord.AGREES else "yellow"
    lines: list[RenderableType] = [Text(_(AGREED).format(**found), style="bold"), Text(_(CONCORDS[agreement.word]), style=look)]
    if agreement.same:
        same = ngettext(
            "{count} time you saw no difference; it is not counted.",
            "{count} times you saw no difference; they are not counted.",
            agreement.same,
        )
        lines.append(Text(same.format(count=agreement.same)))
    return lines


VIEWS: Views = {BlindReport: _report, ShownPair: _pair}
