"""Alert policies of OpenSLO as our three speeds. Ours stand once for all SLOs of a venue; theirs belong to one SLO each.

A condition of severity page over one minute is our spike, over longer our fast burn; a ticket is our slow burn. They are taken over when
all SLOs of the file agree; otherwise the defaults stay (row O13), and a remark says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from ops.slo.model import NoData, Severity
from ops.slo.openslo_read import Fields, File, Object
from ops.slo.promql import decimal
from ops.slo.rulefile import duration

MAX_LOOKBACK_S = 259200
_PAGES = ("page", "critical", "crit", "sev1", "p1", "high", "urgent")
_TICKETS = ("ticket", "warning", "warn", "sev2", "sev3", "p2", "p3", "medium", "low", "info")
_DEFAULT_LINES = {
    "spike": "{name: spike, severity: page, bad_share: 3%}",
    "fast": "{name: fast, severity: page, long: 1h, short: 5m, factor: 14}",
    "slow": "{name: slow, severity: ticket, long: 6h, short: 1h, factor: 3}",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A burn-rate condition as one of our speeds."""

    tier: str
    lookback_s: int
    threshold: Fraction
    """A burn rate; of a spike, once held `against` an objective, the share of bad events."""

    def against(self, objective: Fraction) -> Condition:
        """A spike's share is rounded to a millionth: burn rates such as 3 % / 0.07 % have no end."""
        share = Fraction(round(self.threshold * (1 - objective) * 10**6), 10**6)
        return replace(self, threshold=share) if self.tier == "spike" else self

    @property
    def line(self) -> str:
        """As an entry of `alerts:`."""
        if self.tier == "spike":
            return f"{{name: spike, severity: page, bad_share: {decimal(self.threshold * 100)}%}}"
        severity, part = ("page", 12) if self.tier == "fast" else ("ticket", 6)
        short_s = max(self.lookback_s // part // 60, 1) * 60
        windows = f"long: {duration(self.lookback_s)}, short: {duration(short_s)}"
        return f"{{name: {self.tier}, severity: {severity}, {windows}, factor: {decimal(self.threshold)}}}"


def conditions(spec: Fields, file: File) -> tuple[tuple[Condition, ...], NoData | None]:
    """Those of one SLO, and what its policies say of missing data (None when nothing is said)."""
    found: dict[str, Condition] = {}
    silences: list[bool] = []
    for index, item in enumerate(spec.each("alertPolicies")):
        policy = _policy(item, spec, index, file)
        silent = policy.flag("alertWhenNoData")
        silences += [silent] if silent is not None else []
        for each in _conditions(policy, file):
            if each.tier in found:
                file.notes.append(policy.note("conditions", f"a second condition of the speed {each.tier} cannot be said; left out"))
            found.setdefault(each.tier, each)
    if "spike" in found and "fast" in found and found["spike"].threshold == found["fast"].threshold:
        del found["spike"]  # where the spike's share would be an ordinary minute, our rules take the fast burn's factor by themselves
    no_data = None if not silences else NoData.BAD if any(silences) else NoData.IGNORE
    return tuple(found.values()), no_data


def tiers(all_conditions: Sequence[tuple[Condition, ...]], file: File) -> tuple[str, ...]:
    """The entries of `alerts:`; none when the defaults say the same."""
    lines = dict(_DEFAULT_LINES)
    for tier in _DEFAULT_LINES:
        said = {one for each in all_conditions for one in each if one.tier == tier}
        if len(said) > 1:
            file.notes.append(f"{file.path}: conditions of the speed {tier} differ between SLOs; ours stands once for all: default kept")
            continue
        for one in said:
            if one.tier == "spike" and not 0 < one.threshold <= 1:
                share = f"{decimal(one.threshold * 100)}%"
                file.notes.append(f"{file.path}: a page over 1m at {share} of bad events can never fire; default kept")
            else:
                lines[tier] = one.line
    return tuple(lines.values()) if lines != _DEFAULT_LINES else ()


def _policy(item: Fields | str, spec: Fields, index: int, file: File) -> Fields:
    if isinstance(item, str):
        return file.named("AlertPolicy", item, spec, f"alertPolicies[{index}]").spec
    if item.has("alertPolicyRef"):
        return file.named("AlertPolicy", item.text("alertPolicyRef"), item, "alertPolicyRef").spec
    return item.fields("spec")


def _conditions(policy: Fields, file: File) -> list[Condition]:
    made: list[Condition] = []
    for index, item in enumerate(policy.each("conditions")):
        if isinstance(item, str):
            raise policy.error(f"conditions[{index}]", "expected a mapping with conditionRef, or a condition")
        reference = item.text("conditionRef") if item.has("conditionRef") else ""
        found: Object | None = file.named("AlertCondition", reference, item, "conditionRef") if reference else None
        condition = _condition(found.spec if found is not None else item.fields("spec"), file)
        made += [condition] if condition is not None else []
    for name in ("alertWhenResolved", "alertWhenBreaching"):
        policy.flag(name)
    if policy.flag("alertWhenBreaching") is False:
        file.notes.append(policy.note("alertWhenBreaching", "false cannot be said: a breach always alerts"))
    return made


def _condition(spec: Fields, file: File) -> Condition | None:
    severity = _severity(spec, file)
    inner = spec.fields("condition")
    kind = "burnrate" if inner.is_empty("kind") else inner.text("kind")
    if kind != "burnrate":
        file.notes.append(inner.note("kind", f"a condition of kind {kind!r} cannot be said, only burnrate; left out"))
        return None
    if inner.has("op") and inner.choice("op", ("lte", "lt", "gte", "gt")) in ("lte", "lt"):
        file.notes.append(inner.note("op", "an alert on burning too slowly cannot be said; left out"))
        return None
    threshold, lookback_s = inner.exact("threshold"), inner.seconds("lookbackWindow") or 0
    if not inner.is_empty("alertAfter") and inner.seconds("alertAfter") != 0:
        file.notes.append(inner.note("alertAfter", "cannot be said: a short window beside the long one does its work"))
    if threshold <= 0 or not 60 <= lookback_s <= MAX_LOOKBACK_S:
        file.notes.append(inner.note("lookbackWindow", "a burn rate above 0 over 1m to 3d can be said; this is left out"))
        return None
    if severity is Severity.PAGE and lookback_s == 60:
        return Condition("spike", 60, threshold)
    if lookback_s == 60:
        file.notes.append(inner.note("lookbackWindow", "a window of 1m for a ticket cannot be said; left out"))
        return None
    return Condition("fast" if severity is Severity.PAGE else "slow", lookback_s, threshold)


def _severity(spec: Fields, file: File) -> Severity:
    text = spec.text("severity")
    if text.lower() in _PAGES:
        return Severity.PAGE
    if text.lower() not in _TICKETS:
        file.notes.append(spec.note("severity", f"{text!r} is neither page nor ticket; taken for ticket"))
    return Severity.TICKET
