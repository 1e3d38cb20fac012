"""SIGKILL before any file call and at random instants: the same command again must end whole, as if nothing had happened.

Three kinds: a forked child killed before its n-th changing call (or in the middle of that write), its child process killed so, and
the real command line killed at a random instant, with all it started or alone. Half of those killed are killed once more.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from attack.campaign import Campaign
from attack.compare import differences, digest_of, originals_in, seen_of
from attack.deaths import Death, Ledger
from attack.forks import HOOK, Outcome, act, command_line
from attack.scenes import CLIENT, Stage, check, prepare
from attack.table import ACTIONS, TRAINED, Attacked

_SLOW_SHARE = 0.02  # of the tries that go to actions that take many seconds
_REAL_SHARE = 0.04  # of the tries of quick actions that go through the real command line


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """What a run that nobody disturbs comes to: what is seen then, how many calls it takes, and how long."""

    seen: dict[str, str]
    calls: int
    seconds: float
    child_calls: int = 0


def undisturbed(stage: Stage, action: Attacked) -> Undisturbed:
    """Run an action to its end in peace; raises RuntimeError where it does not end well."""
    stage.set_up(action.scene)
    words, ledger, started = stage.words(action.line), stage.work / "ledger", time.monotonic()
    ledger.unlink(missing_ok=True)
    if action.child:
        death = Death(str(stage.work / "try"), 0, "kill", action.child, str(ledger))
        check(command_line(stage.home, words, stage.out, _hooked(death)).wait(), action.line)
        return Undisturbed(seen_in(stage), 0, time.monotonic() - started, Ledger(str(ledger)).calls)
    outcome = act(stage.home, words, stage.out, Death(str(stage.work / "try")))
    check(outcome, action.line)
    return Undisturbed(seen_in(stage), outcome.calls, time.monotonic() - started)


def _hooked(death: Death) -> dict[str, str]:
    return {"PYTHONPATH": str(HOOK), **death.as_environment()}


def seen_in(stage: Stage) -> dict[str, str]:
    """What is seen where the try works: the home, the pictures given, and archives written beside them."""
    archives = {path.name: digest_of(path) for path in (stage.work / "try").glob("*.zip")}
    return seen_of(stage.home, stage.given) | archives


def _kill(stage: Stage, action: Attacked, wanted: Undisturbed, chance: random.Random) -> tuple[str, Outcome]:
    """Run the action and kill it somewhere; what was done, in words, and how it ended."""
    words, folder = stage.words(action.line), str(stage.work / "try")
    if not (action.child or chance.random() < _REAL_SHARE):
        death = Death(folder, chance.randint(1, max(wanted.calls, 1)), chance.choice(("kill", "kill", "torn")))
        outcome = act(stage.home, words, stage.out, death)
        return f"{death.how} before call {death.call} of {wanted.calls} ({outcome.last_call.replace(folder, '')})", outcome
    if action.child and chance.random() < 0.5:
        ledger = stage.work / "ledger"
        ledger.unlink(missing_ok=True)
        death = Death(
            folder, chance.randint(1, max(wanted.child_calls, 1)), chance.choice(("kill", "torn")), action.child, str(ledger)
        )
        outcome = command_line(stage.home, words, stage.out, _hooked(death)).wait()
        return f"{action.child}: {death.how} before call {death.call} ({Ledger(str(ledger)).last.replace(folder, '')})", outcome
    return _kill_at_random(stage, words, wanted.seconds + 1.0, chance)


def _kill_at_random(stage: Stage, words: list[str], seconds: float, chance: random.Random) -> tuple[str, Outcome]:
    """The real command line, killed at a random instant."""
    import os
    import signal

    child = command_line(stage.home, words, stage.out)
    wait, alone = chance.uniform(0.2, seconds), chance.random() < 0.3
    time.sleep(wait)
    if alone:
        os.kill(child.pid, signal.SIGKILL)
    else:
        child.kill_family()
    return f"the command line {'alone ' if alone else ''}after {wait:.2f} s", child.wait()


def _try(stage: Stage, action: Attacked, wanted: Undisturbed, given: set[str], chance: random.Random) -> tuple[str, list[str]]:
    stage.set_up(action.scene)
    did: list[str] = []
    for _time in range(2 if chance.random() < 0.5 else 1):
        what, outcome = _kill(stage, action, wanted, chance)
        did.append(what)
        if outcome.code is not None and outcome.code >= 0 and (wrong := outcome.wrong(0, 1)):
            return " then ".join(did), wrong
        if lost := lost_originals(stage, action, given):
            return " then ".join(did), lost
        if outcome.code == 0:
            break
    done = _erased(stage) if action.name == "erase" else False
    outcome = act(stage.home, stage.words(action.line), stage.out)
    wrong = outcome.wrong(*(action.ends if not done else (1,)))
    wrong += differences(seen_in(stage), wanted.seen) + lost_originals(stage, action, given) + half_files(stage)
    return " then ".join(did), wrong


def _erased(stage: Stage) -> bool:
    return not (stage.home / "clients" / CLIENT).exists()


def lost_originals(stage: Stage, action: Attacked, given: set[str]) -> list[str]:
    """Pictures that the user gave and that are nowhere any more."""
    if action.name.startswith("erase"):
        return []
    lost = given - stage.originals()
    return [f"LOST: {len(lost)} originals"] if lost else []


def half_files(stage: Stage) -> list[str]:
    """Half-written files that nobody swept."""
    left = [path for path in (stage.work / "try").rglob("*") if path.name.endswith(".part") or path.name.startswith(".partial-")]
    return [f"half a file is left: {path.relative_to(stage.work)}" for path in left[:2]]


def plan_of(rounds: int, quick: bool) -> list[Attacked]:
    """Which action each try attacks: quick ones by their weight, then the slow ones."""
    fast = [action for action in ACTIONS if not action.slow for _each in range(action.weight)]
    if quick:
        fast = [action for action in fast if action.scene not in TRAINED]
    slow = [] if quick else [action for action in ACTIONS if action.slow]
    quick_ones = rounds - int(rounds * _SLOW_SHARE) if slow else rounds  # the slow ones come last: a run may be ended before
    return [fast[number % len(fast)] if number < quick_ones else slow[number % len(slow)] for number in range(rounds)]


def run(campaign: Campaign, stage: Stage, quick: bool) -> None:
    """The campaign."""
    plan = plan_of(campaign.rounds, quick)
    prepare(stage, {action.scene for action in plan})
    stage.set_up("created")
    given, known = originals_in((stage.given,)), dict[str, Undisturbed]()
    for number in campaign.numbers():
        action = plan[number]
        if action.name not in known:
            known[action.name] = undisturbed(stage, action)
            if not quick and (unlike := differences(undisturbed(stage, action).seen, known[action.name].seen)):
                raise RuntimeError(f"{action.name}: two undisturbed runs differ: {', '.join(unlike)}")
        what, wrong = _try(stage, action, known[action.name], given, campaign.chance(number))
        with campaign.trying(number, action.name, f"{action.name}: {what}") as faults:
            faults += wrong
