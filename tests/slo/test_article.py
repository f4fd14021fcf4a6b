"""Fifteen errors of a published set of trading SLOs, each twice: rules that repeat it (tests/slo/article, in our own words) are rejected or
misbehave, and what is generated here does right in the same case. `opsctl slo check --rules` names those that Prometheus would load."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml

from ops.errors import UsageError
from ops.session import Hours, Zone
from ops.slo import alertmanager, check_foreign, factors, rulefile, rules
from ops.slo.parse import load
from tests.slo.test_proofs import CALENDARS, COMMON, HEAD, TIMEOUT_S

ARTICLE = Path(__file__).parent / "article"
NEW_YORK = ZoneInfo("America/New_York")
SLOS = {
    "errors": "sli: {events: {total: requests_total, bad: errors_total}}, no_data: bad, minimum_events: 10",
    "fills": "sli: {events: {total: submitted_total, good: done_total}}, no_data: bad",
    "acks": "sli: {latency: {histogram: ack_seconds, threshold: 500ms}}, no_data: ignore, objectives: {1: 99%, 2: 99%, 3: 99%}",
    "slow": "sli: {probe: {metric: probe_ok}}, group_by: [gateway], no_data: ignore",
    "zombies": "sli: {threshold: {metric: zombie_orders, above: 0}}, no_data: ignore",
}
PAGES = 'ALERTS{alertstate="firing",severity="page",slo!="venue"}'
PAGING = f"group by (slo) ({PAGES})"


@dataclass
class Case:
    """One run of promtool: what is fed, and what is asked. Times are minutes; input is sampled every 15 s."""

    folder: Path
    files: Sequence[Path]
    inputs: Mapping[str, str]
    step: str = "1m"
    asked: list[dict] = field(default_factory=list)

    def run(self, **more: object) -> str:
        """What promtool complains of."""
        block = {"interval": "15s", "input_series": [{"series": name, "values": text} for name, text in self.inputs.items()], **more}
        groups = [group["name"] for path in self.files for group in yaml.safe_load(path.read_text())["groups"]]
        test = {
            "rule_files": [str(path) for path in self.files],
            "evaluation_interval": self.step,
            "group_eval_order": groups,
            "tests": [block],
        }
        path = self.folder / "case.test.yaml"
        path.write_text(yaml.safe_dump(test), encoding="utf-8")
        return _promtool("test", "rules", path)

    def claims(self, *claims: tuple[str, str, dict[str, float]]) -> str:
        """(when, expression, samples by their labels); '' when all of them hold."""
        asked = [
            {"eval_time": when, "expr": expr, "exp_samples": [{"labels": labels, "value": value} for labels, value in samples.items()]}
            for when, expr, samples in claims
        ]
        return self.run(promql_expr_test=asked)

    def annotations(self, alert: str, when: str) -> list[str]:
        """The annotations of each alert of that name that fires."""
        said = self.run(alert_rule_test=[{"eval_time": when, "alertname": alert, "exp_alerts": []}])
        return re.findall(r"Annotations:\{(.*)\}", said)


def _promtool(*arguments: object) -> str:
    program = shutil.which("promtool")
    assert program, "promtool is missing: apt-get install prometheus"
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def article(folder: Path, file: str, inputs: Mapping[str, str], step: str = "1m") -> Case:
    return Case(folder, [ARTICLE / file], inputs, step)


def ours(
    folder: Path, names: Sequence[str], start: datetime, inputs: Mapping[str, str], minutes: int, step: str = "1m", vix: str = ""
) -> Case:
    """Rules generated for these SLOs, from a moment of New York's time on; the volatility index is low unless told otherwise."""
    files = [path for path in generated(folder, names) if path.name != rules.CLOCK_FILE]
    clock = {"venue:clock:seconds": f"_x4 {int(start.timestamp()) + 60}+15x{minutes * 4 - 4}", "vix_index": vix or f"15+0x{minutes * 4}"}
    return Case(folder, files, {**clock, **{_of_venue(name): text for name, text in inputs.items()}}, step)


def _of_venue(name: str) -> str:
    return name.replace("{", '{exchange="XTST",') if "{" in name else f'{name}{{exchange="XTST"}}'


def generated(folder: Path, names: Sequence[str]) -> list[Path]:
    spec = load(written_spec(folder, [f"{{name: {name}, {SLOS[name]}, {COMMON}}}" for name in names]))
    found = []
    for file in rules.rule_files(spec, "0"):
        (folder / file.name).write_text(rulefile.text(file, "Generated."), encoding="utf-8")
        found.append(folder / file.name)
    return found


def written_spec(folder: Path, slos: Sequence[str]) -> Path:
    (folder / "xnys.yaml").write_text(CALENDARS["xnys"], encoding="utf-8")
    path = folder / "xtst.yaml"
    path.write_text(HEAD.format(calendar="xnys") + "".join(f"  - {slo}\n" for slo in slos), encoding="utf-8")
    return path


def complaints(file: str) -> str:
    return "\n".join(str(finding) for finding in check_foreign.check(ARTICLE / file))


def counter(*parts: tuple[int, int]) -> str:
    """A counter from (minutes, events a minute) pairs."""
    texts, value = [], 1_000_000
    for index, (minutes, rate) in enumerate(parts):
        step, samples = rate // 4, minutes * 4 - (1 if index else 0)
        texts.append(f"{value + (step if index else 0)}+{step}x{samples}")
        value += minutes * 4 * step
    return " ".join(texts)


MONDAY_TEN = datetime(2026, 3, 9, 10, 0, tzinfo=NEW_YORK)
SUNDAY_TEN = datetime(2026, 3, 8, 10, 0, tzinfo=NEW_YORK)
NIGHT = datetime(2026, 3, 10, 0, 30, tzinfo=NEW_YORK)


def test_01_templates_have_no_arithmetic(tmp_path):
    assert 'function "mul" not defined' in _promtool("check", "rules", ARTICLE / "01_arithmetic_in_templates.rules.yaml")
    assert "'mul'" in complaints("01_arithmetic_in_templates.rules.yaml")
    assert _promtool("check", "rules", *generated(tmp_path, list(SLOS))) == ""


def test_02_a_series_is_no_template_function(tmp_path):
    assert 'function "session_zone" not defined' in _promtool("check", "rules", ARTICLE / "02_series_as_template_function.rules.yaml")
    texts = [path.read_text() for path in generated(tmp_path, ["zombies"])]
    severities = {
        rule["labels"]["severity"]
        for text in texts
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    assert severities == {"page", "ticket", "none"}


def test_03_an_alert_does_not_wait_anew_when_the_zone_changes(tmp_path):
    inputs = {"latency_burn": "1000+0x120", "session_zone": "1+0x60 2+0x60"}
    firing = 'count(ALERTS{alertname="LatencyBurns",alertstate="firing"})'
    bad = article(tmp_path, "03_query_in_a_label.rules.yaml", inputs)
    assert bad.claims(("15m", firing, {"{}": 1}), ("17m", firing, {}), ("22m", firing, {"{}": 1})) == ""
    inputs = {"requests_total": counter((30, 6000)), "errors_total": counter((5, 0), (25, 6000))}
    good = ours(tmp_path, ["errors"], MONDAY_TEN, inputs, 30, vix="15+0x60 25+0x60")
    fast = 'group by (zone) (ALERTS{alertname="SloFastBurn",alertstate="firing",severity="page"})'
    each = [(f"{minute}m", "group(" + fast + ")", {"{}": 1}) for minute in range(10, 25)]
    assert good.claims(*each, ("14m", fast, {'{zone="2"}': 1}), ("18m", fast, {'{zone="1"}': 1})) == ""


def test_04_every_window_that_an_alert_reads_is_recorded(tmp_path):
    file = "04_windows_never_recorded.rules.yaml"
    inputs = {"requests_total": counter((480, 600)), "errors_total": counter((480, 600))}
    bad = article(tmp_path, file, inputs, "5m")
    assert _promtool("check", "rules", ARTICLE / file) == ""
    assert bad.claims(("7h", "errors:burn_rate:1h > 990", {"errors:burn_rate:1h": 1000}), ("7h", "count_over_time(ALERTS[7h])", {})) == ""
    assert "errors:burn_rate:5m" in complaints(file)
    assert "errors:burn_rate:6h" in complaints(file)
    inputs = {"requests_total": counter((15, 6000)), "errors_total": counter((5, 0), (10, 6000))}
    good = ours(tmp_path, ["errors"], MONDAY_TEN, inputs, 15)
    alerts = 'group by (alertname) (ALERTS{alertstate="firing",slo="errors"})'
    assert good.claims(("8m", alerts, {f'{{alertname="{name}"}}': 1 for name in ("SloSpike", "SloFastBurn", "SloSlowBurn")})) == ""


def test_05_an_alert_shows_its_own_figure(tmp_path):
    inputs = {'ack_p99_seconds{exchange="A"}': "0.099+0x40", 'ack_p99_seconds{exchange="B"}': "9.9+0x40"}
    shown = article(tmp_path, "05_first_of_all_exchanges.rules.yaml", inputs).annotations("Slow", "5m")
    assert len(shown) == 2
    assert shown[0] == shown[1], "both show one and the same, so one of them is wrong"
    inputs = {'probe_ok{gateway="a"}': "1+0x20 0+0x59", 'probe_ok{gateway="b"}': "1+0x60 0+0x19"}
    good = ours(tmp_path, ["slow"], MONDAY_TEN, inputs, 20)
    shown = [re.search(r'summary="(.*?)"', text)[1] for text in good.annotations("SloFastBurn", "17m")]
    assert sorted(text.split(":")[0] for text in shown) == ["slow of XTST, gateway a", "slow of XTST, gateway b"]
    assert len({text.split("burns ")[1] for text in shown}) == 2


def test_06_hours_are_not_given_to_a_function_of_seconds(tmp_path):
    file = "06_hours_taken_for_seconds.rules.yaml"
    assert article(tmp_path, file, {"latency_burn": "3+0x40"}).annotations("SlowBurn", "5m") == ['left="gone in 4m 0s"'], "it is ten days"
    assert "humanizeDuration" in complaints(file)
    last = load(written_spec(tmp_path, [f"{{name: errors, {SLOS['errors']}, {COMMON}}}"])).calendar
    near = datetime.fromtimestamp(last.day_start_s(date(2029, 1, 1)) - 59 * 86400 - 120, NEW_YORK)
    good = ours(tmp_path, ["errors"], near, {"requests_total": counter((5, 6000))}, 5)
    assert "ends in 59d 0h 0m 0s" in good.annotations("CalendarHorizon", "2m")[0]


def test_07_a_feed_is_not_measured_by_its_scrape(tmp_path):
    perfect = {'tick_seconds{feed="a"}': "0+15x40"}
    bad = article(tmp_path, "07_age_below_the_scrape.rules.yaml", perfect, "7s")
    assert bad.claims(("98s", 'group(ALERTS{alertname="FeedStale",alertstate="firing"})', {"{}": 1})) == ""
    assert "cannot tell an age" in complaints("07_age_below_the_scrape.rules.yaml")
    slo = "{name: feed, sli: {freshness: {timestamp: tick_seconds, threshold: 100ms}}, no_data: bad, " + COMMON + "}"
    with pytest.raises(UsageError, match="under 3 scrape intervals"):
        load(written_spec(tmp_path, [slo]))
    inputs = {"ack_seconds_count": counter((10, 2400)), 'ack_seconds_bucket{le="0.5"}': counter((10, 2400))}
    good = ours(tmp_path, ["acks"], MONDAY_TEN, inputs, 10, "15s")
    assert good.claims(("9m", 'count_over_time(ALERTS{severity="page"}[8m])', {})) == ""


def test_08_an_alert_on_a_counter_never_ends(tmp_path):
    file = "08_counter_above_zero.rules.yaml"
    bad = article(tmp_path, file, {"zombie_orders_total": "0+0x40 1+0x2400"}, "5m")
    assert bad.claims(("10h", 'count(ALERTS{alertname="ZombieOrder",alertstate="firing"})', {"{}": 1})) == ""
    assert "is a counter" in complaints(file)
    slo = "{name: zombies, sli: {threshold: {metric: zombie_orders_total, above: 0}}, no_data: bad, " + COMMON + "}"
    with pytest.raises(UsageError, match="counter"):
        load(written_spec(tmp_path, [slo]))
    good = ours(tmp_path, ["zombies"], MONDAY_TEN, {"zombie_orders": "0+0x20 1+0x7 0+0x60"}, 20)
    page = {'{slo="zombies"}': 1}
    assert good.claims(("7m", PAGING, page), ("15m", PAGING, {})) == ""


def test_09_one_long_window_pages_after_recovery_and_not_at_all_when_the_source_dies(tmp_path):
    file = "09_one_window.rules.yaml"
    fault = [(60, 600), (10, 0), (60, 600)]
    bad = article(tmp_path, file, {"submitted_total": counter((130, 600)), "done_total": counter(*fault)})
    firing = 'count(ALERTS{alertname="FillRateLow",alertstate="firing"})'
    assert bad.claims(("120m", firing, {"{}": 1})) == "", "fifty minutes after recovery"
    dies = {"submitted_total": counter((30, 600)) + " stale", "done_total": counter((30, 600)) + " stale"}
    assert article(tmp_path, file, dies).claims(("100m", "count_over_time(ALERTS[100m])", {})) == ""
    assert "one window" in complaints(file)
    good = ours(
        tmp_path, ["fills"], MONDAY_TEN, {"submitted_total": counter((60, 600)), "done_total": counter((15, 600), (10, 0), (35, 600))}, 60
    )
    page = {'{slo="fills"}': 1}
    assert good.claims(("20m", PAGING, page), ("30m", PAGING, {}), ("59m", PAGING, {})) == ""
    dies = {"submitted_total": counter((15, 600)) + " stale", "done_total": counter((15, 600)) + " stale"}
    assert ours(tmp_path, ["fills"], MONDAY_TEN, dies, 30, "15s").claims(("15m", PAGING, {}), ("15m15s", PAGING, page)) == ""


def test_10_an_inhibition_stays_within_its_venue(tmp_path):
    assert "silences those of every other" in complaints("10_inhibits_everybody.yaml")
    spec = load(written_spec(tmp_path, [f"{{name: {name}, {SLOS[name]}, {COMMON}}}" for name in ("errors", "slow")]))
    rules_of = yaml.safe_load(alertmanager.part([spec]))["inhibit_rules"]
    assert rules_of
    assert [rule for rule in rules_of if "exchange" not in rule["equal"]] == []
    silenced = [matcher for rule in rules_of if "MaintenanceWindow" in str(rule["source_matchers"]) for matcher in rule["target_matchers"]]
    assert silenced
    assert 'severity="ticket"' not in silenced


def test_11_an_outage_on_sunday_does_not_page(tmp_path):
    file = "11_no_zone.rules.yaml"
    bad = article(tmp_path, file, {"requests_total": counter((30, 600)), "errors_total": counter((30, 600))})
    assert bad.claims(("20m", 'count(ALERTS{alertname="FastBurn",alertstate="firing",severity="page"})', {"{}": 1})) == ""
    assert "asks no zone" in complaints(file)
    inputs = {"requests_total": counter((30, 600)), "errors_total": counter((30, 600))}
    good = ours(tmp_path, ["errors"], SUNDAY_TEN, inputs, 30)
    ticket = 'group by (severity, zone) (ALERTS{alertname="SloFastBurn",alertstate="firing"})'
    assert good.claims(("20m", ticket, {'{severity="ticket", zone="3"}': 1}), ("29m", f"count_over_time({PAGES}[28m])", {})) == ""


def test_12_a_promise_that_is_kept_does_not_burn(tmp_path):
    file = "12_three_objectives.rules.yaml"
    kept = {"ack_seconds_count": counter((400, 4000)), 'ack_seconds_bucket{le="0.5"}': counter((400, 3968))}
    bad = article(tmp_path, file, kept, "5m")
    assert bad.claims(("390m", 'count(ALERTS{alertname="SlowBurn",alertstate="firing"})', {"{}": 1})) == "", (
        "992 of 1,000 were quick; 990 are promised"
    )
    assert "one objective for every hour" in complaints(file)
    kept = {"ack_seconds_count": counter((120, 4000)), 'ack_seconds_bucket{le="0.5"}': counter((120, 3968))}
    good = ours(tmp_path, ["acks"], MONDAY_TEN, kept, 120)
    burn = "round(slo:burn_rate:1h{slo='acks'}, 0.01)"
    labels = '{exchange="XTST", hours="regular", policy="acks", slo="acks"}'
    assert good.claims(("110m", burn, {labels: 0.8}), ("110m", 'count_over_time(ALERTS{slo="acks"}[100m])', {})) == ""


def test_13_figures_are_computed(tmp_path):
    told = yaml.safe_load((ARTICLE / "13_figures.yaml").read_text())
    month_min = 30 * 24 * 60
    right = (1 - Fraction("0.9999")) * month_min
    assert right == Fraction("4.32") != Fraction(str(told["minutes_a_month_at_99_99_percent"]))
    assert round(float(Fraction(30, 14)), 2) == 2.14 != told["days_until_gone_at_14_times"]
    spec = load(written_spec(tmp_path, [f"{{name: errors, {SLOS['errors']}, {COMMON}}}"]))
    session = factors.average_month(spec.calendar)[Hours.REGULAR]
    assert round(float(session * spec.default.terms[Zone.VOLATILE].error_budget_ratio), 2) == 0.81


def test_14_dollars_follow_the_zone(tmp_path):
    file = "14_one_price.rules.yaml"
    all_bad = {"requests_total": counter((90, 600)), "errors_total": counter((90, 600))}
    assert article(tmp_path, file, all_bad).claims(("70m", "round(errors:loss_usd:1h)", {"{}": 35000})) == "", "at any hour of the week"
    assert "fixed rate" in complaints(file)
    bad = {"requests_total": counter((90, 600)), "errors_total": counter((20, 0), (70, 600))}
    loss = 'sum(slo:loss_usd:1h{slo="errors"})'
    assert ours(tmp_path, ["errors"], MONDAY_TEN, bad, 90, vix="25+0x360").claims(("85m", loss, {"{}": 500 * 60})) == ""
    assert ours(tmp_path, ["errors"], MONDAY_TEN, bad, 90).claims(("85m", loss, {"{}": 100 * 60})) == ""
    assert ours(tmp_path, ["errors"], SUNDAY_TEN, bad, 90).claims(("85m", loss, {"{}": 20 * 60})) == ""


def test_15_missing_series_and_few_requests_are_thought_of(tmp_path):
    file = "15_nothing_when_nothing_is_there.rules.yaml"
    dies = {"requests_total": counter((20, 600)) + " stale", "errors_total": counter((20, 0)) + " stale"}
    assert article(tmp_path, file, dies).claims(("90m", "count_over_time(ALERTS[90m])", {})) == ""
    few = {"requests_total": "100+0x80 101+0x39 102+0x39 103+0x40", "errors_total": "10+0x80 10+0x39 11+0x39 11+0x40"}
    firing = 'count_over_time(ALERTS{alertname="FastBurn",alertstate="firing",severity="page"}[50m])'
    assert "exp: nil" in article(tmp_path, file, few).claims(("50m", firing, {})), "one request of three"
    assert "series are missing" in complaints(file)
    good = ours(tmp_path, ["errors"], MONDAY_TEN, dies, 30, "15s", vix="25+0x120")
    assert good.claims(("20m", PAGING, {}), ("20m15s", PAGING, {'{slo="errors"}': 1})) == ""
    told = 'count_over_time(ALERTS{slo="errors"}[48m])'
    assert ours(tmp_path, ["errors"], NIGHT, few, 50).claims(("49m", told, {})) == ""
