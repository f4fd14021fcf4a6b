"""pipelines/*.yaml: what is read, and what is refused with file, line and field. Bad files are in expected_failures/."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops.deploy.model import CheckKind
from ops.deploy.pipeline import parse_canary, read_pipeline, with_canary
from ops.errors import UsageError

HERE = Path(__file__).parent
SHIPPED = HERE.parents[1] / "pipelines" / "canary.yaml"
BAD = sorted((HERE / "expected_failures").glob("*.yaml"))


def test_the_shipped_pipeline_says_what_it_says() -> None:
    pipeline = read_pipeline(SHIPPED)
    assert pipeline.steps == tuple(Fraction(s, 100) for s in (1, 5, 25, 50, 100))
    assert (pipeline.passes, pipeline.fails, pipeline.interval_s, pipeline.blind_after_s) == (2, 3, 5.0, 120.0)
    assert (pipeline.min_requests_check, pipeline.min_requests_step, pipeline.confidence) == (20, 50, 0.99)
    errors, latency, refused = pipeline.checks
    assert (errors.kind, errors.max, errors.worse_than_stable) == (CheckKind.ERROR_RATIO, 0.01, 0.005)
    assert (latency.kind, latency.max, latency.worse_than_stable, latency.by_at_least) == (CheckKind.LATENCY, 0.5, 3.0, 0.025)
    assert (refused.kind, refused.worse_than_stable) == (CheckKind.REFUSED_RATIO, 0.05)


@pytest.mark.parametrize("path", BAD, ids=lambda p: p.stem)
def test_a_bad_pipeline_is_refused_in_the_words_it_states(path: Path) -> None:
    """The first lines of each file, `# expected: LINE: TEXT`, are the whole refusal but the file's own name in front."""
    wanted = path.read_text(encoding="utf-8").split("\n", 1)[0].removeprefix("# expected: ")
    with pytest.raises(UsageError) as raised:
        read_pipeline(path)
    assert raised.value.message == f"{path}:{wanted}"


def test_there_is_a_bad_file_for_each_kind_of_mistake() -> None:
    assert len(BAD) >= 30


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("steps: [1%\nname: x\n", r"not YAML.*line"),
        ("a: 1\n---\nb: 2\n", r"not YAML \(one document\).*line 2"),
        ("a: &x 1\nb: *y\n", r"not YAML.*undefined alias"),
        ("\tname: x\n", "not YAML"),
        ("a: \x00\n", "not YAML"),
    ],
)
def test_what_is_not_one_yaml_document_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=said) as raised:
        read_pipeline(path)
    assert raised.value.message.startswith(str(path))
    assert "\n" not in raised.value.message


@pytest.mark.parametrize("text", ["", "# only a comment\n", "- a\n- b\n", "just words\n"])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"p.yaml:1: expected a mapping of settings"):
        read_pipeline(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent.yaml: cannot be read: No such file"):
        read_pipeline(tmp_path / "absent.yaml")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_pipeline(path)


FIELDS = [
    "name", "steps", "interval", "passes", "fails", "min_requests", "per_check", "per_step", "blind_after", "step_timeout", "ready_timeout",
    "lease", "checks", "kind", "max",
]  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_without_a_default_is_asked_for_by_name(tmp_path: Path, field: str) -> None:
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    path = tmp_path / "p.yaml"
    index = next(i for i, line in enumerate(lines) if re.match(rf"\s*(- )?{field}:", line))
    indent = len(lines[index]) - len(lines[index].lstrip())
    end = index + 1
    while end < len(lines) and lines[end].strip() and len(lines[end]) - len(lines[end].lstrip()) > indent:
        end += 1
    path.write_text("\n".join([*lines[:index], *lines[end:]]) + "\n", encoding="utf-8")
    with pytest.raises(UsageError, match=rf"p.yaml:\d+: ([\w.\[\]]+\.)?{field}: is missing"):
        read_pipeline(path)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage_to_the_file_is_read_or_refused_with_its_name(tmp_path: Path, data: st.DataObject) -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 20))
    put = data.draw(st.text(alphabet=st.sampled_from(list("[]{}:-%&*!|>'\"#\n\t 019a~?,@`")), max_size=8))
    path = tmp_path / "p.yaml"
    path.write_text(text[:at] + put + text[at + cut :], encoding="utf-8")
    try:
        assert read_pipeline(path).steps[-1] == 1
    except UsageError as error:
        assert str(path) in error.message


@pytest.mark.parametrize(("text", "share"), [("1%", "1/100"), ("0.1%", "1/1000"), ("100%", "1"), (" 5 % ", "1/20"), ("0.05%", "1/2000")])
def test_canary_shares_are_exact(text: str, share: str) -> None:
    assert parse_canary(text) == Fraction(share)


@pytest.mark.parametrize(
    "text", ["0%", "0.0%", "101%", "100.1%", "1", "0.01", "abc", "", "%", "1%%", "-1%", "+1%", "1e2%", "nan%", "1 percent"]
)
def test_other_canary_shares_are_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(UsageError, match="--canary: ") as raised:
        parse_canary(text)
    assert "1%" in raised.value.message + raised.value.hint


def test_the_canary_option_is_the_first_step_and_larger_ones_follow() -> None:
    pipeline = read_pipeline(SHIPPED)
    assert with_canary(pipeline, None) is pipeline
    assert [str(s) for s in with_canary(pipeline, Fraction(1, 1000)).steps] == ["1/1000", "1/100", "1/20", "1/4", "1/2", "1"]
    assert [str(s) for s in with_canary(pipeline, Fraction(1, 4)).steps] == ["1/4", "1/2", "1"]
    assert with_canary(pipeline, Fraction(1)).steps == (Fraction(1),)
