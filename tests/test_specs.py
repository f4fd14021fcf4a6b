"""YAML at the edge: each getter says file, line and field when it is not what it should be."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.errors import UsageError
from ops.specs import Section, load, parse_duration_s, parse_percent


@pytest.fixture
def section(tmp_path: Path) -> Callable[[str], Section]:
    def make(text: str) -> Section:
        path = tmp_path / "spec.yaml"
        path.write_text(text, encoding="utf-8")
        return load(path)

    return make


@pytest.mark.parametrize(("text", "exact"), [("1%", "1/100"), ("0.1%", "1/1000"), ("33.333 %", "33333/100000"), ("100%", "1"), ("0%", "0")])
def test_percentages_are_exact(text: str, exact: str) -> None:
    assert parse_percent(text) == Fraction(exact)


@given(st.fractions(0, 100).map(lambda f: round(f, 6)))
def test_every_percentage_is_read_back(percent: Fraction) -> None:
    assert parse_percent(f"{float(percent):.6f}%") == percent / 100


@pytest.mark.parametrize(("text", "seconds"), [("500ms", 0.5), ("5s", 5.0), ("2m", 120.0), ("1.5h", 5400.0), ("0s", 0.0)])
def test_durations_have_units(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "s", "-5s", "5 s", "5sec", "1h30m", "1e3s", "infs", "nan", "5S"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration: write a number with its unit"):
        parse_duration_s(text)


@given(st.text(max_size=12))
def test_any_text_is_a_value_or_a_value_error(text: str) -> None:
    for parse in (parse_percent, parse_duration_s):
        try:
            assert parse(text) >= 0
        except ValueError as error:
            assert repr(text)[1:-1] in str(error) or text in str(error)


WRONG: list[tuple[str, Callable[[Section], Any], str]] = [
    ("a: 1\n", lambda s: s.text("b"), "1: b: is missing"),
    ("a: [1]\n", lambda s: s.text("a"), "1: a: expected one value"),
    ("x: 1\na: {b: 1}\n", lambda s: s.text("a"), "2: a: expected one value"),
    ("a: red\n", lambda s: s.choice("a", ("blue", "green")), "1: a: 'red' is not one of blue, green"),
    ("a: 1.0\n", lambda s: s.integer("a", 0, 9), "1: a: '1.0' is not a whole number"),
    ("a: 0x10\n", lambda s: s.integer("a", 0, 99), "1: a: '0x10' is not a whole number"),
    ("a: 10\n", lambda s: s.integer("a", 0, 9), "1: a: 10 is outside 0..9"),
    ("a: -1\n", lambda s: s.integer("a", 0, 9), "1: a: -1 is outside 0..9"),
    ("a: 1\n", lambda s: s.duration_s("a", 0, 9), "1: a: '1' is not a duration"),
    ("a: 10s\n", lambda s: s.duration_s("a", 0, 9), "1: a: 10s is outside 0s..9s"),
    ("a: 1\n", lambda s: s.percent("a"), "1: a: '1' is not a percentage"),
    ("a: x\n", lambda s: s.factor("a", 0, 9), "1: a: 'x' is not a number"),
    ("a: nan\n", lambda s: s.factor("a", 0, 9), "1: a: nan is outside 0..9"),
    ("a: inf\n", lambda s: s.factor("a", 0, 9), "1: a: inf is outside 0..9"),
    ("a: 1\n", lambda s: s.texts("a"), "1: a: expected a list of values"),
    ("a: [[1]]\n", lambda s: s.texts("a"), "1: a: expected a list of values"),
    ("a: 1\n", lambda s: s.section("a"), "1: a: expected a mapping"),
    ("a: []\n", lambda s: list(s.sections("a")), "1: a: expected a list with at least one entry"),
    ("a:\n  - b: 1\n  - 2\n", lambda s: list(s.sections("a")), "3: a[1]: expected a mapping"),
    ("a:\n  b:\n    c: x\n", lambda s: s.section("a").section("b").integer("c", 0, 1), "3: a.b.c: 'x' is not a whole number"),
    ("a:\n  - b: x\n", lambda s: [n.integer("b", 0, 1) for n in s.sections("a")], "2: a[0].b: 'x' is not a whole number"),
    ("a: 1\na: 2\n", lambda s: s, "2: a: is written twice"),
    ("a:\n  b: 1\n  b: 2\n", lambda s: s.section("a"), "3: a.b: is written twice"),
]


@pytest.mark.parametrize(("text", "get", "said"), WRONG)
def test_what_is_wrong_is_told_with_file_line_and_field(
    section: Callable[[str], Section], tmp_path: Path, text: str, get: Callable[[Section], Any], said: str
) -> None:
    with pytest.raises(UsageError) as raised:
        get(section(text))
    assert raised.value.message.startswith(f"{tmp_path / 'spec.yaml'}:{said}")


def test_defaults_are_taken_when_a_field_is_left_away(section: Callable[[str], Section]) -> None:
    empty = section("x: 1\n")
    assert empty.text("a", "b") == "b"
    assert empty.integer("c", 0, 9, 3) == 3
    assert empty.duration_s("d", 0, 9, "5s") == 5.0
    assert empty.percent("e", "1%") == Fraction(1, 100)
    assert empty.factor("f", 0, 9, "2") == 2.0
    assert not empty.has("a")
    assert empty.has("x")


def test_a_setting_that_nobody_asked_for_is_refused_with_the_nearest_name(section: Callable[[str], Section]) -> None:
    spec = section("interval: 5s\nintervals: 6s\n")
    spec.text("interval")
    with pytest.raises(UsageError, match=r"spec.yaml:2: intervals: is not a setting; did you mean interval\?"):
        spec.done()


def test_a_setting_unlike_any_other_is_refused_with_all_names(section: Callable[[str], Section]) -> None:
    spec = section("a: 1\nqqq: 6s\n")
    spec.text("a")
    with pytest.raises(UsageError, match=r"qqq: is not a setting; known here: a$"):
        spec.done()


def test_an_optional_field_that_was_asked_for_is_known(section: Callable[[str], Section]) -> None:
    spec = section("interval: 5s\n")
    spec.text("interval", "1s")
    spec.text("absent", "")
    spec.done()


def test_values_are_text_until_they_are_asked_for(section: Callable[[str], Section]) -> None:
    """No YAML surprise turns a name into a truth value or a version into a number."""
    spec = section("a: no\nb: 1.10\nc: 2026-01-01\nd: ~\n")
    assert [spec.text(k) for k in "abcd"] == ["no", "1.10", "2026-01-01", "~"]


def test_aliases_of_yaml_are_read(section: Callable[[str], Section]) -> None:
    spec = section("a: &five 5s\nb: *five\n")
    assert spec.duration_s("b", 0, 9) == 5.0


def test_nesting_without_end_is_refused_in_words(tmp_path: Path) -> None:
    deep = tmp_path / "deep.yaml"
    deep.write_text("a: " + "[" * 5000 + "]" * 5000)
    with pytest.raises(UsageError, match="nested too deeply"):
        load(deep)


def test_a_number_of_thousands_of_digits_is_no_whole_number(tmp_path: Path) -> None:
    path = tmp_path / "long.yaml"
    path.write_text("passes: " + "9" * 5000)
    with pytest.raises(UsageError, match="is not a whole number"):
        load(path).integer("passes", 1, 10)
