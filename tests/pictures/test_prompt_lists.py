"""Lists of prompts as people and programs write them, whom they speak of, and what of them cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pictures.prompt_lists import BrokenList, TextOf, match, read_list, read_text

JOB = "a7421d2f-b262-44f9-977c-ac23e9c7d3e3"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"file,prompt\na.png,a cat --v 7\n", TextOf("a cat --v 7", file="a.png")),
        ("\ufefffile;prompt\r\na.png;una niña, luz --v 7\r\n".encode(), TextOf("una niña, luz --v 7", file="a.png")),
        ("Archivo;Prompt\na.png;una niña\n".encode("cp1252"), TextOf("una niña", file="a.png")),
        ("File\tFull prompt\na.png\ta cat\n".encode("utf-16"), TextOf("a cat", file="a.png")),
        (b'file,prompt\n"a.png","two\nlines, one ""prompt"""\n', TextOf('two\nlines, one "prompt"', file="a.png")),
        (f"uuid,prompt\n{JOB.upper()},a cat\n".encode(), TextOf("a cat", job=JOB)),
        (b"file,prompt,ar,no,v,tile\na.png,a cat,3:2,\"hat, dog\",7,true\n",
         TextOf("a cat --ar 3:2 --v 7 --no hat, dog --tile", file="a.png")),
        (b"file,prompt\na.png,'=cat\n", TextOf("=cat", file="a.png")),
        (b"file,discord\na.png,**a cat** - <@1> (fast)\n", TextOf("**a cat** - <@1> (fast)", file="a.png", discord=True)),
        (b"Content,Attachments\n**a cat** - <@1>,https://cdn.x/1/a%20b.png?ex=1\n",
         TextOf("**a cat** - <@1>", file="a b.png", discord=True)),
    ],
)  # fmt: skip
def test_tables_are_read_however_they_were_saved(tmp_path: Path, data: bytes, told: TextOf) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(data)
    (found,) = read_list(path)
    assert sorted(found.text.split(" --")) == sorted(told.text.split(" --"))
    assert (found.file, found.job, found.discord) == (told.file, told.job, told.discord)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([{"file": "a.png", "prompt": "a cat"}], TextOf("a cat", file="a.png")),
        ({"images": [{"filename": "a.png", "description": "a cat"}]}, TextOf("a cat", file="a.png")),
        ({"a.png": "a cat"}, TextOf("a cat", file="a.png")),
        ({JOB: "a cat"}, TextOf("a cat", job=JOB)),
        ({"a.png": {"prompt": "a cat", "params": {"v": "7"}}}, TextOf("a cat --v 7", file="a.png")),
        ({"messages": [{"content": "**a** - <@1>", "attachments": [{"fileName": "a.png"}]}]},
         TextOf("**a** - <@1>", file="a.png", discord=True)),
    ],
)  # fmt: skip
def test_json_is_read_in_every_shape(tmp_path: Path, content: object, told: TextOf) -> None:
    path = tmp_path / "list.json"
    path.write_text(json.dumps(content), "utf-8")
    assert read_list(path) == (told,)


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "file\na.png\n", "prompt\na cat\n", "file,prompt\na.png,\n"])
def test_a_table_of_something_else_tells_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    assert read_list(tmp_path / "list.csv") == ()


@pytest.mark.parametrize("text", ["", "[", '{"a": ', "[" * 100_000, "\x00"])
def test_a_broken_list_is_an_error_of_its_own(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.json").write_text(text)
    with pytest.raises(BrokenList):
        read_list(tmp_path / "list.json")


def test_the_text_beside_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(" a cat --v 7\n")
    assert read_text(path) == TextOf("a cat --v 7", file="a")
    path.write_text("")
    assert read_text(path) is None
    path.write_text("word " * 20_000)
    assert read_text(path) is None, "a book is no prompt"


def test_a_name_is_looked_for_beside_its_list_then_anywhere() -> None:
    here, there = Path("/x/here"), Path("/x/there")
    pictures = {here / "a.png": "1", there / "a.png": "2", there / "b.png": "3", there / f"u_{JOB}_0.png": "4"}
    rows = [
        (here, TextOf("own", file="a.png")), (here, TextOf("other", file="b.png")), (here, TextOf("stem", file="B")),
        (Path("/x"), TextOf("ambiguous", file="a.png")), (Path("/x"), TextOf("path", file="there/a.png")),
        (here, TextOf("gone", file="c.png")), (here, TextOf("job", job=JOB)), (here, TextOf("by id", file=f"v_{JOB}_3.png")),
    ]  # fmt: skip
    assert [(key, told.text) for key, told in match(rows, pictures)] == [
        ("1", "own"), ("3", "other"), ("3", "stem"), ("2", "path"), (JOB, "job"), (JOB, "by id")
    ]  # fmt: skip


def test_halves_of_letters_become_question_marks(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text('[{"file": "a\\ud83d.png", "prompt": "a cat \\ud83d"}, {"file": "b.png", "prompt": "\\ud83d\\ude00"}]')
    assert read_list(path) == (TextOf("a cat ?", "a?.png"), TextOf("\N{GRINNING FACE}", "b.png"))
