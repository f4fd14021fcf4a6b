"""Stubs of runbooks that are missing: what the spec says, in the shape of runbooks/*.md, for a person to finish.

A stub never replaces a page that somebody wrote: who writes files asks first whether there is one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import PurePosixPath

from ops import conventions as c
from ops.slo import rules
from ops.slo.model import Events, Freshness, Latency, NoData, Probe, Raw, Selector, Severity, Slo, Spec, Threshold
from ops.slo.promql import decimal, selector
from ops.slo.rulefile import Rule

_END = ("## Keep in mind", "", "This page is a stub, written from the spec. Add what was learnt each time.")


def stubs(specs: Sequence[Spec]) -> dict[str, str]:
    """Path, as the spec names it -> the stub's text; those of the alerts that belong to no SLO too.

    SLOs that share a page share the stub. Pages elsewhere (URLs) are not ours to write.
    """
    sharing: dict[str, list[tuple[Spec, Slo]]] = {}
    for spec in specs:
        for slo in spec.slos:
            path = slo.runbook or f"runbooks/{slo.name}.md"
            if "://" not in path:
                sharing.setdefault(path, []).append((spec, slo))
    return _of_venues(specs) | {path: _stub(path, slos) for path, slos in sharing.items()}


def _of_venues(specs: Sequence[Spec]) -> dict[str, str]:
    """Pages of the alerts that are about a venue, not about one SLO: its calendar, its budget, its coverage."""
    made: dict[str, str] = {}
    for spec in specs:
        for rule in (rule for file in rules.rule_files(replace(spec, slos=spec.slos[:1])) for rule in file.rules if rule.alert):
            path = rule.annotations.get("runbook", "").removeprefix(spec.runbook_base)
            if path and "://" not in path and "{{" not in path:
                made.setdefault(path, _venue_stub(spec, rule))
    return made


def _venue_stub(spec: Spec, rule: Rule) -> str:
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in rule.alert).strip()
    lines = [
        f"# {words.capitalize()}",
        "",
        f"Alert: `{rule.alert}`.",
        "",
        f"**What it means.** {_plain(spec, rule.annotations.get('summary', ''))}",
        "",
        "## Look",
        "",
        "1. `opsctl budget`: what the month has cost so far, by SLO and zone.",
        "2. `opsctl calendar show`: which zone it is, and until when.",
        f"3. In Prometheus, what it fires on: `{' '.join(rule.expr.split())}`",
        "",
        "## Put right",
        "",
        f"- **First**: {_plain(spec, rule.annotations.get('first_action', ''))}",
        "",
        "## It is over when",
        "",
        "That expression gives nothing.",
        "",
        *_END,
    ]
    return "\n".join(lines) + "\n"


def _plain(spec: Spec, text: str) -> str:
    """A template's words; what only the alert knows becomes an ellipsis."""
    known = text.replace("{{ $labels.exchange }}", spec.exchange)
    return re.sub(r"\{\{.*?\}\}", "…", known)


def _stub(path: str, slos: list[tuple[Spec, Slo]]) -> str:
    spec, first = slos[0]
    names = ", ".join(dict.fromkeys(f"`{slo.name}`" for _, slo in slos))
    actions = list(dict.fromkeys(slo.first_action for _, slo in slos if slo.first_action))
    lines = [
        f"# {_title(path, first)}",
        "",
        f"Alerts: {', '.join(f'`{alert}`' for alert in _alerts(slos))} of {names}.",
        "",
        f"**What it means.** {_meaning(slos)}",
        "",
        "## Look",
        "",
        "1. `opsctl status`: which process is not RUNNING, is a release under way?",
        *(f"{number}. {_about(slo)}" for number, slo in enumerate((slo for _, slo in slos), 2)),
        f"{len(slos) + 2}. In Prometheus: `{selector(c.SERIES_BAD_NOW, _slo_matcher(slos), spec.exchange)}` is the share that is bad now. "
        f"{_reads(spec, first)}",
        f"{len(slos) + 3}. `opsctl budget`: what it has cost this month.",
        "",
        "## Put right",
        "",
        *(f"- **First**: {action}" for action in actions or ["write here what to do first."]),
        "- **A release is under way**: `opsctl rollback`.",
        "- **One process only**: `opsctl logs NAME -n 50` says why; the supervisor starts it again when it ends.",
        "",
        "## It is over when",
        "",
        f"{_over(spec, first)}",
        "",
        *_END,
    ]
    return "\n".join(lines) + "\n"


def _title(path: str, slo: Slo) -> str:
    words = slo.description.partition(". ")[0].rstrip(".") or PurePosixPath(path).stem.replace("-", " ")
    return f"Not kept: {words[:1].lower()}{words[1:]}" if slo.description else words.capitalize()


def _alerts(slos: list[tuple[Spec, Slo]]) -> list[str]:
    """Those that can name one of these SLOs."""
    severities = {terms.severity for _, slo in slos for terms in slo.policy.terms.values()}
    tiers = {tier.name: tier for spec, _ in slos for tier in spec.tiers if tier.severity is not Severity.NONE}
    spike = [tier for tier in tiers.values() if tier.bad_share is not None]
    found = ["SloSpike"] if spike and Severity.PAGE in severities else []
    burns = [f"Slo{name.title().replace('-', '')}Burn" for name, tier in tiers.items() if tier not in spike]
    return [*found, *(burns if severities - {Severity.NONE} else []), "SloMissing"]


def _meaning(slos: list[tuple[Spec, Slo]]) -> str:
    spec, slo = slos[0]
    wakes = [zone for zone, terms in slo.policy.terms.items() if terms.severity is Severity.PAGE]
    cost = max(terms.cost_usd_per_minute * slo.policy.cost_share for terms in slo.policy.terms.values())
    said = [f"Members of {spec.exchange}: {_breach(slo)}."]
    if cost:
        said.append(f"A minute of it costs up to ${decimal(cost)}.")
    if wakes:
        said.append(f"It wakes somebody in zone {' and '.join(str(int(zone)) for zone in wakes)}.")
    return " ".join(said)


def _breach(slo: Slo) -> str:
    sli = slo.sli
    match sli:
        case Latency():
            return f"more of them than promised wait longer than {_seconds(sli.threshold_s)}"
        case Events():
            return "more of what they ask for fails than was promised"
        case Freshness():
            return f"what they see is older than {_seconds(sli.threshold_s)}"
        case Probe():
            return f"{slo.component or 'a part'} does not do its work"
        case Threshold():
            side, bound = ("above", sli.above) if sli.above is not None else ("below", sli.below)
            assert bound is not None
            return f"`{sli.metric.metric}` is {side} {decimal(bound)}"
        case Raw():
            return "the promise above is broken"


def _seconds(value: Fraction) -> str:
    return f"{decimal(value * 1000)} ms" if value < 1 else f"{decimal(value)} s"


def _about(slo: Slo) -> str:
    goals = ", ".join(f"{decimal(terms.objective * 100)} % in zone {int(zone)}" for zone, terms in sorted(slo.policy.terms.items()))
    silence = {
        NoData.BAD: "Missing series count as bad: a dead exporter looks like an outage.",
        NoData.GOOD: "Missing series count as good.",
        NoData.IGNORE: "Missing series count as nothing.",
    }[slo.no_data]
    return f"`opsctl slo explain {slo.name}`: promised are {goals}. {silence}"


def _slo_matcher(slos: list[tuple[Spec, Slo]]) -> str:
    names = list(dict.fromkeys(slo.name for _, slo in slos))
    return f'slo="{names[0]}"' if len(names) == 1 else f'slo=~"{"|".join(names)}"'


def _reads(spec: Spec, slo: Slo) -> str:
    selectors: tuple[Selector, ...]
    match slo.sli:
        case Latency(histogram=histogram):
            selectors = (Selector(f"{histogram.metric}_bucket", histogram.where),)
        case Events(total=total, bad=bad, good=good):
            selectors = tuple(each for each in (total, bad, good) if each is not None)
        case Freshness(timestamp=metric) | Probe(metric=metric) | Threshold(metric=metric):
            selectors = (metric,)
        case Raw():
            return "Its expression is its own: see the spec."
    return "It is made of " + ", ".join(f"`{selector(each.metric, each.where, spec.exchange)}`" for each in selectors) + "."


def _over(spec: Spec, slo: Slo) -> str:
    shorts = [tier.short_s // 60 for tier in spec.tiers if tier.bad_share is None]
    ends = f" Burn alerts end within {min(shorts)} to {max(shorts)} minutes of that." if shorts else ""
    shown = selector(c.SERIES_BAD_NOW, f'slo="{slo.name}"', spec.exchange)
    return f"`{shown}` is back at 0, or at what it was before.{ends} What was spent stays spent."
