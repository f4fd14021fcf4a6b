"""A year of zones, minute by minute, for five venues: what a real Prometheus makes of the rules, what ops.session says, and when
exchange_calendars has the venue open. All three must agree 525,600 times a venue.

Prometheus cannot be shown last year's clock, and one expression with all others written into it would cost minutes of CPU. So the rules
run as they are, layer upon layer, as range queries at every minute of the year: first the clock; its results become blocks of the same
database; from them local time; from that date and minute of day; then the zone. Nothing is scraped, and no minute is left out.
"""

import json
import os
import re
import signal
import subprocess
import urllib.parse
import urllib.request
import warnings
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from ops import calendars, conventions
from ops.session import Calendar, Zone
from ops.slo import zones

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
VENUES = {"xnys": "XNYS", "xlon": "XLON", "xtks": "XTKS", "xasx": "XASX", "crypto": "24/7"}
"""Our calendar, and what exchange_calendars calls the venue."""
CALENDARS = {name: calendars.load(ROOT / f"slo/calendars/{name}.yaml") for name in VENUES}
START_S, MINUTES = 1767225600, 525_600
"""2026, UTC."""
TIMES = np.arange(START_S, START_S + MINUTES * 60, 60)
MOST_POINTS = 11_000
"""Of one range query; Prometheus refuses more."""
LAYERS = (
    (conventions.SERIES_CLOCK,),
    (conventions.SERIES_LOCAL_SECONDS,),
    (conventions.SERIES_MINUTE_OF_DAY, conventions.SERIES_DATE),
    (conventions.SERIES_ZONE_NUMBER,),
)
TIMEOUT_S = 120


class Prometheus:
    """A server that scrapes nothing, over a folder of blocks. It ends with the `with`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "prometheus.yml").write_text("global: {scrape_interval: 1h}\n")

    def __enter__(self) -> "Prometheus":
        self.process = subprocess.Popen(
            [
                "prometheus",
                "--config.file=prometheus.yml",
                "--storage.tsdb.path=data",
                "--storage.tsdb.retention.time=100y",
                "--web.listen-address=127.0.0.1:0",
            ],
            cwd=self.folder,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TZ": "UTC"},
        )
        self.url = ""
        assert self.process.stderr
        for line in self.process.stderr:
            if "Listening on" in line:
                self.url = "http://" + line.rsplit("address=", 1)[1].strip()
            if "Server is ready" in line:
                break
        if not self.url:
            self.__exit__()
            raise AssertionError("Prometheus did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.communicate(timeout=TIMEOUT_S)
        finally:
            self.process.kill()
            self.process.wait()

    def minutes(self, expr: str) -> list[tuple[dict[str, str], list[list]]]:
        """Every minute of the year, as (labels, [[at, value], ...]), a part of the year at a time."""
        found = []
        for first in range(0, MINUTES, MOST_POINTS):
            last = min(first + MOST_POINTS, MINUTES) - 1
            form = {"query": expr, "start": int(TIMES[first]), "end": int(TIMES[last]), "step": 60}
            body = urllib.parse.urlencode(form).encode()
            with urllib.request.urlopen(f"{self.url}/api/v1/query_range", body, timeout=TIMEOUT_S) as answer:
                found += [(series["metric"], series["values"]) for series in json.load(answer)["data"]["result"]]
        return found


def add_blocks(folder: Path, results: dict[str, list]) -> None:
    """Results by name of their series -> blocks of the database."""
    with (folder / "samples.om").open("w") as file:
        for name, found in results.items():
            file.write(f"# TYPE {name} gauge\n")
            for labels, values in found:
                series = name + "{" + ",".join(f'{key}="{value}"' for key, value in labels.items() if key != "__name__") + "}"
                file.writelines(f"{series} {value} {at_s}\n" for at_s, value in values)
        file.write("# EOF\n")
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet", "--max-block-duration=9600h", "samples.om", "data"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=TIMEOUT_S)


def expressions(series: str) -> list[str]:
    """Of all rules that record a series: one of the clock, one a venue of all others."""
    groups = [*zones.clock_groups(), *(group for name in VENUES for group in zones.calendar_groups(name.upper(), CALENDARS[name]))]
    return [rule.expr for group in groups for rule in group.rules if rule.record == series]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> dict[str, np.ndarray]:
    """Per venue the zone at each minute of the year, by Prometheus; 0 where it gave none, -1 where it gave two."""
    folder = tmp_path_factory.mktemp("year")
    for layer in LAYERS:
        with Prometheus(folder) as server:
            results = {series: [part for expr in expressions(series) for part in server.minutes(expr)] for series in layer}
        if layer is not LAYERS[-1]:
            add_blocks(folder, results)
    found = {name: np.zeros(MINUTES, dtype=np.int8) for name in VENUES}
    for labels, values in results[conventions.SERIES_ZONE_NUMBER]:
        place = found[labels["exchange"].lower()]
        index = (np.array([at_s for at_s, _ in values], dtype=np.int64) - START_S) // 60
        place[index] = np.where(place[index] == 0, [int(value) for _, value in values], -1)
    return found


def by_session(calendar: Calendar) -> np.ndarray:
    found = np.zeros(MINUTES, dtype=np.int8)
    for since_s, until_s, zone in calendar.spans(START_S, START_S + MINUTES * 60):
        found[(since_s - START_S) // 60 : (until_s - START_S) // 60] = zone
    return found


def by_library(name: str, calendar: Calendar) -> np.ndarray:
    """From the library's own minutes of trading; maintenance is ours, worked out here from the library's time zone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import exchange_calendars
        import pandas

        library = exchange_calendars.get_calendar(VENUES[name], start="2025-12-20", end="2027-01-10", side="left")
        local = pandas.DatetimeIndex(TIMES * 10**9, tz="UTC").tz_convert(library.tz)
        opened = np.isin(TIMES, library.minutes.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[s]").astype(np.int64))
    minute, weekday = (local.hour * 60 + local.minute).to_numpy(), local.day_of_week.to_numpy()
    found = np.where(opened, Zone.VOLATILE if calendar.volatility else Zone.REGULAR, Zone.EXTENDED)
    for window in calendar.maintenance:
        found[np.isin(weekday, list(window.weekdays)) & (minute >= window.start_min) & (minute < window.end_min)] = Zone.MAINTENANCE
    return found.astype(np.int8)


def differences(one: np.ndarray, other: np.ndarray) -> list[tuple[str, int, int]]:
    places = np.flatnonzero(one != other)
    return [(str(np.datetime64(int(TIMES[place]), "s")), int(one[place]), int(other[place])) for place in places[:5]]


@pytest.mark.parametrize("name", VENUES)
def test_prometheus_agrees_with_the_session_for_every_minute_of_a_year(recorded, name):
    assert differences(recorded[name], by_session(CALENDARS[name])) == []


@pytest.mark.parametrize("name", VENUES)
def test_prometheus_agrees_with_exchange_calendars_for_every_minute_of_a_year(recorded, name):
    assert differences(recorded[name], by_library(name, CALENDARS[name])) == []


@pytest.mark.parametrize("name", VENUES)
def test_every_zone_of_the_venue_was_met(recorded, name):
    trading = Zone.VOLATILE if CALENDARS[name].volatility else Zone.REGULAR
    extended = set() if name == "crypto" else {int(Zone.EXTENDED)}
    assert set(map(int, np.unique(recorded[name]))) == {int(trading), int(Zone.MAINTENANCE)} | extended


def test_each_layer_needs_only_those_below_it():
    """Else a rule would read series that are not there yet, and be compared with nothing in its place."""
    known: set[str] = set()
    for layer in LAYERS:
        for expr in (expr for series in layer for expr in expressions(series)):
            assert set(re.findall(r"(?:venue|exchange):\w+:\w+", expr)) <= known, expr
        known |= set(layer)


def test_the_calendars_know_the_year():
    assert all(calendar.is_known(date(2026, 1, 1)) and calendar.is_known(date(2026, 12, 31)) for calendar in CALENDARS.values())
