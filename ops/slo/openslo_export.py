"""One of our SLOs as OpenSLO v1, and the list of what is lost on the way.

OpenSLO's `RatioTimeslices` is what we count: each slice weighs by its share of bad events. Gauges judged good or bad are `Timeslices` with
a slice target of 1. The objective is that of regular hours (zone 2), the window the calendar month in the venue's time zone. What only we
know stands in annotations `opsctl/...`, which other tools pass over and our import reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from ops.session import Zone
from ops.slo.factors import USUAL_FAST_FACTOR
from ops.slo.model import Events, Freshness, Idle, Latency, NoData, Probe, Raw, Selector, Severity, Slo, Spec, Threshold, Tier
from ops.slo.openslo_sli import quoted
from ops.slo.promql import decimal, selector
from ops.slo.rulefile import duration

ANNOTATION = "opsctl/"
MAX_DESCRIPTION = 1050


def to_openslo(spec: Spec, slo: Slo) -> tuple[str, tuple[str, ...]]:
    """YAML of several documents (Service, SLO, alert policies and their targets), and remarks on what OpenSLO cannot say."""
    conditions = [each for each in spec.tiers if each.severity is not Severity.NONE]
    thresholds = {tier.name: _burn(spec, tier, slo) for tier in conditions}
    told = [tier for tier in conditions if thresholds[tier.name] is not None]
    documents = [
        _document("Service", _service(slo), slo.component or slo.name, ["spec: {}"]),
        _document("SLO", slo.name, slo.name, _slo(spec, slo, told), slo),
        *(_policy(slo, tier, thresholds[tier.name] or Fraction(1)) for tier in told),
        *(_target(severity) for severity in dict.fromkeys(tier.severity for tier in told)),
    ]
    head = f"# Exported from {spec.path.name} by opsctl slo export. Remarks on what OpenSLO cannot say were printed with it.\n"
    return head + "---\n".join(documents), _losses(spec, slo, told)


def _document(kind: str, name: str, shown: str, spec: list[str], slo: Slo | None = None) -> str:
    lines = ["apiVersion: openslo/v1", f"kind: {kind}", "metadata:", f"  name: {name}", f"  displayName: {quoted(shown)}"]
    if slo is not None:
        lines += ["  labels:", f"    owner: [{quoted(slo.owner)}]"] if slo.owner else []
        lines += ["  annotations:", *(f"    {ANNOTATION}{key}: {quoted(value)}" for key, value in _annotations(slo).items())]
    return "\n".join([*lines, *spec]) + "\n"


def _annotations(slo: Slo) -> dict[str, str]:
    goals = ", ".join(f"{int(zone)}: {decimal(terms.objective * 100)}%" for zone, terms in slo.policy.terms.items())
    counts = isinstance(slo.sli, Events | Latency)
    pairs = {
        "no-data": str(slo.no_data),
        "idle": str(slo.idle) if counts and slo.idle is not Idle.GOOD else "",
        "minimum-events": str(slo.minimum_events) if counts and slo.minimum_events != 1 else "",
        "cost-share": f"{decimal(slo.policy.cost_share * 100)}%" if slo.policy.cost_share != 1 else "",
        "offender": slo.offender,
        "first-action": slo.first_action,
        "runbook": slo.runbook,
        "objectives": goals,
    }
    return {key: value for key, value in pairs.items() if value}


def _service(slo: Slo) -> str:
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in slo.component.lower()).strip("-")
    return kept[:63] or "venue"


def _slo(spec: Spec, slo: Slo, told: list[Tier]) -> list[str]:
    start = spec.calendar.valid_from.replace(day=1).isoformat()
    is_binary = isinstance(slo.sli, Freshness | Threshold)
    target = slo.policy.terms[Zone.REGULAR].objective
    compared = _comparison(slo)
    slices = (["timeSliceTarget: 1"] if is_binary else []) + [f"timeSliceWindow: {max(slo.slice_s // 60, 1)}m"]
    objective = [f"target: {decimal(target)}", *(f"{key}: {value}" for key, value in compared.items()), *slices]
    lines = [
        f"description: {quoted(slo.description[:MAX_DESCRIPTION])}",
        f"service: {_service(slo)}",
        "indicator:",
        f"  metadata: {{name: {slo.name}}}",
        "  spec:",
        *(f"    {line}" for line in _indicator(spec, slo)),
        "timeWindow:",
        "  - duration: 1M",
        "    isRolling: false",
        f'    calendar: {{startTime: "{start} 00:00:00", timeZone: {quoted(spec.calendar.timezone)}}}',
        f"budgetingMethod: {'Timeslices' if is_binary else 'RatioTimeslices'}",
        "objectives:",
        *(f"  {'- ' if index == 0 else '  '}{line}" for index, line in enumerate(objective)),
    ]
    if told:
        lines += ["alertPolicies:", *(f"  - alertPolicyRef: {slo.name}-{tier.name}" for tier in told)]
    return ["spec:", *(f"  {line}" for line in lines)]


def _comparison(slo: Slo) -> Mapping[str, str]:
    if isinstance(slo.sli, Freshness):
        return {"op": "lte", "value": decimal(slo.sli.threshold_s)}
    if isinstance(slo.sli, Threshold):
        bound = slo.sli.above if slo.sli.above is not None else slo.sli.below
        assert bound is not None
        return {"op": "lte" if slo.sli.above is not None else "gte", "value": decimal(bound)}
    return {}


def _indicator(spec: Spec, slo: Slo) -> list[str]:
    window, group = duration(slo.slice_s), f" by ({', '.join(slo.group_by)})" if slo.group_by else ""

    def plain(each: Selector, suffix: str = "", extra: str = "") -> str:
        return selector(each.metric + suffix, each.where, spec.exchange, extra)

    def counted(each: Selector, suffix: str = "", extra: str = "") -> str:
        return f"sum{group} (increase({plain(each, suffix, extra)}[{window}]))"

    sli = slo.sli
    if isinstance(sli, Events):
        side, part = ("bad", sli.bad) if sli.bad is not None else ("good", sli.good)
        assert part is not None
        return ["ratioMetric:", "  counter: true", *_metric(side, counted(part)), *_metric("total", counted(sli.total))]
    if isinstance(sli, Latency):
        good = counted(sli.histogram, "_bucket", f'le="{decimal(sli.threshold_s)}"')
        return ["ratioMetric:", "  counter: true", *_metric("good", good), *_metric("total", counted(sli.histogram, "_count"))]
    if isinstance(sli, Probe):
        return ["ratioMetric:", "  rawType: success", *_metric("raw", f"avg{group} (avg_over_time({plain(sli.metric)}[{window}]))")]
    if isinstance(sli, Raw):
        return ["ratioMetric:", "  rawType: failure", *_metric("raw", sli.bad_ratio.replace("{{window}}", window))]
    if isinstance(sli, Freshness):
        return _metric("thresholdMetric", f"time() - max{group} ({plain(sli.timestamp)})", indent="")
    worst = "max" if sli.above is not None else "min"
    return _metric("thresholdMetric", f"{worst}{group} ({plain(sli.metric)})", indent="")


def _metric(side: str, query: str, indent: str = "  ") -> list[str]:
    return [f"{indent}{side}:", f"{indent}  metricSource: {{type: Prometheus, spec: {{query: {quoted(query)}}}}}"]


def _burn(spec: Spec, tier: Tier, slo: Slo) -> Fraction | None:
    """A tier's threshold as a burn rate in zone 2; None when it stands as a share of the month's budget, which needs the calendar."""
    if tier.bad_share is None:
        return tier.factor
    fast = next((each.factor for each in spec.tiers if each.name == "fast"), None) or USUAL_FAST_FACTOR
    return max(tier.bad_share / slo.policy.terms[Zone.REGULAR].error_budget_ratio, fast)


def _policy(slo: Slo, tier: Tier, threshold: Fraction) -> str:
    name, window = f"{slo.name}-{tier.name}", _shorthand(tier.long_s)
    spec = [
        "spec:",
        "  alertWhenBreaching: true",
        "  alertWhenResolved: true",
        f"  alertWhenNoData: {str(slo.no_data is NoData.BAD).lower()}",
        "  conditions:",
        "    - kind: AlertCondition",
        f"      metadata: {{name: {name}}}",
        "      spec:",
        f"        severity: {tier.severity}",
        f"        condition: {{kind: burnrate, threshold: {decimal(threshold)}, lookbackWindow: {window}, alertAfter: 0m}}",
        "  notificationTargets:",
        f"    - targetRef: {tier.severity}",
    ]
    return _document("AlertPolicy", name, name, spec)


def _shorthand(seconds: int) -> str:
    """One number with one letter, all that OpenSLO takes."""
    return f"{seconds // 3600}h" if seconds % 3600 == 0 else f"{seconds // 60}m"


def _target(severity: Severity) -> str:
    return _document("AlertNotificationTarget", severity, severity, ["spec:", f"  target: {severity}"])


def _losses(spec: Spec, slo: Slo, told: list[Tier]) -> tuple[str, ...]:
    place = f"{spec.path}:{slo.line}: {slo.name}"
    goals = {zone: terms.objective for zone, terms in slo.policy.terms.items()}
    regular = decimal(goals[Zone.REGULAR] * 100)
    others = ", ".join(f"{int(zone)}: {decimal(value * 100)}%" for zone, value in goals.items() if value != goals[Zone.REGULAR])
    reasons = [f"objectives: zone 2's {regular}% is the target" + (f"; {others} only in an annotation" if others else "")]
    reasons += ["zones: evenings, holidays and maintenance count like trading hours; the budget is that of the whole month"]
    reasons += ["cost_usd_per_minute, budget: there is no money in OpenSLO"]
    if slo.policy.cost_share != 1:
        reasons += ["cost_share: only in an annotation"]
    if slo.no_data is not NoData.BAD or slo.idle is not Idle.GOOD or slo.minimum_events > 1:
        reasons += ["no_data, idle, minimum_events: only in annotations; other tools judge missing and scarce data their own way"]
    if slo.group_by:
        reasons += [f"group_by: {', '.join(slo.group_by)}: the queries give a series for each; a tool may take only the first"]
    if slo.slice_s % 60:
        reasons += [f"slice: {slo.slice_s}s is no whole number of minutes; {max(slo.slice_s // 60, 1)}m is written"]
    for tier in spec.tiers:
        if tier not in told:
            reasons += [
                f"alerts: {tier.name} is left out: " + ("it tells nobody" if tier.severity is Severity.NONE else "a share of the budget")
            ]
        elif tier.bad_share is None:
            reasons += [f"alerts: {tier.name}: the short window of {duration(tier.short_s)} cannot be said, so the alert ends late"]
    if slo.first_action or slo.runbook:
        reasons += ["first_action, runbook: only in annotations"]
    return tuple(f"{place}: {reason}" for reason in reasons)
