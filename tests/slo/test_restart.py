"""A Prometheus that was away is no outage of the venue: what its rules say first after a start, before anything is scraped again.

Nobody waits for the minutes of absence: the past is written into the database with the times that it would have.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.slo import rulefile, rules
from ops.slo.parse import load
from tests.slo.test_article import MONDAY_TEN
from tests.slo.test_proofs import CALENDARS, COMMON, HEAD
from tests.venue.helpers import eventually

TIMEOUT_S = 60
EXCHANGE = "XTST"
EVALUATIONS = 3
SLOS = {
    "requests": "sli: {events: {total: requests_total, bad: errors_total}}, no_data: bad",
    "idle": "sli: {events: {total: requests_total, bad: errors_total}}, no_data: bad, idle: bad, group_by: [gateway]",
    "acks": "sli: {latency: {histogram: ack_seconds, threshold: 500ms}}, no_data: bad",
    "feed": "sli: {freshness: {timestamp: tick_seconds, threshold: 60s}}, no_data: bad",
    "desk": "sli: {probe: {metric: desk_ok}}, no_data: bad",
    "links": "sli: {probe: {metric: desk_ok}}, no_data: bad, group_by: [gateway]",
    "zombies": "sli: {threshold: {metric: zombie_orders, above: 0}}, no_data: bad",
    "books": "sli: {threshold: {metric: zombie_orders, above: 0}}, no_data: bad, group_by: [gateway]",
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    try:
        yield server
    finally:
        server.stop()


class Server:
    """A Prometheus over a past that ended `away_s` ago, with the rules of a shard of SLOs and nothing to scrape."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self.seen: dict[str, set[str]] = {}
        self.process: subprocess.Popen[str] | None = None
        self.ahead_s = int(MONDAY_TEN.timestamp()) - int(time.time())
        """Of the machine's clock: the venue's is in the session."""

    def start(self, away_s: int) -> None:
        assert shutil.which("prometheus"), "prometheus is missing: apt-get install prometheus"
        self._rules()
        self._past(away_s)
        (self.folder / "prometheus.yml").write_text('global: {scrape_interval: 1h}\nrule_files: ["*.rules.yaml"]\n', encoding="utf-8")
        command = ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address=127.0.0.1:0"]
        self.process = subprocess.Popen(command, cwd=self.folder, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr
        for line in self.process.stderr:
            if "Listening on" in line:
                self.url = "http://" + line.rsplit("address=", 1)[1].strip()
            if "Server is ready" in line:
                return
        raise AssertionError("Prometheus did not start")

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.communicate(timeout=TIMEOUT_S)

    def ask(self, what: str, **form: str) -> Any:
        body = urllib.parse.urlencode(form)
        with urllib.request.urlopen(f"{self.url}/api/v1/{what}?{body}", timeout=TIMEOUT_S) as answer:
            return json.load(answer)["data"]

    def has_judged(self) -> bool:
        """Whether every group has been evaluated some times, so that each has seen what the others said."""
        for group in self.ask("rules")["groups"]:
            self.seen.setdefault(group["name"], set()).add(group["lastEvaluation"])
        return min(len(times) for times in self.seen.values()) > EVALUATIONS

    def _rules(self) -> None:
        (self.folder / "xnys.yaml").write_text(CALENDARS["xnys"], encoding="utf-8")
        spec = self.folder / "xtst.yaml"
        slos = "".join(f"  - {{name: {name}, {text}, {COMMON}}}\n" for name, text in SLOS.items())
        spec.write_text(HEAD.format(calendar="xnys") + slos, encoding="utf-8")
        for file in rules.rule_files(load(spec), "0"):
            text = rulefile.text(file, "Generated.").replace("vector(time())", f"vector(time() + {self.ahead_s})")
            # Every second, so that nobody waits for the first evaluation.
            text = re.sub(r"interval: \w+", "interval: 1s", text)
            (self.folder / file.name).write_text(text, encoding="utf-8")

    def _past(self, away_s: int) -> None:
        end_s = int(time.time()) - away_s
        times = range(end_s - 900, end_s + 1, 15)
        zone = {"zone": "2", "hours": "regular"}
        kept = {
            "venue:clock:seconds": ({}, lambda at_s: at_s + self.ahead_s),
            "exchange:local_time:seconds": ({}, lambda at_s: at_s + self.ahead_s - 4 * 3600),
            "exchange:zone:number": ({}, lambda _: 2),
            "exchange_zone:slice:info": (zone | {"day": "20260309", "month": "202603"}, lambda _: 1),
            "slo_policy:spike:ratio": ({"policy": "default", "zone": "2"}, lambda _: 0.03),
        }
        scraped = {
            "requests_total": ({}, lambda at_s: at_s * 10),
            "errors_total": ({}, lambda _: 0),
            "ack_seconds_count": ({}, lambda at_s: at_s * 10),
            "ack_seconds_bucket": ({"le": "0.5"}, lambda at_s: at_s * 10),
            "tick_seconds": ({}, lambda at_s: at_s + self.ahead_s),
            "vix_index": ({}, lambda _: 10),
            "desk_ok": ({}, lambda _: 1),
            "zombie_orders": ({}, lambda _: 0),
        }
        with (self.folder / "past.om").open("w", encoding="utf-8") as file:
            for name, (labels, value) in (kept | scraped).items():
                own = (
                    {} if name == "venue:clock:seconds" else {"exchange": EXCHANGE} | labels | ({"gateway": "a"} if name in scraped else {})
                )
                told = ",".join(f'{key}="{text}"' for key, text in own.items())
                file.writelines(f"{name}{{{told}}} {value(at_s)} {at_s}\n" for at_s in times)
            file.write("# EOF\n")
        command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet", "past.om", "data"]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True, timeout=TIMEOUT_S)


@pytest.mark.parametrize("away_s", [5, 75, 130, 340, 420])
def test_the_first_judgement_after_an_absence_is_never_that_all_is_bad(server: Server, away_s: int) -> None:
    server.start(away_s)
    eventually(server.has_judged, "evaluations of all rules", TIMEOUT_S)
    # What becomes a slice becomes dollars, and what fires wakes people. Prometheus was told nothing yet: nothing is to be said.
    found = server.ask("query", query="sum by (slo) (sum_over_time(slo:bad:slice[30s])) > 0")["result"]
    assert {one["metric"]["slo"] for one in found} == set()
    assert server.ask("query", query="ALERTS{severity='page'}")["result"] == []
