"""What is written for Prometheus and Alertmanager: which rules are in it, what is refused, and that no value gets out of its place."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from ops.errors import UsageError
from ops.venue import decide, monitoring
from ops.venue.model import Layout, Request, Venue, Webhooks

RULES = """# Generated
groups:
  - name: "slo"
    interval: 15s
    rules:
      - record: slo:bad:ratio
        expr: "vector(0)"
        labels:
          exchange: "{exchange}"
"""
PART = """# Generated
routes:
  - matchers: ['exchange="{exchange}"', 'severity="ticket"']
    receiver: ticket
    active_time_intervals: [{name}]
inhibit_rules:
  - source_matchers: ['tier="fast"']
    target_matchers: ['tier="slow"']
    equal: [exchange, slo]
time_intervals:
  - name: {name}
    time_intervals: [{{times: [{{start_time: "08:00", end_time: "20:00"}}], location: America/New_York}}]
"""
ALERT = "groups: [{name: a, rules: [{alert: A, expr: vector(1)}]}]\n"


class Declared:
    """A venue's declared folders, and where its files go."""

    def __init__(self, folder: Path, exchange: str = "XDEMO") -> None:
        self.alerts, self.slo, self.layout = folder / "alerts", folder / "slo", Layout(folder / "s")
        self.generated = self.slo / "generated"
        for path in (self.alerts, self.generated, *self.layout.folders()):
            path.mkdir(parents=True)
        (self.alerts / "venue.yaml").write_text(ALERT)
        self.add(exchange)
        self.venue: Venue = decide.new_venue(Request(gateways=2), self.layout.state, "1.0.0", lambda _port: True)

    def add(self, exchange: str, interval: str = "") -> None:
        name = exchange.lower()
        (self.generated / f"{name}-sli-01.rules.yaml").write_text(RULES.format(exchange=exchange))
        (self.generated / f"{name}-alertmanager.yaml").write_text(PART.format(exchange=exchange, name=interval or f"{name}-tickets"))

    def gather(self) -> monitoring.Files:
        return monitoring.gather(self.venue, self.layout, self.alerts, self.slo)

    def write(self) -> set[str]:
        return {path.name for path in monitoring.write(self.layout, self.gather())}

    def written(self, name: str) -> str:
        return next(path.read_text() for path in self.layout.state.rglob(name))


@pytest.fixture
def declared(tmp_path: Path) -> Declared:
    return Declared(tmp_path)


def test_rules_of_both_kinds_are_copied_and_named_and_only_changes_are_written(declared: Declared) -> None:
    everything = {"alerts-venue.yaml", "slo-xdemo-sli-01.rules.yaml", "prometheus.yml", "alertmanager.yml"}
    assert declared.write() == everything
    named = yaml.safe_load(declared.written("prometheus.yml"))["rule_files"]
    assert [Path(name) for name in named] == sorted(declared.layout.rules.iterdir())
    assert declared.written("alerts-venue.yaml") == ALERT
    assert declared.write() == set()
    (declared.alerts / "venue.yaml").write_text(ALERT + "# more\n")
    assert declared.write() == {"alerts-venue.yaml"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in declared.layout.state.rglob("*") if path.is_file())


def test_a_rule_file_that_is_declared_no_more_goes_away(declared: Declared) -> None:
    (declared.alerts / "more.yaml").write_text(ALERT)
    declared.write()
    (declared.alerts / "more.yaml").unlink()
    assert declared.write() == {"alerts-more.yaml", "prometheus.yml"}
    assert not (declared.layout.rules / "alerts-more.yaml").exists()


def test_without_rules_a_venue_is_refused_with_the_next_step(declared: Declared) -> None:
    declared.venue = replace(declared.venue, exchange="XLON")
    with pytest.raises(UsageError, match="are for XDEMO, none is for this venue, XLON") as refused:
        declared.gather()
    assert "exchange: XLON" in refused.value.hint
    shutil.rmtree(declared.generated)
    with pytest.raises(UsageError, match="no generated rules") as refused:
        declared.gather()
    assert "opsctl slo generate" in refused.value.hint
    (declared.alerts / "venue.yaml").unlink()
    with pytest.raises(UsageError, match="no alert rules"):
        declared.gather()


def test_rules_of_another_exchange_are_loaded_and_named(declared: Declared) -> None:
    declared.add("XLON")
    files = declared.gather()
    assert files.foreign == ("XLON",)
    assert declared.layout.rules / "slo-xlon-sli-01.rules.yaml" in files.texts


def test_the_generated_parts_stand_before_the_venues_own_routes(declared: Declared) -> None:
    declared.add("XLON")
    declared.write()
    found = yaml.safe_load(declared.written("alertmanager.yml"))
    assert [route["receiver"] for route in found["route"]["routes"]] == ["ticket", "ticket", "page", "ticket"]
    page = found["route"]["routes"][2]
    assert (page["matchers"], page["group_wait"]) == (["severity = page"], "0s")
    assert [interval["name"] for interval in found["time_intervals"]] == ["xdemo-tickets", "xlon-tickets"]
    assert [rule["source_matchers"] for rule in found["inhibit_rules"]] == [["alertname = CoreDown"], ['tier="fast"'], ['tier="fast"']]
    assert found["receivers"] == [{"name": "nobody"}, {"name": "page"}, {"name": "ticket"}], "alerts are kept and shown only"


@pytest.mark.parametrize("part", ["- a list", "receivers: []", "routes: {}", "a: [", "", "routes: [] \n---\nroutes: []"])
def test_a_part_of_another_shape_is_refused(declared: Declared, part: str) -> None:
    (declared.generated / "xdemo-alertmanager.yaml").write_text(part)
    with pytest.raises(UsageError, match=r"xdemo-alertmanager\.yaml"):
        declared.gather()


def test_two_specs_cannot_define_one_time_interval(declared: Declared) -> None:
    declared.add("XLON", interval="xdemo-tickets")
    with pytest.raises(UsageError, match="xdemo-tickets"):
        declared.gather()


WEBHOOKS = Webhooks("https://me:p%22%20%5C%7B%7D:'%23@hooks.example:8443/x?a=%7Bb%7D&c='d'#e", "http://[::1]:9/t")


def test_webhooks_reach_alertmanager_whole_with_the_password_apart(declared: Declared) -> None:
    declared.venue = replace(declared.venue, webhooks=WEBHOOKS)
    declared.write()
    _, page, ticket = yaml.safe_load(declared.written("alertmanager.yml"))["receivers"]
    assert page["webhook_configs"] == [
        {
            "url": "https://hooks.example:8443/x?a=%7Bb%7D&c='d'",
            "send_resolved": True,
            "max_alerts": 100,
            "http_config": {"basic_auth": {"username": "me", "password": "p\" \\{}:'#"}},
        }
    ]
    assert ticket["webhook_configs"] == [{"url": "http://[::1]:9/t", "send_resolved": True, "max_alerts": 100}]


@pytest.mark.parametrize("hooks", [Webhooks(), WEBHOOKS], ids=["none", "both"])
def test_amtool_and_promtool_accept_what_is_written(declared: Declared, hooks: Webhooks) -> None:
    declared.venue = replace(declared.venue, webhooks=hooks)
    declared.add("XLON")
    declared.write()
    for words in (
        ("amtool", "check-config", "alertmanager/alertmanager.yml"),
        ("promtool", "check", "config", "prometheus/prometheus.yml"),
    ):
        argv = [*words[:-1], str(declared.layout.state / words[-1])]
        checked = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, env={"PATH": os.environ["PATH"]})
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_month_is_kept_with_room_and_the_disk_is_bounded() -> None:
    assert decide.RETENTION_DAYS >= 33 + 7
    assert decide.retention_mb(1) < decide.retention_mb(4) < decide.retention_mb(16) < 30_000
