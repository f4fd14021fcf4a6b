"""Prometheus, Alertmanager and HAProxy accept what is written for them, and see each other in a venue that runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.parse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from ops.adapters.local import http_get
from ops.venue.files import load_existing
from ops.venue.model import Site
from venue.helpers import SLO, eventually, standin_venue
from venue.test_alerts import ALERTS, HAPROXY_SERIES

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with standin_venue(2) as site:
        yield site


def query(site: Site, expression: str) -> list[dict[str, object]]:
    port = load_existing(site.layout.state).ports.prometheus
    answer = http_get(port, "/api/v1/query?" + urllib.parse.urlencode({"query": expression}), 5.0)
    assert answer is not None
    return list(json.loads(answer[2])["data"]["result"])


@pytest.mark.parametrize(
    "words",
    [
        ("promtool", "check", "config", "prometheus/prometheus.yml"),
        ("amtool", "check-config", "alertmanager/alertmanager.yml"),
        ("haproxy", "-c", "-f", "haproxy/haproxy.cfg"),
    ],
    ids=lambda words: words[0],
)
def test_its_own_checker_accepts_the_file(site: Site, words: tuple[str, ...]) -> None:
    checker = shutil.which(words[0], path="/usr/bin:/usr/sbin")
    if checker is None:
        pytest.skip(f"{words[0]} is not installed")
    argv = [checker, *words[1:-1], str(site.layout.state / words[-1])]
    checked = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_part_is_scraped_under_its_labels(site: Site) -> None:
    eventually(lambda: len(query(site, 'up{job="gateway"} == 1')) == 2, "two gateways are scraped", 20)
    for job in ("core", "haproxy", "probe"):
        one = f'up{{job="{job}",env="local",exchange="XDEMO"}} == 1'
        eventually(partial(query, site, one), f"{job} is scraped", 20)
    gateways = [row["metric"] for row in query(site, 'up{job="gateway"}')]
    assert {m["gateway"] for m in gateways} == {"gateway-1", "gateway-2"}  # type: ignore[index]
    for metric in gateways:
        labels = {name: metric[name] for name in ("env", "exchange", "version", "track")}  # type: ignore[index]
        assert labels == {"env": "local", "exchange": "XDEMO", "version": "1.0.0", "track": "stable"}


def test_haproxy_shows_the_series_that_alerts_name(site: Site) -> None:
    for series in HAPROXY_SERIES:
        eventually(partial(query, site, f'{series}{{proxy="http"}}'), series, 20)


def test_prometheus_runs_every_alert_and_knows_its_alertmanager(site: Site) -> None:
    port = load_existing(site.layout.state).ports.prometheus
    rules = http_get(port, "/api/v1/rules", 5.0)
    assert rules is not None
    groups = json.loads(rules[2])["data"]["groups"]
    own = [group for group in groups if Path(group["file"]).name.startswith("alerts-")]
    assert {rule["name"] for group in own for rule in group["rules"]} == {rule["alert"] for rule in ALERTS}
    generated = {f"slo-{file.name}" for file in (SLO / "generated").glob("*.rules.yaml")}
    assert generated
    assert {Path(group["file"]).name for group in groups if group not in own} == generated

    def managers() -> bool:
        answer = http_get(port, "/api/v1/alertmanagers", 5.0)
        return answer is not None and len(json.loads(answer[2])["data"]["activeAlertmanagers"]) == 1

    eventually(managers, "Prometheus found Alertmanager", 20)
