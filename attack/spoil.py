"""Bytes and JSON made wrong, in all the ways in which disks, programs and people do it, and some that only an attacker would."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

HUGE = 10**5000
TEXTS = (
    "",
    " ",
    "..",
    "../../../../victim/secret.txt",
    "/etc/passwd",
    "C:\\Windows\\x",
    "a" * 70_000,
    "\ud83d",
    "\x1b[2J\x1b]0;x\x07",
    "[/b]",
    "[red]",
    "=1+1",
    "\0",
    "a\nb",
    "{",
    "{0.__class__}",
    "%s",
    "nan",
    "1e999",
    "true",
)


def deep(levels: int) -> str:
    """JSON that is nested so deep."""
    return "[" * levels + "]" * levels


def spoiled_bytes(data: bytes, chance: random.Random) -> tuple[str, bytes]:
    """A file with something wrong in its bytes, and what."""
    at = chance.randrange(len(data) + 1)
    some = chance.randbytes(chance.randint(1, 40))
    ways: tuple[tuple[str, Callable[[], bytes]], ...] = (
        ("empty", lambda: b""),
        ("cut off", lambda: data[:at]),
        ("last byte missing", lambda: data[:-1]),
        ("zeros from the middle", lambda: data[:at] + bytes(len(data) - at)),
        ("all zeros", lambda: bytes(len(data))),
        (
            "one bit",
            lambda: data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :] if at < len(data) else data,
        ),
        ("some bytes", lambda: data[:at] + some + data[at + len(some) :]),
        ("bytes put in", lambda: data[:at] + some + data[at:]),
        ("bytes taken out", lambda: data[:at] + data[at + len(some) :]),
        ("twice", lambda: data + data),
        ("noise", lambda: chance.randbytes(chance.randint(1, 4000))),
        ("text", lambda: b"This is no such file.\n"),
        ("a block of 0xFF", lambda: data[:at] + b"\xff" * 16 + data[at + 16 :]),
    )
    name, way = chance.choice(ways)
    return name, way()


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += _places(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value[:6]):
            found += _places(inner, (*path, number))
    return found


def _parent(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path[:-1]:
        value = value[key]
    return value


def _written(value: Any) -> bytes:
    return json.dumps(value, indent=2).encode()


def spoiled_json(data: bytes, chance: random.Random) -> tuple[str, bytes]:
    """A JSON file with another value somewhere, and what was changed."""
    value = json.loads(data)
    path = chance.choice(_places(value))
    if not path or chance.random() < 0.25:
        return _whole_json(value, data, chance)
    changed = copy.deepcopy(value)
    parent, key = _parent(changed, path), path[-1]
    wrong: tuple[Any, ...] = (
        None,
        True,
        -1,
        0,
        10**12,
        0.5,
        float("nan"),
        float("inf"),
        HUGE,
        [],
        {},
        [None],
        {"a": 1},
        [[]],
        *(chance.choice(TEXTS),) * 6,
    )
    way = chance.choice(("value", "value", "value", "value", "gone", "new", "deep", "longer"))
    if way == "gone":
        del parent[key]
    elif way == "new" and isinstance(parent, dict):
        parent[chance.choice(TEXTS)] = chance.choice(TEXTS)
    elif way == "longer" and isinstance(parent[key], list):
        parent[key] = parent[key] * 3
    elif way == "deep":
        parent[key] = "@@"
        return f"deep at {path}", _written(changed).replace(b'"@@"', deep(chance.choice((200, 3000, 100_000))).encode())
    else:
        new = chance.choice(wrong)
        if new is HUGE:
            parent[key] = "@@"
            return f"huge at {path}", _written(changed).replace(b'"@@"', b"9" * 5000)
        parent[key] = new
        return f"{str(new)[:20]!r} at {path}", _written(changed)
    return f"{way} at {path}", _written(changed)


def _whole_json(value: Any, data: bytes, chance: random.Random) -> tuple[str, bytes]:
    """Another thing in place of the whole record, or the same in other clothes."""
    ways: tuple[tuple[str, bytes], ...] = (
        ("null", b"null"),
        ("a list", b"[]"),
        ("an object", b"{}"),
        ("a number", b"7"),
        ("a text", b'"x"'),
        ("NaN", b"NaN"),
        ("deep", deep(100_000).encode()),
        ("deep objects", b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
        ("with a mark of order", b"\xef\xbb\xbf" + data),
        ("UTF-16", data.decode(errors="replace").encode("utf-16", "surrogatepass")),
        ("Latin-1", data + b"\xe9\xff"),
        ("a comment", b"// x\n" + data),
        ("a comma more", data.rstrip()[:-1] + b",}"),
        ("two values", data + b"{}"),
        ("a list of it", b"[" + data + b"]"),
        ("schema of the future", data.replace(b'"schema": 1', b'"schema": 99')),
        ("keys twice", data.rstrip()[:-1] + b', "schema": 1, "schema": 2}'),
        ("half a surrogate", data.replace(b'": "', b'": "\\ud83d', 1)),
    )
    return chance.choice(ways)
