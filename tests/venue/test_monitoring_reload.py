"""`opsctl up` on a venue that runs: changed rules and webhooks are taken over, by real programs, and bad ones are taken back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ops.adapters.local import http_get
from ops.errors import UsageError
from ops.venue import flow, monitoring
from ops.venue.files import load_existing
from ops.venue.model import Request, Site, UpReport
from venue.helpers import free_port, short_folder, standin_site
from venue.test_monitoring_files import Declared

pytestmark = pytest.mark.e2e
MORE = "groups: [{name: more, rules: [{alert: More, expr: vector(1), labels: {severity: ticket}}]}]\n"
HOOK = "http://me:SECRET@127.0.0.1:9/page"


class Running:
    """A venue of stand-ins with declared folders of its own."""

    def __init__(self, site: Site, declared: Declared) -> None:
        self.site, self.declared = site, declared

    def up(self, **request: str) -> UpReport:
        return flow.up(self.site, Request(**request), lambda _part, _seconds: None)  # type: ignore[arg-type]

    def alerts(self) -> set[str]:
        """Names of the alerts that Prometheus evaluates."""
        answer = http_get(load_existing(self.site.layout.state).ports.prometheus, "/api/v1/rules?type=alert", 5.0)
        assert answer is not None
        return {rule["name"] for group in json.loads(answer[2])["data"]["groups"] for rule in group["rules"]}

    def read_at(self, name: str) -> str:
        ports = load_existing(self.site.layout.state).ports
        answer = http_get({"prometheus": ports.prometheus, "alertmanager": ports.alertmanager}[name], "/metrics", 5.0)
        assert answer is not None
        found = re.search(rf"^{name}_config_last_reload_success_timestamp_seconds (\S+)$", answer[2].decode(), re.MULTILINE)
        assert found is not None
        return found[1]

    def receivers(self) -> str:
        answer = http_get(load_existing(self.site.layout.state).ports.alertmanager, "/api/v2/status", 5.0)
        assert answer is not None
        return str(json.loads(answer[2])["config"]["original"])


@contextmanager
def up(folder: Path) -> Iterator[Running]:
    (folder / "declared").mkdir()
    declared = Declared(folder / "declared")
    site = replace(standin_site(folder), alerts=lambda: declared.alerts, slo=lambda: declared.slo)
    try:
        flow.up(site, Request(gateways=1, http_port=free_port(folder)), lambda _part, _seconds: None)
        yield Running(site, declared)
    finally:
        flow.down(site)


@pytest.fixture(scope="module")
def venue() -> Iterator[Running]:
    with short_folder() as folder, up(folder) as running:
        yield running


@pytest.fixture(autouse=True)
def as_before(venue: Running) -> Iterator[None]:
    yield
    (venue.declared.alerts / "more.yaml").unlink(missing_ok=True)
    venue.up(page_webhook="none")
    assert venue.alerts() == {"A"}


def test_without_a_change_nothing_is_read_again(venue: Running) -> None:
    before = venue.read_at("prometheus"), venue.read_at("alertmanager")
    report = venue.up()
    assert (report.started, report.notes) == ((), ())
    assert (venue.read_at("prometheus"), venue.read_at("alertmanager")) == before


def test_a_new_rule_is_in_force_when_up_returns(venue: Running) -> None:
    pids = {program.name: program.pid for program in venue.site.supervisor.programs()}
    (venue.declared.alerts / "more.yaml").write_text(MORE)
    manager = venue.read_at("alertmanager")
    report = venue.up()
    assert (report.started, report.notes) == ((), ("prometheus took over 2 changed files",))
    assert venue.alerts() == {"A", "More"}
    assert venue.read_at("alertmanager") == manager
    assert {program.name: program.pid for program in venue.site.supervisor.programs()} == pids
    (venue.declared.alerts / "more.yaml").unlink()
    venue.up()
    assert venue.alerts() == {"A"}


def test_a_webhook_is_in_force_remembered_and_shown_masked(venue: Running) -> None:
    rules = venue.read_at("prometheus")
    report = venue.up(page_webhook=HOOK)
    assert report.notes == ("alertmanager took over 1 changed file",)
    assert "url: http://127.0.0.1:9/page" in venue.receivers()
    assert "SECRET" not in venue.receivers()
    assert venue.read_at("prometheus") == rules
    assert load_existing(venue.site.layout.state).webhooks.page == HOOK
    assert venue.up().notes == ()


def test_rules_that_prometheus_refuses_are_taken_back(venue: Running) -> None:
    (venue.declared.alerts / "more.yaml").write_text(MORE)
    venue.up()
    (venue.declared.alerts / "more.yaml").write_text(MORE.replace("vector(1)", "vector(1"))
    with pytest.raises(UsageError, match="the old ones are in force") as refused:
        venue.up()
    assert "alerts-more.yaml" in refused.value.message
    assert venue.alerts() == {"A", "More"}
    assert (venue.site.layout.rules / "alerts-more.yaml").read_text() == MORE


def test_an_up_that_ended_before_the_reload_is_made_good_by_the_next(venue: Running) -> None:
    site = venue.site
    (venue.declared.alerts / "more.yaml").write_text(MORE)
    monitoring.write(site.layout, monitoring.gather(load_existing(site.layout.state), site.layout, site.alerts(), site.slo()))
    assert venue.alerts() == {"A"}
    assert venue.up().notes == ("prometheus read its files again",)
    assert venue.alerts() == {"A", "More"}


def test_rules_that_went_missing_stop_nothing_that_runs(venue: Running) -> None:
    file = venue.declared.generated / "xdemo-sli-01.rules.yaml"
    text = file.read_text()
    file.unlink()
    try:
        with pytest.raises(UsageError, match="no generated rules"):
            venue.up()
    finally:
        file.write_text(text)
    assert venue.alerts() == {"A"}
