"""Small specs, and promtool as a judge of what is generated from them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

from ops.session import Calendar, DayType, Maintenance, Phase, PhaseName, Zone
from ops.slo import rulefile
from ops.slo.model import (
    DEFAULT_POLICY,
    Events,
    Idle,
    Money,
    NoData,
    Policy,
    Selector,
    Severity,
    Sli,
    Slo,
    Spec,
    Terms,
    Tier,
)
from ops.slo.rulefile import Group, RuleFile

TIMEOUT_S = 60
WEEKDAYS = frozenset(range(5))
CONTINUOUS = PhaseName.CONTINUOUS
CALENDAR = Calendar(
    name="SMALL",
    timezone="America/New_York",
    valid_from=date(2026, 1, 1),
    valid_until=date(2028, 12, 31),
    day_types=(DayType("ordinary", (Phase(CONTINUOUS, 570, 960),), weekdays=WEEKDAYS),),
    holidays={date(2026, 1, 1): "New Year's Day"},
    closures={},
    maintenance=(Maintenance(frozenset(range(7)), 1380, 1440),),
    volatility=None,
)
TERMS = {
    Zone.VOLATILE: Terms(Fraction("0.9999"), Fraction(500), Severity.PAGE),
    Zone.REGULAR: Terms(Fraction("0.999"), Fraction(100), Severity.PAGE),
    Zone.EXTENDED: Terms(Fraction("0.999"), Fraction(20), Severity.TICKET),
    Zone.MAINTENANCE: Terms(Fraction("0.98"), Fraction(0), Severity.TICKET),
}
DEFAULT = Policy(DEFAULT_POLICY, TERMS)
TIERS = (
    Tier("spike", Severity.PAGE, 60, 60, bad_share=Fraction(3, 100)),
    Tier("fast", Severity.PAGE, 3600, 300, factor=Fraction(14)),
    Tier("slow", Severity.TICKET, 21600, 3600, factor=Fraction(3)),
)


def make_slo(name: str = "one", sli: Sli | None = None, **overrides: Any) -> Slo:
    """An SLO of requests, all of whose settings can be replaced."""
    base = Slo(
        name=name,
        description="requests succeed",
        component="gateway",
        owner="trading",
        sli=sli or Events(total=Selector("requests_total"), bad=Selector("requests_total", 'code="500"')),
        policy=DEFAULT,
        group_by=(),
        no_data=NoData.BAD,
        idle=Idle.GOOD,
        minimum_events=1,
        slice_s=60,
        offender="",
        first_action=f"look at {name}",
        runbook=f"runbooks/{name}.md",
        line=1,
    )
    return replace(base, **overrides)


def make_spec(n_slos: int = 1, **overrides: Any) -> Spec:
    """A spec of `n_slos` SLOs on metrics of their own, or of the `slos` given."""
    slos = tuple(
        make_slo(f"slo-{n}", Events(total=Selector(f"r{n}_total"), bad=Selector(f"r{n}_total", 'code="500"'))) for n in range(n_slos)
    )
    base = Spec(
        path=Path("xdemo.yaml"),
        digest="0123456789ab",
        exchange="XDEMO",
        calendar=CALENDAR,
        scrape_interval_s=15,
        runbook_base="",
        deliver_tickets=(480, 1200),
        money=Money(Fraction(10000), Fraction(5, 100), Fraction(50, 100)),
        default=DEFAULT,
        tiers=TIERS,
        slos=slos,
    )
    return replace(base, **overrides)


def samples(values: Mapping[str, float]) -> list[dict[str, Any]]:
    """What a query is expected to give: labels -> value."""
    return [{"labels": labels, "value": value} for labels, value in values.items()]


def ask(expr: str, at: str, expected: Mapping[str, float]) -> dict[str, Any]:
    return {"expr": expr, "eval_time": at, "exp_samples": samples(expected)}


def series(name: str, values: str) -> dict[str, str]:
    """One input. promtool has no 'NaNx3'; here it may be written."""
    return {"series": name, "values": re.sub(r"NaNx(\d+)", lambda found: " ".join(["NaN"] * (int(found[1]) + 1)), values)}


def promtool_test(
    folder: Path,
    files: Iterable[RuleFile],
    tests: Iterable[Mapping[str, Any]],
    interval: str = "15s",
    keep: Iterable[str] | None = None,
) -> str:
    """promtool's complaints, '' when all tests pass. Groups run in the order of `files`; `keep` names the groups that are loaded."""
    names = None if keep is None else set(keep)
    order = []
    for file in files:
        groups = tuple(group for group in file.groups if names is None or group.name in names)
        order += [(file.name, group.name) for group in groups]
        (folder / file.name).write_text(rulefile.text(RuleFile(file.name, groups), "test"))
    case = {
        "rule_files": list(dict.fromkeys(name for name, _ in order)),
        "evaluation_interval": interval,
        "group_eval_order": [group for _, group in order],
        "tests": list(tests),
    }
    path = folder / "case.test.yaml"
    path.write_text(json.dumps(case))
    done = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert "SUCCESS" in done.stdout or done.returncode != 0
    return "" if done.returncode == 0 else done.stdout + done.stderr


def one_file(rules: Iterable[rulefile.Rule], name: str = "some.rules.yaml") -> RuleFile:
    return RuleFile(name, (Group("some", 15, tuple(rules)),))
