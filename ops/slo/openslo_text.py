"""The text of an imported spec: for a person to read and finish, so each value that had to be chosen says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Protocol

from ops.session import Zone
from ops.slo.model import NoData
from ops.slo.openslo_sli import Indicator, quoted
from ops.slo.promql import decimal
from ops.slo.rulefile import duration

_ZONES = """\
# chosen: OpenSLO knows neither zones nor money. Row by row: what is promised, what an outage costs, whom it wakes.
budget: {usd_per_month: 10000, page_share: 5%, ticket_share: 50%}
zones:
  1: {objective: 99.99%, cost_usd_per_minute: 500, severity: page}    # trading, volatile
  2: {objective: 99.95%, cost_usd_per_minute: 100, severity: page}    # trading
  3: {objective: 99.9%, cost_usd_per_minute: 20, severity: ticket}    # evenings, weekends, holidays
  4: {objective: 98%, cost_usd_per_minute: 0, severity: ticket}       # maintenance
"""


class Written(Protocol):
    """What is asked of an imported SLO."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def component(self) -> str: ...
    @property
    def owner(self) -> str: ...
    @property
    def indicator(self) -> Indicator: ...
    @property
    def no_data(self) -> NoData: ...
    @property
    def slice_s(self) -> int: ...
    @property
    def objectives(self) -> dict[Zone, Fraction]: ...
    @property
    def kept(self) -> dict[str, str]: ...
    @property
    def chosen(self) -> frozenset[str]: ...


def spec(source: str, exchange: str, tiers: Sequence[str], slos: Sequence[Written]) -> str:
    """One spec file. `source` is the name of the file it was read from."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in source)
    lines = [
        f"# Imported from {shown} (OpenSLO v1) by opsctl slo import. `chosen` marks what was not said there: look at each.",
        "version: opsctl/slo/v1",
        f"exchange: {exchange}",
        "calendar: calendars/xnys.yaml    # chosen: whose days, hours and months count; opsctl calendar import makes others",
        *_ZONES.splitlines(),
    ]
    if tiers:
        lines += ["alerts:", *(f"  - {tier}" for tier in tiers)]
    lines.append("slos:")
    for slo in slos:
        lines += _slo(slo)
    return "\n".join(lines) + "\n"


def _slo(slo: Written) -> list[str]:
    pairs = {
        "name": slo.name,
        "description": quoted(slo.description),
        "component": quoted(slo.component),
        "owner": quoted(slo.owner),
        "sli": f"{{{slo.indicator.kind}: {_flow(slo.indicator.settings)}}}",
        "group_by": f"[{', '.join(slo.indicator.group_by)}]" if slo.indicator.group_by else "",
        "no_data": str(slo.no_data),
        "idle": slo.kept.get("idle", ""),
        "minimum_events": slo.kept.get("minimum_events", ""),
        "slice": duration(slo.slice_s) if slo.slice_s != 60 else "",
        "objectives": _flow({str(int(zone)): f"{decimal(value * 100)}%" for zone, value in slo.objectives.items()}),
        "cost_share": slo.kept.get("cost_share", ""),
        "offender": slo.kept.get("offender", ""),
        "first_action": quoted(slo.kept.get("first_action", "Read the run-book of this SLO.")),
        "runbook": slo.kept.get("runbook", f"runbooks/{slo.name}.md"),
    }
    chosen = slo.chosen | {name for name in ("first_action", "runbook") if name not in slo.kept}
    lines = [f"{name}: {value}{_why(name, chosen)}" for name, value in pairs.items() if value]
    return [f"  - {lines[0]}", *(f"    {line}" for line in lines[1:])]


def _flow(settings: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in settings.items()) + "}"


_REASONS = {
    "owner": "whoever answers for it",
    "no_data": "missing series are an outage; or good, or ignore",
    "first_action": "what to do first, in one sentence",
    "runbook": "opsctl slo generate writes a stub that is missing",
}


def _why(name: str, chosen: frozenset[str]) -> str:
    return f"    # chosen: {_REASONS[name]}" if name in chosen else ""
