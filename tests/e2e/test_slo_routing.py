"""What Alertmanager does with generated routes, inhibition and delivery hours: a real one, fed with alerts by the test.

Two venues share it, so that nothing of one can silence the other.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from venue.helpers import short_folder

from e2e.bed import ROOT, until
from e2e.slo_bed import ALL_DAY, alertmanager, declare
from e2e.webhook import webhook
from ops.venue import decide, monitoring
from ops.venue.model import Request, Webhooks

pytestmark = pytest.mark.e2e
TICKETS = r"^tickets:.*$"
OTHER = "XLON"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with short_folder() as made:
        yield made


def config(declared: Path, hooks: Webhooks) -> str:
    """alertmanager.yml as `opsctl up` would write it."""
    venue = decide.new_venue(Request(gateways=1), declared, "1.0.0", lambda _port: True)
    generated = declared / "slo" / "generated"
    parts = {path.name: path.read_text() for path in sorted(generated.glob(f"*{monitoring.PART_END}"))}
    return monitoring.alertmanager_text(replace(venue, webhooks=hooks), parts)


def two_venues(folder: Path, tickets: str = ALL_DAY) -> Path:
    """The checkout's spec, and the same for another exchange."""
    text = (ROOT / "slo" / "xdemo.yaml").read_text()
    assert text.count("exchange: XDEMO") == 1
    other = text.replace("exchange: XDEMO", f"exchange: {OTHER}")
    return declare(folder, edits={TICKETS: tickets}, specs={"xlon.yaml": with_tickets(other, tickets)})


def with_tickets(text: str, tickets: str) -> str:
    lines = [tickets if line.startswith("tickets:") else line for line in text.splitlines()]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def both(folder: Path) -> Path:
    return two_venues(folder / "both")


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("alertname=SloSpike exchange=XDEMO slo=a severity=page", "page"),
        ("alertname=SloFastBurn exchange=XLON slo=a severity=ticket", "ticket"),
        ("alertname=SloSlowBurn exchange=XDEMO slo=a severity=ticket", "ticket"),
        ("alertname=MaintenanceWindow exchange=XDEMO severity=none", "nobody"),
        ("alertname=CoreDown severity=page", "page"),
        ("alertname=CanaryLeftOpen exchange=XDEMO severity=ticket", "ticket"),
        ("alertname=SomethingElse exchange=XPAR severity=ticket", "ticket"),
        ("alertname=SomethingElse", "nobody"),
    ],
)
def test_every_alert_has_one_receiver(both: Path, tmp_path: Path, labels: str, receiver: str) -> None:
    file = tmp_path / "alertmanager.yml"
    file.write_text(config(both, Webhooks("http://127.0.0.1:1/page", "http://127.0.0.1:1/ticket")))
    argv = ["amtool", "config", "routes", "test", f"--config.file={file}", *labels.split()]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == [receiver]


def burn(name: str, tier: str, exchange: str, slo: str, severity: str = "ticket") -> dict[str, str]:
    return {"alertname": name, "tier": tier, "exchange": exchange, "slo": slo, "severity": severity}


def test_a_faster_alert_keeps_the_slower_quiet_for_the_same_slo_and_venue_only(both: Path, folder: Path) -> None:
    with alertmanager(folder / "a", config(both, Webhooks())) as manager:
        slow = [burn("SloSlowBurn", "slow", exchange, slo) for exchange in ("XDEMO", OTHER) for slo in ("a", "b")]
        fast = burn("SloFastBurn", "fast", "XDEMO", "a", "page")
        manager.fire(*slow, fast)
        until(manager.inhibited, "one is inhibited")
        assert manager.inhibited() == {("SloSlowBurn", "XDEMO", "a")}
        manager.fire(burn("SloSpike", "spike", "XDEMO", "a", "page"), burn("SloSpike", "spike", OTHER, "b", "page"))
        wanted = {("SloSlowBurn", "XDEMO", "a"), ("SloFastBurn", "XDEMO", "a"), ("SloSlowBurn", OTHER, "b")}
        until(lambda: manager.inhibited() == wanted, "the spikes keep what is slower quiet")


def test_maintenance_keeps_slow_tickets_and_falls_of_gateways_of_its_own_venue_quiet(both: Path, folder: Path) -> None:
    with alertmanager(folder / "m", config(both, Webhooks())) as manager:
        slow = [burn("SloSlowBurn", "slow", exchange, "a") for exchange in ("XDEMO", OTHER)]
        fast = [burn("SloFastBurn", "fast", exchange, "c") for exchange in ("XDEMO", OTHER)]
        falls = [{"alertname": "GatewayDown", "exchange": exchange, "severity": "ticket"} for exchange in ("XDEMO", OTHER)]
        manager.fire(*slow, *fast, *falls, {"alertname": "MaintenanceWindow", "exchange": OTHER, "severity": "none"})
        until(manager.inhibited, "some are inhibited")
        assert manager.inhibited() == {("SloSlowBurn", OTHER, "a"), ("GatewayDown", OTHER, "")}


def closed_now(text: str) -> str:
    """Delivery hours, by the calendar's local time, from which this moment is two hours away at least."""
    zone = next(line.split()[1] for line in text.splitlines() if line.startswith("timezone:"))
    away = ("20:00", "21:00") if datetime.now(UTC).astimezone(ZoneInfo(zone)).hour < 12 else ("05:00", "06:00")
    return f'tickets: {{deliver_from: "{away[0]}", deliver_until: "{away[1]}"}}'


def test_a_ticket_of_the_night_waits_for_the_hours_of_delivery_and_is_not_lost(folder: Path) -> None:
    shut = two_venues(folder / "shut", closed_now((ROOT / "slo" / "calendars" / "xnys.yaml").read_text()))
    opened = two_venues(folder / "opened")
    with webhook() as inbox:
        hooks = Webhooks(inbox.url("page"), inbox.url("ticket"))
        with alertmanager(folder / "d", config(shut, hooks)) as manager:
            ticket = burn("SloFastBurn", "fast", "XDEMO", "a")
            manager.fire(ticket, burn("SloSpike", "spike", "XDEMO", "b", "page"))
            until(lambda: inbox.firing("page", slo="b"), "the page is sent at any hour")
            until(lambda: "not within active time" in manager.log(), "the ticket was due, outside the hours of delivery")
            assert not inbox.firing("ticket")
            manager.config.write_text(config(opened, hooks))
            manager.reread()
            until(lambda: inbox.firing("ticket", slo="a", tier="fast"), "the ticket is delivered once the hours allow it")
    assert not inbox.malformed
    assert {told.receiver for told in inbox.told} == {"page", "ticket"}
