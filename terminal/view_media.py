"""How transcripts look, planned and written."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from locales.language import _, ngettext
from media.transcription import TranscriptPlan, TranscriptReport
from terminal.screens import Views

ROWS = 8  # recordings named one by one
EXCERPT = 400  # letters of a transcript that are shown


def _transcript_plan(plan: TranscriptPlan) -> RenderableType:
    count = len(plan.recordings)
    said = ngettext(
        "{count} recording, {missing} to listen to, with faster-whisper {model}.",
        "{count} recordings, {missing} to listen to, with faster-whisper {model}.",
        count,
    )
    return Text(said.format(count=count, missing=plan.missing, model=plan.model))


def _transcripts(report: TranscriptReport) -> RenderableType:
    lines: list[RenderableType] = []
    for one in report.transcripts[:ROWS]:
        sentence = _("  {recording}: {seconds:.0f} s, {language}, {words} words, computed on {device} -> {file}")
        lines.append(
            Text(
                sentence.format(
                    recording=one.recording,
                    seconds=one.seconds,
                    language=one.language,
                    words=one.words,
                    device=one.device,
                    file=one.file,
                )
            )
        )
    if len(report.transcripts) == 1:
        text = report.transcripts[0].file.read_text(encoding="utf-8").strip()
        excerpt = (text[:EXCERPT] + ("..." if len(text) > EXCERPT else "")) or _("Nothing was said.")
        lines += [Text(line) for line in excerpt.splitlines()]
    here = len(report.transcripts) - report.made
    made = ngettext("{count} transcript written", "{count} transcripts written", report.made).format(count=report.made)
    if here:
        made += ", " + ngettext("{count} was there", "{count} were there", here).format(count=here)
    return Group(Text(made, style="bold"), *lines)


VIEWS: Views = {TranscriptPlan: _transcript_plan, TranscriptReport: _transcripts}
