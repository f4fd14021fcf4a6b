"""Random specs: whatever `check` lets through is generated the same twice, loads, is quiet while all is well, and speaks in an outage.

What is fed is made up here, from the spec's words alone, and not by the code that writes the generated tests.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ops.session import Calendar, Hours, Zone
from ops.slo import check, factors, flow, parse, rules
from ops.slo.model import Severity, Slo, Spec

CALENDARS = Path(__file__).resolve().parents[2] / "slo" / "calendars"
CODES = tuple(sorted(path.stem for path in CALENDARS.glob("*.yaml")))
TIMEOUT_S = 60
HEALTHY_MIN, OUTAGE_MIN = 60, 14
GROUP_VALUES = ("a", 'b "quoted" {{ $x }} \\ ü')
TARGET = {"scraped": "by nobody"}


def shares(*texts: str) -> st.SearchStrategy[str]:
    return st.sampled_from(texts)


def indicators(number: int) -> st.SearchStrategy[Mapping[str, Any]]:
    """One of each kind, on metrics of its own."""
    m = f"m{number}"
    where = st.sampled_from(["", 'pool=~"blue|green"', 'pool!="warm",pool!~"old.*"'])
    return st.one_of(
        st.builds(lambda w: {"events": {"total": f"{m}_total", "bad": f"{m}_bad_total", "where": w}}, where),
        st.builds(lambda w: {"events": {"total": f"{m}_total", "good": f"{m}_good_total", "where": w}}, where),
        st.builds(
            lambda w, t: {"latency": {"histogram": f"{m}_seconds", "threshold": t, "where": w}}, where, shares("5ms", "500ms", "1s", "5s")
        ),
        st.builds(lambda w, t: {"freshness": {"timestamp": f"{m}_seconds", "threshold": t, "where": w}}, where, shares("45s", "60s", "2m")),
        st.builds(lambda w: {"probe": {"metric": f"{m}_ok", "where": w}}, where),
        st.builds(
            lambda w, b, n: {"threshold": {"metric": f"{m}_depth", b: n, "where": w}}, where, shares("above", "below"), st.integers(-5, 500)
        ),
        st.just({"raw": {"bad_ratio": f"sum(rate({m}_bad_total[{{{{window}}}}])) / sum(rate({m}_total[{{{{window}}}}]))"}}),
    )


@st.composite
def slos(draw: st.DrawFn, number: int) -> dict[str, Any]:
    sli = draw(indicators(number))
    kind = next(iter(sli))
    words = draw(st.sampled_from(["Look at it.", 'Say "stop", then `halt` \\ 100 % {a: b} }} $1 #1', "it's ü 🚨"]))
    found: dict[str, Any] = {
        "name": draw(st.sampled_from([f"s{number}", f"a-very-long-name-{number}", f"no-{number}"])),
        "sli": sli,
        "no_data": draw(shares("bad", "good", "ignore")),
        "slice": draw(shares("1m", "90s", "5m")),
        "first_action": words,
        "description": words,
        "runbook": draw(st.sampled_from(["runbooks/x.md", "https://wiki.example/a?b=c%20d"])),
    }
    if kind in ("events", "latency"):
        found |= {"idle": draw(shares("good", "bad", "ignore")), "minimum_events": draw(st.sampled_from([1, 10, 500]))}
    if kind != "raw" and draw(st.booleans()):
        found["group_by"] = draw(st.sampled_from([["gateway"], ["gateway", "desk"]]))
    if draw(st.booleans()):
        found["objectives"] = draw(st.dictionaries(st.sampled_from("1234"), shares("95%", "99%", "99.99%"), min_size=1))
    if draw(st.booleans()):
        found["cost_share"] = draw(shares("0%", "33.333%", "100%"))
    if draw(st.booleans()):
        found["offender"] = draw(shares("gateway", "pool"))
    return found


@st.composite
def specs(draw: st.DrawFn, exchange: str) -> dict[str, Any]:
    severity = shares("page", "ticket", "none")
    zones = {
        zone: {
            "objective": draw(shares("99%", "99.5%", "99.9%", "99.99%", "99.999%")),
            "cost_usd_per_minute": draw(shares("0", "0.01", "20", "500", "1234567.5")),
            "severity": draw(severity if zone in "23" else shares("ticket", "none") if zone == "4" else st.just("page")),
        }
        for zone in "1234"
    }
    tiers = draw(
        st.sampled_from(
            [
                [],
                [{"name": "fast", "severity": "page", "long": "1h", "short": "5m", "factor": 10}],
                [{"name": "fast", "severity": "page", "long": "30m", "short": "3m", "budget": "40%"}],
                [{"name": "spike", "severity": "ticket", "bad_share": "10%"}],
                [{"name": "spike", "severity": "none", "bad_share": "10%"}],
                [{"name": "half-day", "severity": "ticket", "long": "12h", "short": "1h", "factor": "1.5"}],
            ]
        )
    )
    return ({"alerts": tiers} if tiers else {}) | {
        "version": "opsctl/slo/v1",
        "exchange": exchange,
        "calendar": f"calendars/{draw(st.sampled_from(CODES))}.yaml",
        "runbook_base": draw(st.sampled_from(["", "https://git.example/venue/"])),
        "budget": {"usd_per_month": draw(shares("0.5", "10000", "123456789.99"))},
        "zones": zones,
        "slos": [draw(slos(number)) for number in range(draw(st.integers(1, 5)))],
    }


folders = st.one_of(
    st.builds(lambda one: [one], specs("XTST")),
    st.builds(lambda one, two: [one, two], specs("XTST"), specs("X-tst_2")),
)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, phases=[Phase.generate])
@given(folders)
def test_what_check_lets_through_loads_is_quiet_when_well_and_speaks_in_an_outage(told):
    with tempfile.TemporaryDirectory() as name:
        declared = Path(name) / "slo"
        declared.mkdir()
        (declared / "calendars").symlink_to(CALENDARS)
        books = Path(name) / "runbooks"
        books.mkdir()
        for number, spec in enumerate(told):
            (declared / f"{number}.yaml").write_text(yaml.safe_dump(spec, allow_unicode=True, sort_keys=False), encoding="utf-8")
        flow_of(declared, books)


def flow_of(declared: Path, books: Path) -> None:
    report = check.run(declared, books, rules.rule_files)
    if report.errors:
        assert all("alert" in one.reason for one in report.errors), report.errors  # a factor that cannot fire, or always does
        return
    loaded = parse.load_all(declared)
    texts = flow.generated(loaded)
    assert len({name.lower() for name in texts}) == len(texts)
    flow.generate(declared, books)
    folder = declared / "generated"
    assert {name: (folder / name).read_text(encoding="utf-8") for name in texts} == texts, "not the same twice"
    files = sorted(folder.glob("*.rules.yaml"))
    assert promtool("check", "rules", "--lint=all", "--lint-fatal", *files) == ""
    for spec in loaded:
        case = folder / f"{spec.exchange}.case.yaml"
        case.write_text(json.dumps(Case(spec, folder).told()), encoding="utf-8")
        said = promtool("test", "rules", case)
        assert said == "", said


def promtool(*arguments: object) -> str:
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


class Case:
    """An hour of health in the session, then everything is broken."""

    def __init__(self, spec: Spec, folder: Path) -> None:
        self.spec, self.folder = spec, folder
        self.start_s = session(spec.calendar, HEALTHY_MIN + OUTAGE_MIN + 2)
        self.zone = Zone.VOLATILE if spec.calendar.volatility else Zone.REGULAR

    def told(self) -> Mapping[str, Any]:
        files = [path for path in sorted(self.folder.glob(f"{self.spec.exchange.lower()}-*.rules.yaml"))]
        order = {group["name"]: path for path in files for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]}
        ranked = sorted(order, key=lambda name: next(i for i, word in enumerate(ORDER) if re.search(word, name)))
        return {
            "rule_files": [str(path) for path in files],
            "evaluation_interval": "1m",
            "group_eval_order": ranked,
            "tests": [{"interval": "15s", "input_series": list(self.inputs()), "promql_expr_test": list(self.claims())}],
        }

    def inputs(self) -> Iterator[Mapping[str, str]]:
        steps = (HEALTHY_MIN + OUTAGE_MIN) * 4
        yield {"series": "venue:clock:seconds", "values": f"{self.start_s}+15x{steps}"}
        if self.spec.calendar.volatility:
            yield {"series": self.spec.calendar.volatility.metric, "values": f"1000+0x{steps}"}
        for slo in self.spec.slos:
            labels = {"exchange": self.spec.exchange, "pool": "blue"}
            for value in GROUP_VALUES if slo.group_by else GROUP_VALUES[:1]:
                own = labels | {label: value for label in slo.group_by}
                for name, values in series(slo, self.start_s).items():
                    metric, _, more = name.partition("|")
                    pairs = ",".join(
                        f"{key}={json.dumps(text, ensure_ascii=False)}" for key, text in (own | ({"le": more} if more else {})).items()
                    )
                    yield {"series": f"{metric}{{{pairs}}}", "values": values}

    def claims(self) -> Iterator[Mapping[str, Any]]:
        told = 'ALERTS{alertstate="firing",tier!~"coverage|maintenance"}'
        yield {"eval_time": f"{HEALTHY_MIN}m", "expr": f"count_over_time({told}[{HEALTHY_MIN}m])", "exp_samples": []}
        yield {"eval_time": f"{HEALTHY_MIN}m", "expr": "max(slo:bad:slice) > 0", "exp_samples": []}
        for slo in self.spec.slos:
            fired = f'group(ALERTS{{slo="{slo.name}",alertstate="firing",alertname=~"Slo.*"}})'
            wanted = [{"labels": "{}", "value": 1}] if self.speaks(slo) else []
            yield {"eval_time": f"{HEALTHY_MIN + OUTAGE_MIN}m", "expr": fired, "exp_samples": wanted}
            groups = len(GROUP_VALUES) if slo.group_by else 1
            bad = f'count(slo:bad:ratio{{slo="{slo.name}"}} == 1)'
            yield {"eval_time": f"{HEALTHY_MIN + OUTAGE_MIN}m", "expr": bad, "exp_samples": [{"labels": "{}", "value": groups}]}

    def speaks(self, slo: Slo) -> bool:
        terms = slo.policy.terms[self.zone]
        if terms.severity is Severity.NONE:
            return False
        spike = factors.spike_tier(self.spec)
        # A total outage of 14 minutes: 14 of 60 in an hour.
        burns = [OUTAGE_MIN * 60 / tier.long_s / float(terms.error_budget_ratio) for tier in self.spec.tiers if tier.bad_share is None]
        told = any(
            burn * 0.9 >= float(tier.factor or 12)
            for burn, tier in zip(burns, (t for t in self.spec.tiers if t.bad_share is None), strict=True)
        )
        return told or (spike is not None and terms.severity is Severity.PAGE)


ORDER = ("-calendar$", "-sli-", "-policies$", "-windows$", "-burn-", "-month$")


def session(calendar: Calendar, minutes: int) -> int:
    """The first moment of the calendar's second month at which trading goes on for so long."""
    start_s = calendar.day_start_s(calendar.valid_from.replace(month=2))
    run = 0
    for minute in range(14 * 1440):
        in_session = calendar.zone_at(start_s + minute * 60).hours is Hours.REGULAR
        run = run + 1 if in_session else 0
        if run == minutes:
            return start_s + (minute - minutes + 2) * 60
    raise AssertionError(f"{calendar.name} has no session of {minutes} minutes")


def series(slo: Slo, start_s: int) -> Mapping[str, str]:
    """Well for an hour, then nothing but errors. By metric, `|` and the bucket where there is one."""
    well, ill = HEALTHY_MIN * 4, OUTAGE_MIN * 4 - 1
    counting = f"1000+300x{well + ill + 1}"
    stops = f"1000+300x{well} {1000 + 300 * well}+0x{ill}"
    starts = f"0+0x{well} 300+300x{ill}"
    sli = slo.sli
    match type(sli).__name__:
        case "Events" if sli.bad is not None:
            return {sli.total.metric: counting, sli.bad.metric: starts}
        case "Events":
            return {sli.total.metric: counting, sli.good.metric: stops}
        case "Latency":
            le = f"{float(sli.threshold_s):g}"
            return {f"{sli.histogram.metric}_count": counting, f"{sli.histogram.metric}_bucket|{le}": stops}
        case "Freshness":
            return {sli.timestamp.metric: f"{start_s}+15x{well} {start_s + 15 * well}+0x{ill}"}
        case "Probe":
            return {sli.metric.metric: f"1+0x{well} 0+0x{ill}"}
        case "Threshold":
            bound = float(sli.above if sli.above is not None else sli.below)
            good, bad = (bound, bound + 1) if sli.above is not None else (bound, bound - 1)
            return {sli.metric.metric: f"{good:g}+0x{well} {bad:g}+0x{ill}"}
    metric = re.search(r"(m\d+)_bad_total", sli.bad_ratio)[1]
    return {f"{metric}_total": counting, f"{metric}_bad_total": starts}
