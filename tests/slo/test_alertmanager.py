"""Alertmanager's part: accepted by amtool, and every alert goes where its severity says."""

import subprocess
from dataclasses import replace

import pytest
import yaml

from ops.slo import alertmanager
from ops.slo.model import Severity, Tier
from tests.slo.conftest import CALENDAR, TIERS, make_slo, make_spec

GROUPED = make_spec(slos=(make_slo("a", group_by=("gateway",)), make_slo("b", group_by=("feed", "gateway"))))
TOKYO = make_spec(1, exchange="XTKS", calendar=replace(CALENDAR, timezone="Asia/Tokyo"), deliver_tickets=(540, 1440))


def part(*specs):
    return yaml.safe_load(alertmanager.part(specs or (GROUPED,)))


def whole(tmp_path, *specs):
    """The part inside a configuration as a venue has one."""
    found = part(*specs)
    config = {
        "route": {"receiver": "nobody", "routes": found["routes"]},
        "receivers": [{"name": name} for name in alertmanager.RECEIVERS],
        "inhibit_rules": found["inhibit_rules"],
        "time_intervals": found["time_intervals"],
    }
    path = tmp_path / "alertmanager.yml"
    path.write_text(yaml.safe_dump(config))
    return path


def amtool(*arguments):
    return subprocess.run(["amtool", *map(str, arguments)], capture_output=True, text=True, timeout=30, check=False)


def test_amtool_accepts_two_venues_in_one_configuration(tmp_path):
    done = amtool("check-config", whole(tmp_path, GROUPED, TOKYO))
    assert done.returncode == 0, done.stderr
    assert "SUCCESS" in done.stdout


@pytest.mark.parametrize(("severity", "receiver"), [("page", "page"), ("ticket", "ticket"), ("none", "nobody")])
def test_an_alert_goes_where_its_severity_says(tmp_path, severity, receiver):
    done = amtool(
        "config", "routes", "test", f"--config.file={whole(tmp_path, GROUPED, TOKYO)}", "exchange=XTKS", f"severity={severity}", "slo=slo-0"
    )
    assert done.stdout.strip() == receiver, done.stderr


def test_a_page_is_sent_at_once():
    page = next(route for route in part()["routes"] if route["receiver"] == "page")
    assert page["group_wait"] == "0s"
    assert page["group_by"] == ["exchange"]
    assert "active_time_intervals" not in page


def test_tickets_wait_for_the_hours_of_their_venue_by_local_time():
    found = part(GROUPED, TOKYO)
    tickets = [route for route in found["routes"] if route["receiver"] == "ticket"]
    assert [route["active_time_intervals"] for route in tickets] == [["xdemo-tickets"], ["xtks-tickets"]]
    assert found["time_intervals"] == [
        {
            "name": "xdemo-tickets",
            "time_intervals": [{"times": [{"start_time": "08:00", "end_time": "20:00"}], "location": "America/New_York"}],
        },
        {"name": "xtks-tickets", "time_intervals": [{"times": [{"start_time": "09:00", "end_time": "24:00"}], "location": "Asia/Tokyo"}]},
    ]


def test_the_quicker_holds_back_the_slower_of_the_same_thing_only():
    rules = part()["inhibit_rules"]
    same = ["exchange", "slo", "feed", "gateway"]
    by_tier = [rule for rule in rules if any(matcher.startswith("tier=") for matcher in rule["source_matchers"])]
    assert by_tier
    assert all(rule["equal"] == same for rule in by_tier)
    spike = next(rule for rule in by_tier if 'tier="spike"' in rule["source_matchers"])
    assert 'tier=~"fast|slow"' in spike["target_matchers"]


def test_a_ticket_never_holds_back_a_page():
    for rule in part(make_spec(tiers=(*TIERS, Tier("late", Severity.PAGE, 86400, 7200, factor=TIERS[2].factor))))["inhibit_rules"]:
        if 'severity="ticket"' in rule["source_matchers"]:
            assert 'severity="ticket"' in rule["target_matchers"]


def test_nothing_holds_back_another_venue():
    rules = part(GROUPED, TOKYO)["inhibit_rules"]
    assert len(rules) == 10
    assert all("exchange" in rule["equal"] for rule in rules)


def test_maintenance_holds_back_what_it_explains_and_no_quick_alert():
    rules = [rule for rule in part()["inhibit_rules"] if 'alertname="MaintenanceWindow"' in rule["source_matchers"]]
    targets = sorted(rule["target_matchers"][1] for rule in rules)
    assert targets == ['alertname=~"GatewayDown|GatewayCrashLooping"', 'tier="slow"']
