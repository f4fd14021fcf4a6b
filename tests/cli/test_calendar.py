"""`opsctl calendar`, as a person or a pipeline uses it."""

import json
import shutil
import struct
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ops import calendars
from ops.cli.calendar import app
from ops.cli.calendar_plot import bands
from ops.conventions import DECLARED_ENV
from ops.errors import UsageError
from ops.session import Hours

ROOT = Path(__file__).resolve().parents[2]
XNYS = calendars.load(ROOT / "slo/calendars/xnys.yaml")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Declared folders of our own, with one calendar that only people wrote."""
    (tmp_path / "slo").mkdir()
    monkeypatch.setenv(DECLARED_ENV, str(tmp_path))
    return tmp_path / "slo/calendars"


@pytest.fixture
def shipped(folder):
    shutil.copytree(ROOT / "slo/calendars", folder)
    return folder


def run(*arguments):
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def test_import_writes_a_file_that_show_reads(folder):
    done = run("import", "XTKS", "--years", "2026-2026")
    assert done.exit_code == 0
    assert f"{folder / 'xtks.yaml'}: written, 2026-01-01 to 2026-12-31" in done.output
    assert "Tuesday 2026-03-10: 09:00-11:30, 12:30-15:30 (ordinary)" in run("show", "--date", "2026-03-10").output


def test_import_of_the_same_again_changes_nothing(shipped):
    before = {path: path.read_text() for path in shipped.iterdir()}
    for mic, name in (("XNYS", "xnys"), ("XLON", "xlon"), ("XTKS", "xtks"), ("XASX", "xasx"), ("24/7", "crypto")):
        assert "nothing has changed" in run("import", mic, "--years", "2026-2028", "--as", name if name == "crypto" else mic).output
    assert {path: path.read_text() for path in shipped.iterdir()} == before


def test_import_of_other_years_shows_the_days_and_keeps_what_is_yours(shipped):
    path = shipped / "xnys.yaml"
    path.write_text(
        path.read_text()
        .replace('2026-12-25: "Christmas"', '2026-12-26: "Wrong"')
        .replace("closures: {}", "closures: {2027-05-05: Storm}  # sad")
    )
    done = run("import", "XNYS", "--years", "2026-2027")
    assert "valid_until  2028-12-31  ->  2027-12-31" in done.output
    assert "2026-12-25   09:30-16:00  ->  closed: Christmas" in done.output
    assert "2026-12-26   closed: Wrong  ->  no trading" in done.output
    assert "closures: {2027-05-05: Storm}  # sad" in path.read_text()
    found = calendars.load(path)
    assert (found.closures, found.maintenance, found.volatility) == ({date(2027, 5, 5): "Storm"}, XNYS.maintenance, XNYS.volatility)


def test_a_dry_run_writes_nothing_and_says_the_same(shipped):
    before = (shipped / "xnys.yaml").read_text()
    done = run("import", "XNYS", "--years", "2026-2027", "--dry-run", "--output", "json")
    assert (shipped / "xnys.yaml").read_text() == before
    said = json.loads(done.stdout)
    assert (said["written"], said["created"]) == (False, False)
    assert said["changes"] == [{"what": "valid_until", "before": "2028-12-31", "after": "2027-12-31"}]


def test_a_file_and_a_name_of_your_own(folder, tmp_path):
    run("import", "24/7", "--years", "2026", "--as", "crypto", "--to", str(tmp_path / "deep/mine.yaml"))
    assert calendars.load(tmp_path / "deep/mine.yaml").name == "crypto"
    assert "crypto, UTC" in run("show", str(tmp_path / "deep/mine.yaml")).output


def test_show_tells_a_half_day_in_local_time_and_utc(shipped):
    text = run("show", "xnys", "--date", "2026-11-27").output
    assert "Friday 2026-11-27: 09:30-13:00 (early-close-1300)" in text
    assert "  1 or 2 regular       09:30-13:00    Fri 27 14:30 - Fri 27 18:00      210" in text
    assert "minutes of 2026-11: 7,620 regular, 26,580 extended, 9,060 maintenance" in text
    assert "next change: Fri 27 04:00 local, Fri 27 09:00 UTC, to extended (zone 3)" in text


def test_show_as_json_adds_up(shipped):
    facts = json.loads(run("show", "xlon", "--date", "2026-10-25", "--month", "2026-03", "-o", "json").output)
    assert facts["minutes"] == sum(zone["minutes"] for zone in facts["zones"]) == 1500
    assert facts["month"] == "2026-03"
    assert sum(facts["month_minutes"].values()) == 31 * 1440 - 60
    assert facts["zones"][0]["from"] == "2026-10-25T00:00:00+01:00"
    assert facts["zones"][0]["from_utc"] == "2026-10-24T23:00:00Z"
    assert facts["phases"] == []


def test_a_day_out_of_the_calendar_is_shown_as_what_it_counts_as(shipped):
    assert "outside the known years: it counts as the ordinary day of its weekday" in run("show", "xnys", "--date", "2031-12-25").output


def test_without_a_name_it_is_the_calendar_that_the_specs_use(shipped):
    assert run("show", "--date", "2026-03-10").output.startswith("crypto,")
    (shipped.parent / "venue.yaml").write_text("version: opsctl/slo/v1\ncalendar: calendars/xtks.yaml\n")
    assert run("show", "--date", "2026-03-10").output.startswith("XTKS,")
    assert "XTKS, Asia/Tokyo" in run("show").output


@pytest.mark.parametrize("name", ["xnys", "xtks", "crypto"])
def test_the_plot_is_a_picture(shipped, tmp_path, name):
    path = tmp_path / "day.png"
    assert f"drew {path}" in run("show", name, "--date", "2026-11-27", "--plot", str(path)).output
    content = path.read_bytes()
    width, height = struct.unpack(">II", content[16:24])
    assert content.startswith(b"\x89PNG")
    assert width > 1000 < height


def test_bands_of_a_day_fill_it():
    assert bands(XNYS, date(2026, 11, 27)) == [
        (0, 240, Hours.MAINTENANCE),
        (240, 570, Hours.EXTENDED),
        (570, 780, Hours.REGULAR),
        (780, 1380, Hours.EXTENDED),
        (1380, 1440, Hours.MAINTENANCE),
    ]
    for changed in (date(2026, 3, 8), date(2026, 11, 1)):
        assert [edge for edge, _, _ in bands(XNYS, changed)] == [0, 240, 1380]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("import", "XNYZ", "--years", "2026"), "'XNYZ' is no venue that is known: did you mean"),
        (("import", "XNYS", "--years", "2028-2026"), "--years 2028-2026: the first year must not be after the last"),
        (("import", "XNYS", "--years", "next"), "--years next: write the first and the last year, such as 2026-2028"),
        (("import", "XNYS", "--years", "1990-2026"), "--years 1990-2026: at most 20 years at once"),
        (("import", "24/7", "--years", "2026"), "'24/7' cannot be a calendar's name"),
        (("import", "XNYS", "--years", "2026", "--as", "../x"), "'../x' cannot be a calendar's name"),
        (("import", "XNYS", "--years", "2026", "--to", "/proc/no/x.yaml"), "/proc/no/x.yaml: cannot be written"),
        (("show", "xfoo"), "no calendar is named 'xfoo'; there are: crypto, xasx, xlon, xnys, xtks"),
        (("show", "none.yaml"), "none.yaml: cannot be read"),
        (("show", "xnys", "--date", "27.11.2026"), "--date 27.11.2026: is not a day; write it as 2026-11-27"),
        (("show", "xnys", "--date", "2026-W01-1"), "--date 2026-W01-1: is not a day"),
        (("show", "xnys", "--date", "9999-12-31"), "--date 9999-12-31: the year must lie within 1970-2100"),
        (("show", "xnys", "--month", "2026-13"), "--month 2026-13: is not a month; write it as 2026-11"),
        (("show", "xnys", "--plot", "day.bmp"), "--plot day.bmp: the name must end in one of .png, .svg, .pdf"),
        (("show", "xnys", "--plot", "/proc/no/day.png"), "--plot /proc/no/day.png: cannot be written"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(shipped, arguments, told):
    with pytest.raises(UsageError) as caught:
        run(*arguments)
    assert told in caught.value.message


def test_without_any_calendar_the_next_step_is_told(folder):
    with pytest.raises(UsageError) as caught:
        run("show")
    assert caught.value.hint == "opsctl calendar import XNYS --years 2026-2028"


def test_the_command_line_ends_without_a_traceback(shipped):
    done = subprocess.run(
        [Path(sys.executable).parent / "opsctl", "calendar", "show", "xfoo"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: no calendar is named 'xfoo'")
    assert "Traceback" not in done.stderr
