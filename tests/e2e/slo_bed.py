"""SLOs over a venue that runs, at the hour that a test needs: declared folders whose clock is moved, and monitors that live by them.

The clock of the rules is one recording rule in a file of its own. Only that file is changed; everything else is as generated.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

from venue.helpers import free_port

from e2e.bed import BIN, ROOT, Bed, until
from e2e.webhook import Inbox, Told, webhook
from ops import calendars, wiring
from ops.conventions import Pool
from ops.session import Calendar, Zone
from ops.venue import decide, monitoring
from ops.venue.model import ALERTMANAGER, PROMETHEUS, Layout, Venue, Webhooks

CLOCK = "clock.rules.yaml"
CALENDAR = ROOT / "slo" / "calendars" / "xnys.yaml"
_TICKETS_SOON = ("group_interval: 5m", "group_interval: 5s")
"""A ticket that follows another one waits for five minutes; a test does not."""
MEMORY_S, MEMORY_STEP_S = 180, 5
LIMIT_S = 150.0
"""Only so that nothing hangs."""
_OF_THE_CLOCK = "vector(time())"
ALL_DAY = 'tickets: {deliver_from: "00:00", deliver_until: "24:00"}'


def moment(zone: Zone) -> int:
    """Unix seconds half an hour into the longest stretch of that zone on an ordinary day; its end is farther away than any test lasts."""
    calendar = calendars.load(CALENDAR)
    day = ordinary_day(calendar)
    start_s = calendar.day_start_s(day)
    spans = [span for span in calendar.spans(start_s, start_s + 86_400) if span[2] is zone]
    began_s, ended_s, _ = max(spans, key=lambda span: span[1] - span[0])
    assert ended_s - began_s >= 7200, (zone, began_s, ended_s)
    return began_s + 1800


def ordinary_day(calendar: Calendar) -> date:
    """In the middle of a month, so that neither a month nor a day that is not ordinary is near."""
    first = calendar.valid_from + timedelta(days=10)
    for number in range(60):
        day = first + timedelta(days=number)
        near = [calendar.day_type(day + timedelta(days=away)) for away in (-1, 0, 1)]
        if all(near) and len({kind.name for kind in near if kind}) == 1 and 10 <= day.day <= 20:
            return day
    raise AssertionError("no ordinary day")


def declare(folder: Path, *, edits: Mapping[str, str] | None = None, specs: Mapping[str, str] | None = None) -> Path:
    """A copy of the checkout's declared folders. `edits` (pattern -> text) are made in its spec, `specs` (name -> text) added; both mean
    that everything is generated anew by the real command."""
    for noun in ("alerts", "pipelines", "runbooks", "slo"):
        shutil.copytree(ROOT / noun, folder / noun)
    if edits or specs:
        spec = folder / "slo" / "xdemo.yaml"
        text = spec.read_text()
        for pattern, new in (edits or {}).items():
            text, count = re.subn(pattern, new, text, flags=re.MULTILINE)
            assert count == 1, (pattern, count)
        spec.write_text(text)
        for name, more in (specs or {}).items():
            (folder / "slo" / name).write_text(more)
        generate(folder)
    return folder


def generate(declared: Path) -> None:
    environment = {**os.environ, "OPSCTL_DECLARED": str(declared)}
    argv = [str(BIN / "opsctl"), "slo", "generate"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def set_clock(declared: Path, at_s: int) -> None:
    """From now on it is `at_s` there, and time goes on from it."""
    file = declared / "slo" / "generated" / CLOCK
    text = (ROOT / "slo" / "generated" / CLOCK).read_text()
    assert text.count(_OF_THE_CLOCK) == 1, text
    file.write_text(text.replace(_OF_THE_CLOCK, f"vector(time() + ({at_s - int(time.time())}))"))


def tickets_soon(declared: Path) -> None:
    file = declared / "slo" / "generated" / "xdemo-alertmanager.yaml"
    assert _TICKETS_SOON[0] in file.read_text()
    file.write_text(file.read_text().replace(*_TICKETS_SOON))


def remember(data: Path, at_s: int) -> None:
    """A history for a Prometheus that is still to start: the last minutes of the calendar, when it is `at_s` now.

    A slice is of the minute before, of which a Prometheus without a past knows no zone. With one, it judges at once.
    """
    calendar, now_s = calendars.load(CALENDAR), int(time.time())
    lines = {name: list[str]() for name in ("venue:clock:seconds", "exchange:zone:number", "exchange:local_time:seconds")}
    for ago_s in range(MEMORY_S, 0, -MEMORY_STEP_S):
        then_s = at_s - ago_s
        values = (then_s, calendar.zone_at(then_s), calendar.to_local(then_s).replace(tzinfo=UTC).timestamp())
        for (name, of_name), value in zip(lines.items(), values, strict=True):
            labels = "" if name == "venue:clock:seconds" else '{exchange="XDEMO"}'
            of_name.append(f"{name}{labels} {int(value)} {now_s - ago_s}\n")
    file = data.with_name("memory.om")
    file.write_text("".join(f"# TYPE {name} gauge\n{''.join(of_name)}" for name, of_name in lines.items()) + "# EOF\n")
    shutil.rmtree(data, ignore_errors=True)
    argv = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(file), str(data)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def ask(port: int, expression: str) -> list[dict[str, Any]]:
    """What that Prometheus says now; nothing while it does not answer."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/api/v1/query?{urlencode({'query': expression})}", timeout=5) as answer:
            return list(json.load(answer)["data"]["result"])
    except OSError:
        return []


def judged(port: int, zone: str, *slos: str) -> bool:
    """It is that zone there, and each of these SLOs is judged and well kept."""
    zones = {row["metric"]["zone"] for row in ask(port, "exchange_zone:now:info")}
    kept = {row["metric"]["slo"] for row in ask(port, "slo:bad:ratio < 0.02")}
    firing = {row["metric"].get("slo") for row in ask(port, 'ALERTS{alertstate="firing"}')}
    return zones == {zone} and kept >= set(slos) and not firing & set(slos)


def page_after(inbox: Inbox, slo: str, act: Callable[[], object]) -> Told:
    """The first page of that SLO after `act`. It must not have been paged before. How long it took is printed, and nowhere asserted."""
    assert not inbox.firing("page", slo=slo)
    began_s = time.monotonic()
    act()
    found = until(lambda: inbox.firing("page", slo=slo), f"a page of {slo}", LIMIT_S)
    print(f"{slo}: {found[0].at_s - began_s:.1f} s from the break to the page")
    return found[0]


def told_well(told: Told, slo: str, *, zone: str, severity: str) -> None:
    """Everything a person needs, in words."""
    assert told.receiver == severity
    assert told.has(exchange="XDEMO", slo=slo, zone=zone, severity=severity)
    assert (told.labels["alertname"], told.labels["tier"]) in (("SloSpike", "spike"), ("SloFastBurn", "fast"))
    notes = told.annotations
    assert slo in notes["summary"]
    assert len(notes["first_action"].split()) >= 4
    assert (ROOT / notes["runbook"]).is_file(), notes["runbook"]
    assert re.search(r"\$\d", notes["description"]), notes["description"]
    assert f"zone {zone}" in notes["description"].lower(), notes["description"]
    for text in notes.values():
        assert not re.search(r"\{\{|<no value>|NaN|%!|<error", text), text


@contextmanager
def venue_in_session(folder: Path, gateways: int = 2) -> Iterator[tuple[Bed, Inbox]]:
    """A venue in the middle of regular trading, whose pages and tickets arrive in the inbox at any hour."""
    with webhook() as inbox:
        bed = Bed(folder, gateways)
        declared = declare(folder / "day", edits={r"^tickets:[^#\n]*": ALL_DAY})
        tickets_soon(declared)
        set_clock(declared, moment(Zone.VOLATILE))
        bed.environment["OPSCTL_DECLARED"] = str(declared)
        words = ("--page-webhook", inbox.url("page"), "--ticket-webhook", inbox.url("ticket"))
        try:
            bed.opsctl("up", "--gateways", str(gateways), "--http-port", str(free_port(bed.state)), "--timeout", "60", *words)
            yield bed, inbox
        finally:
            bed.close()


def warm(bed: Bed, at_s: int) -> None:
    """The venue's own Prometheus begins anew, with a history: what it saw while the venue started is forgotten."""
    bed.supervisor.stop([PROMETHEUS])
    remember(Layout(bed.state).prometheus / "data", at_s)
    bed.supervisor.start(PROMETHEUS)


class Children:
    """Programs of a test, each with its output in a file; all ended at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._all = folder, list[subprocess.Popen[bytes]]()

    def start(self, argv: tuple[str, ...], name: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("wb") as log:
            child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self._all.append(child)
        return child

    def end(self) -> None:
        for child in self._all:
            child.send_signal(signal.SIGTERM)
        for child in self._all:
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(10)


@contextmanager
def monitors_beside(bed: Bed, folder: Path, declared: Path, at_s: int) -> Iterator[tuple[Venue, Inbox]]:
    """A second Prometheus and Alertmanager over the same venue, by the rules of another folder, where it is `at_s`."""
    set_clock(declared, at_s)
    tickets_soon(declared)
    layout = Layout(folder / "beside")
    for path in layout.folders():
        path.mkdir(parents=True, exist_ok=True)
    children = Children(folder)
    with webhook() as inbox:
        first, second = free_port(folder / "1"), free_port(folder / "2")
        ports = replace(bed.venue.ports, prometheus=first, alertmanager=second)
        venue = replace(bed.venue, ports=ports, webhooks=Webhooks(inbox.url("page"), inbox.url("ticket")))
        assert first != second
        try:
            monitoring.write(layout, monitoring.gather(venue, layout, declared / "alerts", declared / "slo"))
            shutil.copy(Layout(bed.state).targets, layout.targets)
            remember(layout.prometheus / "data", at_s)
            commands = dict.fromkeys(Pool, sys.executable)
            for process in decide.plan_processes(venue, layout, wiring.tools(), commands):
                if process.name in (PROMETHEUS, ALERTMANAGER):
                    children.start(process.argv, process.name)
            until(lambda: ask(first, "up"), "the second Prometheus scrapes")
            yield venue, inbox
        finally:
            children.end()


class Alertmanager:
    """One Alertmanager alone, fed by the test."""

    def __init__(self, port: int, config: Path, child: subprocess.Popen[bytes]) -> None:
        self.port, self.config, self._child = port, config, child

    def call(self, path: str, data: object = None) -> Any:
        body = json.dumps(data).encode() if data is not None else None
        request = HttpRequest(f"http://127.0.0.1:{self.port}{path}", data=body, headers={"Content-Type": "application/json"})
        with urlopen(request, timeout=5) as answer:
            return json.loads(answer.read() or b"null")

    def ready(self) -> bool:
        try:
            self.call("/api/v2/status")
        except OSError:
            return False
        return True

    def fire(self, *alerts: Mapping[str, str]) -> None:
        self.call("/api/v2/alerts", [{"labels": dict(labels), "annotations": {"summary": "a test"}} for labels in alerts])

    def inhibited(self) -> set[tuple[str, str, str]]:
        """Alert name, exchange and SLO of those that another one keeps quiet."""
        found = [alert for alert in self.call("/api/v2/alerts") if alert["status"]["inhibitedBy"]]
        return {(a["labels"]["alertname"], a["labels"]["exchange"], a["labels"].get("slo", "")) for a in found}

    def log(self) -> str:
        return self.config.with_name("alertmanager.log").read_text()

    def reread(self) -> None:
        self._child.send_signal(signal.SIGHUP)


@contextmanager
def alertmanager(folder: Path, text: str) -> Iterator[Alertmanager]:
    folder.mkdir(parents=True, exist_ok=True)
    config, port, children = folder / "alertmanager.yml", free_port(folder), Children(folder)
    config.write_text(text)
    argv = (
        str(wiring.tools().alertmanager), f"--config.file={config}", f"--storage.path={folder / 'data'}", "--cluster.listen-address=",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=debug",
    )  # fmt: skip
    try:
        made = Alertmanager(port, config, children.start(argv, "alertmanager"))
        until(made.ready, "Alertmanager answers")
        yield made
    finally:
        children.end()
