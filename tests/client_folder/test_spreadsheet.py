"""Tables of other people's words: no cell is run as a formula, and nothing else of it changes."""

from __future__ import annotations

import csv

import pytest

from client_folder.spreadsheet import write_spreadsheet


def read_back(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


# OWASP's list of what a spreadsheet program takes for the beginning of a formula.
@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_would_be_a_formula_becomes_text(tmp_path, start):
    cell = f'{start}HYPERLINK("http://x")'
    write_spreadsheet(tmp_path / "a.csv", ("a", "b"), [(cell, "plain")])
    assert read_back(tmp_path / "a.csv") == [["a", "b"], [f"'{cell}", "plain"]]


@pytest.mark.parametrize("cell", ["a=1", "ñandú", "1-2", 'say "hi", twice', "two\nlines", "", "'quoted"])
def test_every_other_cell_comes_back_as_it_was(tmp_path, cell):
    write_spreadsheet(tmp_path / "a.csv", ("a",), [(cell,)])
    assert read_back(tmp_path / "a.csv") == ([["a"], [cell]] if cell else [["a"], [""]])


def test_numbers_stay_numbers(tmp_path):
    write_spreadsheet(tmp_path / "a.csv", ("a", "b"), [(-3, -0.5)])
    assert read_back(tmp_path / "a.csv") == [["a", "b"], ["-3", "-0.5"]]
    assert (tmp_path / "a.csv").read_bytes().startswith(b"\xef\xbb\xbf"), "Excel reads UTF-8 only where this stands first"
