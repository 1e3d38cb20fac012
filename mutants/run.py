"""Small wrong changes to the program, each of which the tests must notice: `python mutants/run.py [NAME ...]`.

`list.toml` says of each mutant which text of which file becomes which other, what a user would get of it, and which tests must fail
then. A mutant is applied in a copy of the tree, never here; its tests run there with `-x`. Before, the same tests must pass in the
copy as it is. NAME is a mutant's, or a package's or file's; none means all of them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
LIST = HERE / "list.toml"
PAGE = ROOT / "docs" / "mutants.md"
SECONDS = 300  # after which a mutant counts as noticed: a test that waits for ever fails too
FAILED, UNLOADABLE = 1, 2  # pytest's exit codes: a test failed, a module could not even be imported


@dataclass(frozen=True, slots=True)
class Mutant:
    """One wrong change; `means` says what a user would get of it."""

    name: str
    file: str
    before: str
    after: str
    means: str
    tests: tuple[str, ...]

    @property
    def package(self) -> str:
        """The folder it is in, `root` for the modules at the top."""
        return self.file.split("/")[0] if "/" in self.file else "root"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a mutant, in how many seconds."""

    mutant: Mutant
    killed: bool
    seconds: float


class BadList(Exception):
    """The list names a text, a test or a mutant that is not there, or tests that fail without any mutant."""


def read_list() -> tuple[Mutant, ...]:
    """Every mutant; raises BadList where two bear one name."""
    rows = tomllib.loads(LIST.read_text(encoding="utf-8"))["mutant"]
    mutants = tuple(Mutant(**{**row, "tests": tuple(row["tests"])}) for row in rows)
    if len({mutant.name for mutant in mutants}) != len(mutants):
        raise BadList("two mutants bear one name")
    return mutants


def mutated(text: str, mutant: Mutant) -> str:
    """A file's text with the wrong change; raises BadList where its place is not there exactly once."""
    if text.count(mutant.before) != 1:
        raise BadList(f"{mutant.name}: its text is {text.count(mutant.before)} times in {mutant.file}")
    return text.replace(mutant.before, mutant.after)


def chosen(names: Sequence[str]) -> tuple[Mutant, ...]:
    """The mutants of those names, packages or files; raises BadList for a name that means none."""
    mutants = read_list()
    for name in names:
        if not any(name in (one.name, one.package, one.file) for one in mutants):
            raise BadList(f"no mutant, package or module is called {name}")
    return tuple(one for one in mutants if not names or {one.name, one.package, one.file} & set(names))


# --- the copy ---------------------------------------------------------------------------------------------------------
def copy_tree(folder: Path) -> Path:
    """A copy of what git knows of the tree or would take in, compiled so that a changed file is always read anew."""
    listed = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in os.fsdecode(listed).split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    compile_all = (sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "checked-hash", ".")
    subprocess.run(compile_all, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder


def run_tests(folder: Path, tests: Iterable[str], *words: str, seconds: float = SECONDS) -> tuple[int, str]:
    """pytest's exit code there and what it said; FAILED where it does not come to an end."""
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *words, *tests)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=os.name != "nt",
    ) as child:  # fmt: skip
        try:
            said, _errors = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            _end(child)
            return FAILED, "it did not come to an end"
        except BaseException:
            _end(child)
            raise
    if child.returncode > UNLOADABLE:  # below 0: a signal ended it, as a crash does
        raise BadList(f"pytest ended with {child.returncode}: {said[-1500:]}")
    return child.returncode, said


def _end(child: subprocess.Popen[str]) -> None:
    """End a run of tests with the programs that it started."""
    if os.name == "nt":
        child.kill()
    else:
        os.killpg(child.pid, signal.SIGKILL)


def check_baseline(folder: Path, mutants: Iterable[Mutant]) -> None:
    """Raises BadList where the tests fail without any mutant: they would seem to notice every one."""
    tests = dict.fromkeys(test for mutant in mutants for test in mutant.tests)
    code, said = run_tests(folder, tests, "-rfE", "--tb=no", seconds=3600)
    if code:
        raise BadList(f"these tests fail without any mutant:\n{said[-3000:]}")


def try_mutant(folder: Path, mutant: Mutant) -> Outcome:
    """Apply a mutant in the copy, run its tests, and take it back."""
    started, path = time.monotonic(), folder / mutant.file
    whole = path.read_text(encoding="utf-8")
    path.write_text(mutated(whole, mutant), encoding="utf-8")
    try:
        code, _said = run_tests(folder, mutant.tests, "-x")
    finally:
        path.write_text(whole, encoding="utf-8")
    return Outcome(mutant, code != 0, time.monotonic() - started)


def try_all(mutants: Sequence[Mutant], jobs: int, baseline: bool) -> list[Outcome]:
    """Every mutant's outcome, in their order, in as many copies at once as `jobs`."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as place, ThreadPoolExecutor(jobs) as pool:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(jobs):
            copies.put(copy_tree(Path(place) / str(number)))
        if baseline:
            check_baseline(Path(place) / "0", mutants)

        def one(mutant: Mutant) -> Outcome:
            folder = copies.get()
            try:
                outcome = try_mutant(folder, mutant)
            finally:
                copies.put(folder)
            print(f"{'killed  ' if outcome.killed else 'SURVIVED'} {outcome.seconds:6.1f} s  {mutant.name}", flush=True)
            return outcome

        try:
            return list(pool.map(one, mutants))
        finally:
            pool.shutdown(cancel_futures=True)  # after Ctrl-C those that have begun end, and no other begins


# --- the score --------------------------------------------------------------------------------------------------------
def score(outcomes: Sequence[Outcome]) -> str:
    """A table by package, and which survive."""
    packages = sorted({outcome.mutant.package for outcome in outcomes})
    rows = ["| package | mutants | killed |", "| --- | --- | --- |"]
    for package in packages:
        some = [outcome for outcome in outcomes if outcome.mutant.package == package]
        rows.append(f"| {package} | {len(some)} | {sum(outcome.killed for outcome in some)} |")
    killed = sum(outcome.killed for outcome in outcomes)
    rows.append(f"| **all** | {len(outcomes)} | {killed} ({killed / len(outcomes):.1%}) |")
    left = [f"- `{one.mutant.name}` ({one.mutant.file}): {one.mutant.means}" for one in outcomes if not one.killed]
    return "\n".join([*rows, "", *(["Which survive:", "", *left] if left else ["None survives."])]) + "\n"


def write_page(outcomes: Sequence[Outcome]) -> None:
    """The page of the documents that shows the last score."""
    told = (
        "# Mutants\n\n"
        "What the tests notice: each entry of [mutants/list.toml](../mutants/list.toml) is one small wrong change to the program "
        "and the tests that must fail then. `make mutants` tries all of them in a copy of the tree and writes this page; "
        "`.venv/bin/python mutants/run.py training` tries those of a package, `--jobs 2` two at once.\n\n"
    )
    PAGE.write_text(told + score(outcomes), encoding="utf-8")


def main(words: Sequence[str] | None = None) -> int:
    """Exit code 0 where every mutant dies, 1 where one survives, 2 where the list is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="a mutant, a package or a module; none: all")
    parser.add_argument("--jobs", type=int, default=1, help="mutants tried at once, each in a copy of its own")
    parser.add_argument("--no-baseline", action="store_true", help="do not run the tests without any mutant first")
    parser.add_argument("--write", action="store_true", help="write the score into docs/mutants.md")
    wanted = parser.parse_args(words)
    try:
        outcomes = try_all(chosen(wanted.names), max(1, wanted.jobs), not wanted.no_baseline)
    except BadList as wrong:
        print(wrong, file=sys.stderr)
        return 2
    print("\n" + score(outcomes), end="")
    if wanted.write:
        write_page(outcomes)
    return 0 if all(outcome.killed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
