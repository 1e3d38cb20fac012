"""How a search for settings looks: what it would do, what was tried, and what counts for the client now."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from actions.tuning import TrialRow, TuningReport
from actions.tuning_plan import TuningPlan, in_words
from exam.trials import TrialEnd
from locales.language import N_, _, ngettext
from terminal.screens import Views, practice_lines, table
from training.cost import duration

ENDED = {
    TrialEnd.RUNNING: N_("not at its end"), TrialEnd.WHOLE: "",
    TrialEnd.GIVEN_UP: N_("given up early"), TrialEnd.FAILED: N_("failed"),
}  # fmt: skip
FOUND = N_("Trial {number} is the best: {settings}.")
LACKS = N_("The recommended settings lack {lacks:.0%} of its way from the base to the client, between {low:.0%} and {high:.0%}.")
COUNTS = N_("These settings count for the client from now on: build the dataset and train with them.")
TAKE_BACK = N_('To take it back: this action again, "let the recommended settings count again" (tune --client ID take-back).')
AS_GOOD = N_("Nothing that was tried is clearly better than the recommended settings: they go on counting.")
NONE = N_("None of the settings tried can be recommended; nothing changes.")
KEPT = N_("The dataset and the LoRAs of the client stay as they are.")
ONE_TRIAL = N_("Less than one trial fits into these hours; the recommended settings are tried all the same.")


def _plan(plan: TuningPlan) -> RenderableType:
    rows = table(_("The search"))
    rows.add_row(_("first"), in_words(plan.preset))
    if plan.known:
        rows.add_row(_("then"), _("what won for another client here: {settings}").format(settings=in_words(plan.known)))
    rows.add_row(_("one trial"), duration(plan.trial_seconds))
    rows.add_row(_("time"), _("{hours:g} h, of which {spent:.2f} h are used").format(hours=plan.hours, spent=plan.spent_hours))
    if plan.trials:
        rows.add_row(_("done"), ngettext("{count} trial", "{count} trials", plan.trials).format(count=plan.trials))
    rows.add_row(_("disk"), _("up to {need:.1f} GB while it runs, {free:.0f} GB free").format(need=plan.disk_gb, free=plan.free_gb))
    short = plan.trial_seconds > 3600 * (plan.hours - plan.spent_hours) and not plan.trials
    warnings = [Text(_(ONE_TRIAL), style="yellow")] if short else []
    return Group(rows, *warnings, Text(_(KEPT), style="dim"), *practice_lines(plan.practice))


def _report(report: TuningReport) -> RenderableType:
    if report.taken_back:
        words = _("The recommended settings count again; what counted: {settings}.")
        return Text(words.format(settings=in_words(report.taken_back)))
    lines: list[RenderableType] = [Text(line, style=style) for line, style in _said(report)]
    lines += [Text(f"- {reason.label}", style="yellow") for reason in report.reasons]
    hours = _("{hours:.2f} h used.").format(hours=report.seconds / 3600)
    return Group(*lines, _table(report), Text(f"{hours} {_(KEPT)}", style="dim"), *practice_lines(report.practice))


def _said(report: TuningReport) -> list[tuple[str, str]]:
    """What came out, each sentence with its style."""
    best = report.best
    if best is None:
        return [(_(NONE), "bold")]
    if best.number == 0:
        return [(_(AS_GOOD), "bold")]
    said = [(_(FOUND).format(number=best.number + 1, settings=in_words(best.settings)), "bold")]
    if report.lacks:
        lacks, low, high = report.lacks
        said.append((_(LACKS).format(lacks=lacks, low=max(0.0, low), high=high), ""))
    return [*said, (_(COUNTS), ""), (_(TAKE_BACK), "")]


def _table(report: TuningReport) -> RenderableType:
    rows = table("", _("trial"), _("likeness"), _("interval"), _("settings"), _("remarks"))
    for row in report.trials:
        mark = "*" if report.best and row.number == report.best.number else " "
        rows.add_row(
            f"{mark}{row.number + 1}", *_numbers(row), in_words(row.settings), _(ENDED[row.ended]) if ENDED[row.ended] else ""
        )
    return rows


def _numbers(row: TrialRow) -> tuple[str, str]:
    """Likeness and its interval."""
    if row.score is None or row.low is None or row.high is None:
        return "-", "-"
    return f"{row.score:.0%}", f"{row.low:.0%} ... {row.high:.0%}"


VIEWS: Views = {TuningPlan: _plan, TuningReport: _report}
