"""When alerts fire, stop, and what they say: promtool judges, on the clock of a Monday in session."""

import re
from dataclasses import replace
from fractions import Fraction

from ops.session import Zone
from ops.slo import alert_text, factors, rules, sli
from ops.slo.model import Events, Idle, NoData, Policy, Selector, Severity, Terms
from tests.slo.conftest import DEFAULT, TERMS, ask, make_slo, make_spec, promtool_test, series
from tests.slo.test_rules import clock, judged, of_raw, raw

PAGES = 'count by (alertname) (ALERTS{severity="page",alertstate="firing"})'
REQUESTS = Events(Selector("r_total"), bad=Selector("r_total", 'code="500"'))


def requests(code, values, **labels):
    more = "".join(f',{key}="{value}"' for key, value in labels.items())
    return series(f'r_total{{exchange="XDEMO",code="{code}"{more}}}', values)


def ever(alert, since="1h"):
    return f"count(count_over_time(ALERTS{{{alert}}}[{since}]))"


def test_a_total_outage_pages_at_the_second_scrape_and_stops_a_minute_after_it(tmp_path):
    spec = make_spec(slos=(make_slo("a", REQUESTS),))
    inputs = [clock("2026-03-09T10:00", 15, 100), requests("200", "0+15x40 600x20 600+15x40"), requests("500", "0x40 0+15x19 300x41")]
    spiking = 'ALERTS{alertname="SloSpike",alertstate="firing"}'
    fires = 'ALERTS{alertname="SloSpike",alertstate="firing",exchange="XDEMO",hours="regular",policy="default",severity="page",slo="a",%s}'
    fires %= 'tier="spike",zone="2"'
    asked = [ask(spiking, "10m", {}), ask(spiking, "10m30s", {fires: 1}), ask(spiking, "15m", {fires: 1}), ask(spiking, "16m30s", {})]
    assert judged(tmp_path, spec, inputs, asked, "15s") == ""


def test_a_burst_of_one_second_after_the_open_pages_nobody_and_ten_percent_does(tmp_path):
    """100 a second with 100 failures at once; and one a second of which every tenth fails."""
    rare = Events(Selector("s_total"), bad=Selector("s_total", 'code="500"'))
    spec = make_spec(slos=(make_slo("burst", REQUESTS, minimum_events=10), make_slo("tenth", rare, minimum_events=10)))
    inputs = [
        clock("2026-03-09T09:20", 15, 100),
        requests("200", "0+1500x100"),
        requests("500", "0x43 100x57"),
        series('s_total{exchange="XDEMO",code="200"}', "0+15x48 720+13.5x52"),
        series('s_total{exchange="XDEMO",code="500"}', "0x48 1.5+1.5x52"),
    ]
    asked = [
        ask(ever('slo="burst",tier="spike"'), "24m", {}),
        ask('count(ALERTS{slo="tenth",tier="spike"})', "12m", {}),
        ask('count(ALERTS{slo="tenth",tier="spike"})', "12m45s", {"{}": 1}),
    ]
    assert judged(tmp_path, spec, inputs, asked, "15s") == ""


def test_an_outage_before_the_open_pages_nobody_at_the_open(tmp_path):
    """All fails until the second of the open, in the windows of which it still is."""
    spec = make_spec(slos=(make_slo("a", REQUESTS),))
    inputs = [clock("2026-03-09T09:00", 15, 200), requests("500", "0+15x119 1785x80"), requests("200", "0x119 0+15x80")]
    assert judged(tmp_path, spec, inputs, [ask(PAGES, at, {}) for at in ("29m", "30m", "30m15s", "30m45s", "31m", "35m")], "15s") == ""


def test_burn_alerts_fire_and_stop_within_their_short_window(tmp_path):
    """Bad from 10:10 to 10:25; fast pages and stops by 10:31, slow is a ticket and waits for the morning."""
    spec = make_spec(slos=(raw("a"), raw("b")))
    inputs = [clock("2026-03-09T10:00", 60, 1100), of_raw("a", "0x10 1x14 0x1000"), of_raw("b", "0.001x1100")]
    paging = 'count(ALERTS{tier="fast",severity="page"})'
    ticket = 'count(ALERTS{tier="slow",severity="ticket",slo="a"})'
    asked = [
        ask(paging, "10m", {}),
        ask(paging, "12m", {"{}": 1}),
        ask(paging, "25m", {"{}": 1}),
        ask(paging, "31m", {}),
        ask(ticket, "13m", {"{}": 1}),
        ask(ticket, "14h", {"{}": 1}),
        ask(ticket, "16h", {}),
        ask('count(ALERTS{slo="b"})', "14h", {}),
    ]
    assert judged(tmp_path, spec, inputs, asked) == ""


def test_at_night_a_breach_is_a_ticket_and_dollars_never_page(tmp_path):
    spec = make_spec(slos=(raw("a"),))
    inputs = [clock("2026-03-09T17:00", 60, 200), of_raw("a", "0x10 1x150")]
    asked = [ask(PAGES, at, {}) for at in ("12m", "20m", "1h", "2h")] + [
        ask('count(ALERTS{tier="fast",severity="ticket"})', "13m", {"{}": 1}),
        ask('count(ALERTS{alertname="PnlBudgetFastBurn",severity="ticket"})', "40m", {"{}": 1}),
    ]
    assert judged(tmp_path, spec, inputs, asked) == ""


def test_a_missing_measurement_is_a_ticket_and_idle_is_not(tmp_path):
    slos = (
        make_slo("gone", REQUESTS, no_data=NoData.IGNORE),
        make_slo("idle", Events(Selector("s_total"), bad=Selector("s2_total")), idle=Idle.IGNORE, no_data=NoData.IGNORE),
        make_slo("idle-and-gone", Events(Selector("t_total"), bad=Selector("t2_total")), idle=Idle.IGNORE, no_data=NoData.IGNORE),
    )
    inputs = [clock("2026-03-09T10:00", 60, 20), series('s_total{exchange="XDEMO"}', "5x20"), requests("200", "0+60x8 stale")]
    missing = 'count by (slo) (ALERTS{alertname="SloMissing",alertstate="firing"})'
    asked = [ask(missing, "7m", {'{slo="idle-and-gone"}': 1}), ask(missing, "12m", {'{slo="gone"}': 1, '{slo="idle-and-gone"}': 1})]
    assert judged(tmp_path, make_spec(slos=slos), inputs, asked) == ""


def test_a_spike_needs_the_fast_burn_rate_where_the_promise_is_loose():
    loose = Terms(Fraction("0.99"), Fraction(1), Severity.PAGE)
    spec = make_spec()
    assert factors.spike_threshold(spec, TERMS[Zone.VOLATILE]) == Fraction(3, 100)
    assert factors.spike_threshold(spec, TERMS[Zone.REGULAR]) == Fraction(3, 100)
    assert factors.spike_threshold(spec, loose) == Fraction(14, 100)
    assert factors.spike_threshold(spec, replace(loose, objective=Fraction(1, 2))) == 1
    assert factors.spike_threshold(spec, TERMS[Zone.EXTENDED]) is None


def test_nobody_is_paged_by_a_spec_that_only_has_tickets():
    quiet = Policy("default", {zone: replace(terms, severity=Severity.TICKET) for zone, terms in TERMS.items()})
    spec = make_spec(default=quiet, slos=(make_slo("a", policy=quiet),))
    found = [rule for file in rules.rule_files(spec) if "calendar" not in file.name for rule in file.rules if rule.alert]
    assert found
    assert {rule.labels["severity"] for rule in found} == {"ticket", "none"}
    assert "SloSpike" not in {rule.alert for rule in found}


def test_every_alert_says_what_to_do_and_where_to_read_on():
    found = [rule for file in rules.rule_files(make_spec(2, runbook_base="https://git.example/v/")) for rule in file.rules if rule.alert]
    assert {rule.alert for rule in found} == {
        "CalendarHorizon",
        "ChangeFreeze",
        "MaintenanceWindow",
        "PnlBudgetFastBurn",
        "PnlBudgetHalfSpent",
        "SloCoverageGap",
        "SloFastBurn",
        "SloHistoryLost",
        "SloMissing",
        "SloSlowBurn",
        "SloSpike",
        "ZoneInvariant",
    }
    for rule in found:
        assert {"summary", "first_action", "runbook"} <= set(rule.annotations), rule.alert
        assert rule.annotations["runbook"].startswith("https://git.example/v/runbooks/"), rule.alert
        assert rule.labels["severity"] in {"page", "ticket", "none"}, rule.alert
        assert not rule.for_s or rule.alert in {"SloMissing", "SloCoverageGap", "ZoneInvariant"}, rule.alert


def test_no_template_computes_with_functions_that_prometheus_does_not_have():
    for file in rules.rule_files(make_spec(2)):
        for rule in file.rules:
            for text in rule.annotations.values():
                assert not re.search(r"\b(mul|div|add|sub)\b", text), rule.alert


WORDS = {
    "first_action": "look at {{ the }} 'gateway' log",
    "runbook": "runbooks/other.md",
    "summary": "a of XDEMO, gw x: 43.7 % of the last slice was bad.",
    "description": "Zone 2, in session. Burn rate of the last slice: 437.5x. At this rate it costs $2,625 an hour. "
    "This month: $44, 0.4 % of the venue's $10,000.",
    "worst": "pod p2",
}


def spoken(slo, alert, at, labels, annotations):
    return {"eval_time": at, "alertname": alert, "exp_alerts": [{"exp_labels": labels, "exp_annotations": annotations}]}


def test_an_alert_reads_like_a_sentence_with_its_figures(tmp_path):
    a = make_slo(
        "a", REQUESTS, group_by=("gw",), offender="pod", first_action="look at {{ the }} `gateway` log", runbook="runbooks/other.md"
    )
    b = make_slo("b", REQUESTS, no_data=NoData.GOOD, minimum_events=10**6)
    inputs = [
        clock("2026-03-09T10:00", 60, 10),
        requests("200", "0+9x10", gw="x", pod="p1"),
        requests("500", "0+1x10", gw="x", pod="p1"),
        requests("500", "0+6x10", gw="x", pod="p2"),
    ]
    labels = {"exchange": "XDEMO", "gw": "x", "hours": "regular", "policy": "default", "severity": "page", "slo": "a", "zone": "2"}
    spike = spoken("a", "SloSpike", "2m", labels | {"tier": "spike"}, WORDS)
    files = [file for file in rules.rule_files(make_spec(slos=(a, b))) if file.name != rules.CLOCK_FILE]
    test = {"interval": "1m", "input_series": inputs, "alert_rule_test": [spike]}
    assert promtool_test(tmp_path, files, [test], "1m") == ""


def test_a_figure_that_cannot_be_had_is_unknown(tmp_path):
    """Only the group of the SLIs is loaded, and what a spike needs is given: nothing of the month is there."""
    spec = make_spec(slos=(make_slo("a", REQUESTS, offender="pod"),))
    inputs = [
        series('exchange_zone:slice:info{exchange="XDEMO",zone="2",hours="regular",day="20260309",month="202603"}', "1x10"),
        series('slo_policy:spike:ratio{exchange="XDEMO",policy="default",zone="2"}', "0.03x10"),
    ]
    words = {
        "summary": "a of XDEMO: 100 % of the last slice was bad.",
        "first_action": "look at a",
        "runbook": "runbooks/a.md",
        "description": "Zone 2, in session. Burn rate of the last slice: unknown. At this rate it costs unknown an hour. "
        "This month: unknown, unknown of the venue's $10,000.",
        "worst": "unknown",
    }
    labels = {"exchange": "XDEMO", "hours": "regular", "policy": "default", "severity": "page", "slo": "a", "tier": "spike", "zone": "2"}
    test = {"interval": "1m", "input_series": inputs, "alert_rule_test": [spoken("a", "SloSpike", "2m", labels, words)]}
    assert promtool_test(tmp_path, rules.rule_files(spec), [test], "1m", keep=["xdemo-sli-01"]) == ""


def test_dollars_are_said_with_commas(tmp_path):
    spec = make_spec(slos=(raw("a"),), default=DEFAULT)
    inputs = [clock("2026-03-09T10:00", 60, 40), of_raw("a", "0x4 1x35")]
    words = {
        "summary": "XDEMO lost $1,600 within the hour, and goes on losing.",
        "first_action": "opsctl budget names the SLO that loses it; act by that SLO's runbook.",
        "runbook": "runbooks/pnl-budget-fast-burn.md",
        "description": "Zone 2, in session. Left of this month's $10,000: $8,500.",
    }
    labels = {"exchange": "XDEMO", "hours": "regular", "severity": "page", "slo": "venue", "tier": "budget", "zone": "2"}
    test = {"interval": "1m", "input_series": inputs, "alert_rule_test": [spoken("a", "PnlBudgetFastBurn", "20m", labels, words)]}
    files = [file for file in rules.rule_files(spec) if file.name != rules.CLOCK_FILE]
    assert promtool_test(tmp_path, files, [test], "1m") == ""


def test_the_base_stands_before_paths_of_runbooks_and_not_before_addresses():
    spec = make_spec(slos=(make_slo("a", REQUESTS, runbook="https://wiki.example/a"), make_slo("b", runbook="runbooks/b.md")))
    text = alert_text.runbook(replace(spec, runbook_base="https://git.example/"), spec.slos)
    assert "a: https://wiki.example/a\n" in text
    assert "b: https://git.example/runbooks/b.md\n" in text


def test_the_worst_is_looked_for_within_the_alerts_own_group(tmp_path):
    """Of two feeds, g1 is bad in one and g2 in the other; each page names its own."""
    slo = make_slo("a", REQUESTS, group_by=("feed",), offender="gateway")
    spec = make_spec(slos=(slo,))
    part = 'r_total{exchange="XDEMO",feed="%s",gateway="%s",code="%s"}'
    inputs = [clock("2026-03-09T10:00", 15, 100)]
    inputs += [series(part % (feed, gateway, "200"), "0+15x100") for feed in ("x", "y") for gateway in ("g1", "g2")]
    inputs += [series(part % ("x", "g1", "500"), "0x20 0+90x80"), series(part % ("y", "g2", "500"), "0x20 0+9x80")]
    rule = next(rule for group in (rules.sli_group(spec, spec.slos, 1),) for rule in group.rules if rule.alert)
    assert '@feed@" (printf "%q" $labels.feed)' in rule.annotations["worst"]
    queries = {feed: sli.bad_events(slo, "XDEMO", "gateway", 300, f'feed="{feed}"') for feed in ("x", "y")}
    asked = [
        ask(f"count by (gateway) (topk(1, {queries[feed]}))", "10m", {f'{{gateway="{worst}"}}': 1})
        for feed, worst in (("x", "g1"), ("y", "g2"))
    ]
    assert judged(tmp_path, spec, inputs, asked, "15s") == ""
    assert alert_text.worst(spec, (replace(slo, offender="feed"),)) == ""
