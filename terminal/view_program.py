"""How the reports about clients as a whole look."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from actions.clients import ClientErased, ClientList, ClientView, ErasePlan, all_of_it
from client_folder.export import MB, ExportedClient
from client_folder.names import complaint_about
from client_folder.restore import RestoredClient
from locales.language import _
from terminal.screens import ROWS, Views, guided


def _clients(report: ClientList) -> RenderableType:
    return Group(*(Text(client.title) for client in report.clients)) if report.clients else Text(_("There is no client yet."))


def _client(report: ClientView) -> RenderableType:
    if not report.class_word:
        return guided(report.client, report.steps)
    sentence = _("Captions and prompts call the client: {trigger} {class_word}. Another word, such as woman or man: --class-word.")
    made = [Text(sentence.format(trigger=report.client.id, class_word=report.class_word))]
    if complaint := complaint_about(report.client.id):
        made.append(Text(f"{complaint.text()} {complaint.cure()}", style="yellow"))
    return Group(*made, guided(report.client, report.steps))


def _erase_plan(plan: ErasePlan) -> RenderableType:
    return Text(_("Erased for good, with its folder: {all}").format(all=all_of_it(plan)), style="bold")


def _erased(report: ClientErased) -> RenderableType:
    erased = Text(_("{client} is erased, {files} files in all.").format(client=report.client, files=report.files))
    return Group(_client_exported(report.exported), erased) if report.exported else erased


def _client_exported(report: ExportedClient) -> RenderableType:
    sentence = _("{client}: {files} files, {size:.1f} MB. On another machine: client import FILE.zip")
    counted = Text(sentence.format(client=report.client, files=report.files, size=report.bytes / MB), style="bold")
    left_out = [Text(f"  {name}") for name in report.left_out[:ROWS]]
    if report.left_out:
        left_out.insert(0, Text(_("Links and odd files were left out: {count}").format(count=len(report.left_out)), style="yellow"))
    return Group(*left_out, counted, Text(f"SHA-256 {report.sha256}"))


def _restored(report: RestoredClient) -> RenderableType:
    facts = {"client": report.client.id, "files": report.files, "size": report.bytes / MB}
    if report.updated:
        said = _("{client} is up to date: {files} files came, {size:.1f} MB.").format(**facts)
    else:
        said = _("{client} is here: {files} files, {size:.1f} MB.").format(**facts)
    lines = [Text(said, style="bold"), Text(str(report.client.root))]
    if report.left_out:
        told = _("Left out, because they were made for the old trigger word: {count} files. Build the dataset and train anew.")
        lines.append(Text(told.format(count=report.left_out), style="yellow"))
    if report.kept:
        told = _("Different here, and kept: {count}. To take those of the file: client import FILE.zip --update --overwrite")
        lines += [Text(told.format(count=len(report.kept)), style="yellow")]
        lines += [Text(f"  {name}") for name in report.kept[:ROWS]]
    return Group(*lines)


VIEWS: Views = {
    ClientList: _clients,
    ClientView: _client,
    ErasePlan: _erase_plan,
    ClientErased: _erased,
    ExportedClient: _client_exported,
    RestoredClient: _restored,
}
