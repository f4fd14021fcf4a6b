"""A declared folder with many SLOs, its generated rules, and a real Prometheus and Alertmanager that run them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.bench.bed import BIN, ROOT, Running, bare_environment, need, until

WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
OPEN = """version: opsctl/calendar/v1
name: BENCH
timezone: %s
valid_from: 2020-01-01
valid_until: 2037-12-31
days:
  ordinary: {weekdays: [%s], phases: [{phase: continuous, from: "%s", to: "%s"}]}
holidays: {}
closures: {}
volatility: {metric: bench_vix, above: 20, calm: 18, hold: 30m, memory: 4h}
"""
"""Nobody shows bench_vix, so trading hours are zone 1."""
SPEC = """version: opsctl/slo/v1
exchange: {exchange}
calendar: calendars/{calendar}.yaml
scrape_interval: 15s
budget: {{usd_per_month: 10000, page_share: 5%, ticket_share: 50%}}
zones:
  1: {{objective: {objective}, cost_usd_per_minute: 500, severity: page}}
  2: {{objective: 99.95%, cost_usd_per_minute: 100, severity: page}}
  3: {{objective: 99.9%, cost_usd_per_minute: 20, severity: ticket}}
  4: {{objective: 98%, cost_usd_per_minute: 0, severity: ticket}}
slos:
"""
SLO = """  - name: {name}
    description: Requests that were answered without an error.
    component: gateway
    owner: bench
    sli: {{events: {{total: bench_{metric}_total, bad: bench_{metric}_errors_total}}}}
    no_data: {no_data}
    idle: good
    minimum_events: {minimum}
    first_action: opsctl status, then the log of the gateway with the most errors.
    runbook: runbooks/gateway-errors.md
"""


def spec_text(
    exchange: str, metrics: Sequence[str], calendar: str = "open", objective: str = "99.99%", minimum: int = 5, no_data: str = "bad"
) -> str:
    """A spec with one SLO for each metric, which is its name, too."""
    head = SPEC.format(exchange=exchange, calendar=calendar, objective=objective)
    return head + "".join(SLO.format(name=m.replace("_", "-"), metric=m, minimum=minimum, no_data=no_data) for m in metrics)


class Declared:
    """A folder as $OPSCTL_DECLARED names it, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "slo" / "calendars").mkdir(parents=True)
        for noun in ("alerts", "runbooks", "pipelines"):
            shutil.copytree(ROOT / noun, folder / noun)
        self.calendar("open", "00:00", "24:00")

    @property
    def generated(self) -> Path:
        return self.folder / "slo" / "generated"

    def calendar(self, name: str, opens: str, closes: str, days: Sequence[str] = WEEK, timezone: str = "UTC") -> None:
        (self.folder / "slo" / "calendars" / f"{name}.yaml").write_text(OPEN % (timezone, ", ".join(days), opens, closes))

    def spec(self, text: str) -> None:
        exchange = yaml.safe_load(text.split("slos:", maxsplit=1)[0])["exchange"]
        (self.folder / "slo" / f"{exchange.lower()}.yaml").write_text(text)

    def generate(self) -> Used:
        used = cpu_of([str(BIN / "opsctl"), "slo", "generate"], bare_environment() | {"OPSCTL_DECLARED": str(self.folder)})
        need(list(self.generated.glob("*.rules.yaml")), "opsctl slo generate wrote no rules")
        return used

    def rule_files(self) -> list[str]:
        return sorted(map(str, self.generated.glob("*.rules.yaml")))


@dataclass(frozen=True, slots=True)
class Used:
    """What a command took, its children too."""

    cpu_s: float
    wall_s: float
    peak_mib: float
    out: str


def cpu_of(argv: Sequence[str], environment: Mapping[str, str] | None = None, cwd: Path = ROOT, code: int | None = 0) -> Used:
    """Runs it to its end and tells what it took."""
    with tempfile.TemporaryFile() as out:
        from time import monotonic

        began_s = monotonic()
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=environment, cwd=cwd)
        _, status, used = os.wait4(child.pid, 0)
        wall_s = monotonic() - began_s
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read().decode(errors="replace")
    need(code is None or child.returncode == code, f"{' '.join(argv[:3])} ended with code {child.returncode}: {text[-400:]}")
    return Used(used.ru_utime + used.ru_stime, wall_s, used.ru_maxrss / 1024, text)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Server:
    """A Prometheus that runs."""

    port: int
    process: Running

    def ask(self, query: str) -> list[dict[str, Any]]:
        return list(self._get("query?" + urllib.parse.urlencode({"query": query}))["result"])

    def number(self, query: str) -> float:
        rows = self.ask(query)
        need(rows, f"no figure for {query}")
        return float(rows[0]["value"][1])

    def rules(self) -> list[dict[str, Any]]:
        """Each rule that is loaded: group, name, interval in seconds, and the samples that it reads at one evaluation now."""
        groups = self._get("rules")["groups"]
        return [
            {"group": group["name"], "name": rule["name"], "interval": group["interval"], "samples": self._samples(rule["query"])}
            for group in groups
            for rule in group["rules"]
        ]

    def _samples(self, query: str) -> int:
        return int(
            self._get("query?" + urllib.parse.urlencode({"query": query, "stats": "all"}))["stats"]["samples"]["totalQueryableSamples"]
        )

    def _get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}", timeout=30) as answer:
            return dict(json.load(answer)["data"])

    def own(self, name: str) -> float:
        """The sum of one of its own metrics, from /metrics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=20) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((name + " ", name + "{")))

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def prometheus(
    folder: Path, rule_files: Sequence[str], targets: Mapping[str, tuple[str, str]], alertmanager_port: int | None = None
) -> Iterator[Server]:
    """Scrapes each (exchange, address/path) of `targets` every 15 s. Data in folder/data, which may be there already."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    jobs = [
        {
            "job_name": name,
            "metrics_path": path,
            "static_configs": [{"targets": [address], "labels": {"exchange": exchange}}],
        }
        for name, (exchange, where) in targets.items()
        for address, _, tail in [where.partition("/")]
        for path in ["/" + tail]
    ]
    config: dict[str, Any] = {
        "global": {"scrape_interval": "15s", "scrape_timeout": "5s", "evaluation_interval": "15s"},
        "rule_files": list(rule_files),
        "scrape_configs": jobs,
    }
    if alertmanager_port:
        config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager_port}"]}]}]}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    argv = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", "--log.level=warn"]
    argv += [f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=60d"]
    with Running(argv, bare_environment()) as running:
        until(lambda: not running.alive or ready(port), "Prometheus", 60, 0.1)
        need(running.alive, "Prometheus ended early")
        yield Server(port, running)


@contextmanager
def alertmanager(folder: Path, part: Mapping[str, Any], webhook: str) -> Iterator[int]:
    """With the generated part; pages go to `webhook`. Gives its port."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    receivers = [{"name": "nobody"}, {"name": "ticket"}, {"name": "page", "webhook_configs": [{"url": webhook, "send_resolved": True}]}]
    route = {"receiver": "nobody", "routes": part["routes"]}
    config = {"route": route, "receivers": receivers, "inhibit_rules": part["inhibit_rules"], "time_intervals": part["time_intervals"]}
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(config))
    argv = ["prometheus-alertmanager", f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/data", "--log.level=warn"]
    argv += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]
    with Running(argv, bare_environment()) as running:
        until(lambda: not running.alive or ready(port), "Alertmanager", 60, 0.1)
        need(running.alive, "Alertmanager ended early")
        yield port


def ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
