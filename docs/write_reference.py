"""Writes what the pages of `docs/` say of the code out of the code: `python docs/write_reference.py`.

A page holds a generated block between two comments, `<!-- generated: NAME -->` and `<!-- end -->`; `BLOCKS` names the function that
writes it. With `--check` nothing is written: the pages that are not what the code says are printed, and the exit code is 1.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # the program's modules, wherever this was started from

from pydantic import BaseModel  # noqa: E402

from actions.reference import ActionReference, FlagReference, actions_reference  # noqa: E402
from config import PRESETS, DatasetDistribution, QualityLimits, RawLimits, Settings  # noqa: E402
from machine.cards import GPU_PROFILES  # noqa: E402
from machine.models import MODELS, USUAL, Origin  # noqa: E402

BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_UNIT = re.compile(r" \[(.+)\]$")  # behind a description, where a setting has a unit
_SENTENCE_END = re.compile(r"(?<=[.!?])\s")


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; a bar inside a cell would end it."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines) + "\n"


def _default(value: object) -> str:
    """A default as `settings NAME=VALUE` would take it."""
    if isinstance(value, BaseModel):
        return "(its own defaults)"
    if isinstance(value, tuple):
        return f"`{','.join(map(str, value))}`"
    return f"`{value}`" if value != "" else "(empty)"


def fields(model: type[BaseModel], prefix: str = "") -> str:
    """Every field of a settings model: name as `settings` takes it, default, range, unit, meaning."""
    rows = []
    for field, info in model.model_fields.items():
        limits = {type(limit).__name__: limit for limit in info.metadata}
        low, high = getattr(limits.get("Ge"), "ge", None), getattr(limits.get("Le"), "le", None)
        extent = f"{low} to {high}" if high is not None else f"{low} and more" if low is not None else ""
        unit = _UNIT.search(info.description or "")
        meaning = _UNIT.sub("", info.description or "")
        rows.append((f"`{prefix}{info.alias or field}`", _default(info.default), extent, unit[1] if unit else "", meaning))
    return _table(("key", "default", "range", "unit", "meaning"), rows)


def actions() -> str:
    """Every action in the order of the help, each with its words, its options and the keys of its answer."""
    described = actions_reference()
    index = _table(("action", "what it does"), [(f"[`{one.name}`](#{one.name})", one.label) for one in described])
    return "\n".join((index, *map(_action, described)))


def _action(action: ActionReference) -> str:
    rows = [_flag_row(flag) for flag in action.flags]
    parts = [f"### `{action.name}`\n{action.label}. {action.about}\n"]
    if rows:
        parts.append(_table(("word or option", "choices", "default", "meaning"), rows))
    answers = "; or ".join(_codes(keys) for keys in action.answers)
    plan = f" With `--plan`: {_codes(action.plan)}." if action.plan else ""
    parts.append(f"Keys of the `--json` answer: {answers}.{plan}\n")
    return "\n".join(parts)


def _flag_row(flag: FlagReference) -> tuple[str, ...]:
    option = flag.flag.startswith("-")
    shown = f"{flag.flag} {flag.metavar}".strip() if option else flag.metavar or flag.flag
    again = " (may be repeated)" if option else " (one or more)" if flag.required else " (any number)"
    default = "needed" if flag.required else f"`{flag.default}`" if flag.default else ""
    return f"`{shown}`{again if flag.repeatable else ''}", _codes(flag.choices), default, flag.help.rstrip(":")


def _codes(words: Sequence[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def cards() -> str:
    """The cards that a training can be planned for."""
    rows = [(card.name, f"{card.vram_gb:g}", f"{card.seconds_per_step:g}") for card in GPU_PROFILES]
    return _table(("card", "video memory, GB", "seconds a step at 1024 px, estimated"), rows)


def presets() -> str:
    """The presets of a training."""
    return _table(
        ("preset", "steps", "learning rate"), [(preset.name, str(preset.steps), str(preset.learning_rate)) for preset in PRESETS]
    )


def models() -> str:
    """Every model that `models preload` knows, with its size and licence."""
    rows = []
    for model in MODELS:
        usual = "yes" if model.name in USUAL else ""
        size = f"{model.bytes / 1e9:.2g}" if model.origin is not Origin.HERE else "comes with the program"
        rows.append((f"`{model.name}`", model.title, size, model.licence, usual))
    return _table(("name", "model", "GB to download", "licence", "fetched where none is named"), rows)


def modules() -> str:
    """Every package and module of the repository with the first sentence of its docstring; of test files the names alone."""
    packages = [folder for path in sorted(ROOT.glob("*/__init__.py")) for folder in (path.parent, *_packages_in(path.parent))]
    parts = ["### At the top\n" + _module_lines(sorted(ROOT.glob("*.py")))]
    for folder in packages:
        lines = _module_lines(path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py")
        parts.append(f"### `{folder.relative_to(ROOT).as_posix()}/`\n{first_sentence(folder / '__init__.py')}\n\n{lines}")
    parts.append("### `docs/`\n" + _module_lines(sorted(DOCS.glob("*.py"))))
    return "\n".join((*parts, "### `tests/`\n" + _test_lines(ROOT / "tests")))


def _packages_in(folder: Path) -> list[Path]:
    return [path.parent for path in sorted(folder.glob("*/__init__.py"))]


def _module_lines(paths: Iterable[Path]) -> str:
    return "".join(f"- `{path.name}`: {first_sentence(path)}\n" for path in paths)


def _test_lines(tests: Path) -> str:
    """What tests share, a line each; then the tests by folder."""
    by_folder: dict[str, list[str]] = {}
    shared = []
    for path in sorted(tests.rglob("*.py")):
        name, folder = path.relative_to(tests).as_posix(), path.parent.relative_to(tests).as_posix()
        if path.name.startswith("test_"):
            by_folder.setdefault(folder, []).append(path.name)
        else:
            shared.append(f"- `{name}`: {first_sentence(path)}\n")
    own = (
        f"- {'at the top' if folder == '.' else f'`{folder}/`'}: {_codes(names)}\n" for folder, names in sorted(by_folder.items())
    )
    return "".join((*shared, *own))


def first_sentence(path: Path) -> str:
    """The first sentence of a module's docstring, on one line; raises ValueError where it has none."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not docstring:
        raise ValueError(f"{path} has no docstring")
    paragraph = docstring.split("\n\n")[0]
    return _SENTENCE_END.split(" ".join(paragraph.split()), maxsplit=1)[0]


BLOCKS: dict[str, Callable[[], str]] = {
    "settings": lambda: fields(Settings),
    "quality": lambda: fields(QualityLimits, "quality."),
    "raw": lambda: fields(RawLimits, "quality.raw."),
    "distribution": lambda: fields(DatasetDistribution, "distribution."),
    "cards": cards,
    "presets": presets,
    "models": models,
    "actions": actions,
    "modules": modules,
}


def written(page: str) -> str:
    """The text of a page with each generated block as the code says; raises KeyError for a block that no function writes."""
    return BLOCK.sub(lambda found: f"{found[1]}{BLOCKS[found[2]]()}{found[3]}", page)


def main(argv: Sequence[str]) -> int:
    """Write the pages, or with `--check` only say which are stale; returns the exit code."""
    stale = [page for page in sorted(DOCS.rglob("*.md")) if (text := page.read_text(encoding="utf-8")) != written(text)]
    for page in stale:
        print(page.relative_to(ROOT).as_posix())
        if "--check" not in argv:
            page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
    return 1 if stale and "--check" in argv else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
