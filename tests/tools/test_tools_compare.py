"""`exchange verify-release`: one log through two builds, each in a process of its own."""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
from sample_day import DAY, order, timed

from engine import __version__, _core
from engine.tools import builds
from engine.tools.edge import LogFiles, open_log
from engine.tools.stream import digests, reports
from engine.types import Side


def asked(day, old: object, new: object, *arguments: object) -> list[object]:
    return ["verify-release", old, new, "--log", day.log_dir, "--instruments", day.instruments, *arguments]


ANOTHER = """#!{python}
import json, subprocess, sys
lines = subprocess.run([{python!r}, *sys.argv[1:]], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
for line in map(json.loads, lines):
{change}
    print(json.dumps(line))
"""


@pytest.fixture
def another(tmp_path):
    """A build that runs this one and then changes what it says."""

    def make(change: str) -> Path:
        path = tmp_path / "another"
        body = "\n".join(f"    {line}" for line in change.splitlines())
        path.write_text(ANOTHER.format(python=sys.executable, change=body))
        path.chmod(0o755)
        return path

    return make


WORSE_PRICE = """\
if "digest" in line: line["digest"] = "0"
if line.get("seq_num") == 7 and "command" in line: line["reports"][1]["last_px_ticks"] += 1"""


def test_a_build_is_the_same_as_itself(exchange, day):
    ran = exchange(*asked(day, "installed", sys.executable))
    assert ran.code == 0
    assert "same: 19 commands give the same" in ran.out
    assert f"old: installed ({__version__}, commit" in ran.out


def test_the_first_difference_is_shown_field_by_field(exchange, day, another):
    ran = exchange(*asked(day, "installed", another(WORSE_PRICE)))
    assert ran.code == 3
    assert "different: the first difference is at seq_num 7, partition 0" in ran.out
    assert "command: new_order" in ran.out and "firm=7" in ran.out
    assert "report 2 of it:" in ran.out
    (line,) = [line for line in ran.out.splitlines() if "<- differs" in line]
    assert line.split() == ["last_px_ticks", "15010", "15011", "<-", "differs"]


def test_the_difference_as_json_has_both_reports(exchange, day, another):
    ran = exchange(*asked(day, another(WORSE_PRICE), "installed", "--output", "json"))
    found = json.loads(ran.out)
    assert ran.code == 3 and not found["same"]
    assert (found["difference"]["seq_num"], found["difference"]["report"]) == (7, 2)
    assert (found["difference"]["old"]["last_px_ticks"], found["difference"]["new"]["last_px_ticks"]) == (15011, 15010)


NO_LAST_REPORT = """\
if "digest" in line: line["digest"] = "0"
if line.get("seq_num") == 4 and "command" in line: line["reports"].pop()"""
OTHER_DIGEST = 'if "digest" in line: line["digest"] = "0"'


@pytest.mark.parametrize(
    ("change", "said"),
    [(NO_LAST_REPORT, "no report"), (OTHER_DIGEST, "no field that both builds report differs")],
    ids=["a report is missing", "only the digest differs"],
)
def test_a_report_too_few_and_a_digest_alone_are_told_apart(exchange, day, another, change, said):
    ran = exchange(*asked(day, "installed", another(change)))
    assert ran.code == 3 and said in ran.out


def test_a_state_that_differs_without_a_report_is_a_note(exchange, day, another):
    ran = exchange(*asked(day, "installed", another('if "state_hash" in line: line["state_hash"] = "0"')))
    assert ran.code == 0 and "note: the state hashes differ, though no report does" in ran.out


def test_a_wheel_and_a_release_folder_are_builds(exchange, day, tmp_path):
    wheel = tmp_path / "opsctl-9.9.9-cp311-cp311-linux_x86_64.whl"
    package = Path(builds.__file__).resolve().parents[1]
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in sorted(package.rglob("*")):
            if path.suffix in {".py", ".yaml"} and "native" not in path.parts:
                text = path.read_text().replace(f'"{__version__}"', '"9.9.9"') if path.name == "_version.py" else path.read_text()
                archive.writestr(f"engine/{path.relative_to(package)}", text)
        archive.write(_core.__file__, f"engine/{Path(_core.__file__).name}")
    release = tmp_path / "releases" / "1.0.0" / "env" / "bin"
    release.mkdir(parents=True)
    (release / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (release / "python").chmod(0o755)
    ran = exchange(*asked(day, release.parents[1], wheel))
    assert ran.code == 0, ran.out
    assert f"new: {wheel} (9.9.9, commit" in ran.out


@pytest.mark.parametrize(
    ("script", "said", "hint"),
    [
        ("echo \"/x/python: No module named 'engine.tools'\" >&2; exit 1", "cannot replay a log for others", "made before"),
        ("echo 'error: the log cannot be read: 1.log: the segment has format version 2, this program reads version 1' >&2; exit 1",
         "format version 2", "different log formats"),
        ("echo 'error: the log is damaged' >&2; exit 1", "the replay failed: the log is damaged", "the build's own"),
        ("echo hello", "it prints what is no replay: 'hello", "a wheel"),
        ("echo '{}'", "another form", "newer program"),
    ],
)  # fmt: skip
def test_a_build_that_cannot_replay_says_why(exchange, day, tmp_path, script, said, hint):
    fake = tmp_path / "fake"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    refused = exchange(*asked(day, fake, "installed")).refused
    assert refused and said in refused.message and hint in refused.hint


def test_a_build_that_is_silent_is_given_up(exchange, day, tmp_path, monkeypatch):
    monkeypatch.setattr(builds, "SILENCE_TIMEOUT_S", 0.05)
    fake = tmp_path / "fake"
    fake.write_text("#!/bin/sh\nexec sleep 600\n")
    fake.chmod(0o755)
    ran = exchange(*asked(day, fake, "installed"))
    assert ran.code == 6 and ran.refused and "no answer within" in ran.refused.message


@pytest.mark.parametrize("name", ["nothing-there", "."])
def test_what_is_no_build_is_refused(exchange, day, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused = exchange(*asked(day, name, "installed")).refused
    assert refused and refused.message.startswith(f"{name}: there is no") and "the word installed" in refused.hint


def test_a_file_that_is_no_wheel_is_refused(exchange, day, tmp_path):
    (tmp_path / "bad.whl").write_text("no archive")
    refused = exchange(*asked(day, tmp_path / "bad.whl", "installed")).refused
    assert refused and "cannot be unpacked" in refused.message


def test_the_comparison_ends_where_the_log_ended_when_it_began(day):
    (partition,) = open_log(LogFiles(day.log_dir, day.instruments)).partitions
    lines = list(digests(partition, 4, 10))
    assert [line["seq_num"] for line in lines if "digest" in line] == [4, 8, 10]
    assert lines[-1]["end"] == 10
    day.append(timed((order(7, Side.BUY, 1, 100),), start_ns=timed(DAY)[-1].ts_ns))
    assert list(digests(partition, 4, 10)) == lines


@pytest.mark.parametrize("chunk", [1, 5, 19, 1000])
def test_the_last_digest_does_not_depend_on_the_chunks(day, chunk):
    (partition,) = open_log(LogFiles(day.log_dir, day.instruments)).partitions
    *_, last, end = digests(partition, chunk, 19)
    *_, whole, whole_end = digests(partition, 7, 19)
    assert (last["digest"], last["reports"], end) == (whole["digest"], whole["reports"], whole_end)


def test_the_reports_of_a_range_come_with_their_commands(day):
    (partition,) = open_log(LogFiles(day.log_dir, day.instruments)).partitions
    lines = list(reports(partition, 4, 7))
    assert [line["seq_num"] for line in lines] == [4, 5, 6, 7]
    assert lines[-1]["command"]["qty"] == 30 and len(lines[-1]["reports"]) == 3
    shutil.rmtree(day.log_dir / "snapshots", ignore_errors=True)
    assert list(reports(partition, 4, 7)) == lines


@pytest.mark.parametrize("executable", [True, False])
def test_a_text_file_is_no_build_and_no_traceback(exchange, day, tmp_path, executable):
    (tmp_path / "plain.txt").write_text("hello")
    (tmp_path / "plain.txt").chmod(0o755 if executable else 0o644)
    ran = exchange(*asked(day, "installed", tmp_path / "plain.txt"))
    assert ran.code == 2 and ran.refused
    assert ("cannot be run: Exec format error" if executable else "it is no wheel and no executable") in ran.refused.message
    assert "give a wheel" in ran.refused.hint


def test_a_name_that_no_file_can_have_is_refused(exchange, day):
    ran = exchange(*asked(day, "installed", "x" * 5000))
    assert ran.code == 2 and ran.refused and "there is nothing of that name" in ran.refused.message


def test_a_wrong_log_folder_is_told_by_the_option_that_was_given(exchange, day, tmp_path):
    for folder in (tmp_path / "none", tmp_path / ("x" * 5000)):
        refused = exchange("verify-release", "installed", "installed", "--log", folder, "--instruments", day.instruments).refused
        assert refused and refused.message.startswith(("--log: there is no folder", "--log: ")) and refused.exit_code == 2
