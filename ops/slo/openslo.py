"""OpenSLO v1 -> a spec of ours, as text that `parse.load` takes and a person finishes. The way back is `openslo_export`.

What OpenSLO does not say (zones, money, what missing data mean, what to do first) is chosen and marked `# chosen`. What ours does not say
(rolling windows, composite objectives, alerts of one SLO alone) comes back as a list of remarks, each with file, line and field. A file
that breaks OpenSLO itself is refused: UsageError. An SLO that cannot be said at all is left out, with a remark; when none is left, that
is an error too. `opsctl/...` annotations, written by the export, bring back what other tools do not know.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from ops.errors import UsageError
from ops.session import Zone
from ops.slo import openslo_alerts, openslo_read, openslo_text
from ops.slo.model import DEFAULT_POLICY, VENUE_SLO, Idle, NoData
from ops.slo.openslo_export import ANNOTATION, to_openslo
from ops.slo.openslo_read import Fields, File, Object
from ops.slo.openslo_sli import MAX_SLICE_S, Goal, Indicator, Unsaid, indicator
from ops.slo.promql import is_label
from ops.specs import parse_percent

__all__ = ["Imported", "from_openslo", "to_openslo"]

METHODS = ("Occurrences", "Timeslices", "RatioTimeslices")
MAX_NAME = 63
MAX_WORDS = 300
MAX_SLOS = 5000
DEFAULT_EXCHANGE = "XDEMO"
CALENDAR_ZONE = "America/New_York"
"""Of calendars/xnys.yaml, which an imported spec names."""
_CODES = {
    "Europe/London": "XLON",
    "Europe/Berlin": "XFRA",
    "Europe/Paris": "XPAR",
    "Asia/Tokyo": "XTKS",
    "Asia/Hong_Kong": "XHKG",
    "America/Toronto": "XTSE",
    "Australia/Sydney": "XASX",
    "UTC": "24/7",
}
"""A venue whose calendar counts in this time zone, to name in a remark."""


@dataclass(frozen=True, slots=True)
class Imported:
    """One SLO on its way into our text. Fields in `chosen` were not in the file."""

    name: str
    description: str
    component: str
    owner: str
    indicator: Indicator
    no_data: NoData
    slice_s: int
    objectives: dict[Zone, Fraction]
    conditions: tuple[openslo_alerts.Condition, ...]
    kept: dict[str, str]
    """Settings from annotations: idle, minimum_events, cost_share, offender, first_action, runbook."""
    chosen: frozenset[str] = field(default=frozenset())


def from_openslo(path: Path) -> tuple[str, tuple[str, ...]]:
    """The text of a spec, and remarks with their places. Raises UsageError: not OpenSLO v1, or nothing in it that can be said."""
    file = openslo_read.read(path)
    slos = _slos(file)
    exchange, slos = _one_venue(file, slos)
    if not slos:
        listed = "; ".join(file.notes) or "it holds no object of kind SLO"
        raise UsageError(f"{path}: none of its SLOs can be said here: {listed}", hint="what can be said: docs/openslo.md")
    if len(slos) > MAX_SLOS:
        raise UsageError(f"{path}: {len(slos)} SLOs are too many for one venue", hint=f"import at most {MAX_SLOS} at once")
    tiers = openslo_alerts.tiers([slo.conditions for slo in slos], file)
    _say_what_is_dropped(file)
    return openslo_text.spec(path.name, exchange, tiers, slos), tuple(dict.fromkeys(file.notes))


def _slos(file: File) -> list[Imported]:
    found: list[Imported] = []
    names: set[str] = set()
    for each in file.of_kind("SLO"):
        try:
            made = _slo(each, file, names)
        except Unsaid as reason:
            file.notes.append(f"{reason}; SLO {each.name!r} is left out")
            continue
        names |= {slo.name for slo in made}
        found += made
    return found


def _one_venue(file: File, slos: list[Imported]) -> tuple[str, list[Imported]]:
    """A spec is one venue: that of the first query that names one."""
    exchange = next((slo.indicator.exchange for slo in slos if slo.indicator.exchange), "")
    kept = [slo for slo in slos if slo.indicator.exchange in ("", exchange)]
    for slo in slos:
        if slo not in kept:
            file.notes.append(f"{file.path}: SLO {slo.name!r} is of {slo.indicator.exchange}; a spec is one venue ({exchange}); left out")
    plain = sum(slo.indicator.kind != "raw" and not slo.indicator.exchange for slo in kept)
    if plain:
        reason = f'of {plain} SLOs name no venue; generated rules add exchange="{exchange or DEFAULT_EXCHANGE}" to each selector'
        file.notes.append(f"{file.path}: the queries {reason}")
    return exchange or DEFAULT_EXCHANGE, kept


def _slo(each: Object, file: File, names: set[str]) -> list[Imported]:
    """As many of ours as it has objectives."""
    spec = each.spec
    _window(spec, file)
    method = spec.choice("budgetingMethod", METHODS)
    goals = [_goal(item, spec, index, method, file) for index, item in enumerate(spec.each("objectives"))]
    if not goals:
        raise spec.error("objectives", "expected at least one")
    inner = _indicator_spec(spec, file)
    conditions, no_data = openslo_alerts.conditions(spec, file)
    made: list[Imported] = []
    taken = set(names)
    for goal in goals:
        name = _name(each, taken, file)
        taken.add(name)
        shown = indicator(inner, goal, file)
        file.notes.extend(shown.notes)
        exact = tuple(condition.against(goal.objective) for condition in conditions)
        made.append(_imported(each, name, goal, shown, exact, no_data, file))
    if len(goals) > 1:
        listed = ", ".join(slo.name for slo in made)
        file.notes.append(spec.note("objectives", f"has {len(goals)}; here an SLO has one, so they became {listed}"))
    file.notes.extend(spec.note(name, "is no field of an OpenSLO SLO; not read") for name in spec.strangers)
    return made


def _indicator_spec(spec: Fields, file: File) -> Fields:
    inline = spec.maybe("indicator")
    reference = "" if spec.is_empty("indicatorRef") else spec.text("indicatorRef")
    if (inline is None) == (not reference):
        raise spec.error("indicator", "exactly one of indicator and indicatorRef must be there")
    return inline.fields("spec") if inline is not None else file.named("SLI", reference, spec, "indicatorRef").spec


def _window(spec: Fields, file: File) -> None:
    """Ours is always the calendar month of the venue's time zone."""
    windows = spec.each("timeWindow")
    if not windows:
        return
    window = windows[0]
    if len(windows) > 1 or isinstance(window, str):
        raise spec.error("timeWindow", "expected a list of exactly one window")
    duration, is_rolling = window.text("duration"), window.flag("isRolling")
    window.seconds("duration")
    calendar = window.maybe("calendar")
    if is_rolling or calendar is None:
        file.notes.append(window.note("duration", f"a rolling window of {duration} cannot be said: budgets are of calendar months"))
        return
    start, zone = calendar.text("startTime"), calendar.text("timeZone")
    if duration != "1M":
        file.notes.append(window.note("duration", f"{duration} cannot be said: budgets are of calendar months (1M)"))
    elif re.fullmatch(r"\d{4}-\d\d-01[T ]00:00(:00)?", start) is None:
        file.notes.append(calendar.note("startTime", f"{start} cannot be said: a month begins on its first day at 00:00"))
    if zone != CALENDAR_ZONE:
        code = _CODES.get(zone, "CODE")
        other = f"calendar: calendars/{code.lower()}.yaml after opsctl calendar import {code}"
        file.notes.append(calendar.note("timeZone", f"the calendar chosen counts in {CALENDAR_ZONE}, not {zone}; write {other}"))


def _goal(item: Fields | str, spec: Fields, index: int, method: str, file: File) -> Goal:
    if isinstance(item, str):
        raise spec.error(f"objectives[{index}]", "expected a mapping")
    for name in ("indicator", "indicatorRef", "compositeWeight"):
        if item.has(name):
            raise Unsaid(item.note(name, "a composite of several indicators cannot be said; write one SLO for each"))
    return Goal(
        place=item,
        method=method,
        objective=_objective(item),
        slice_s=_slice_s(item, method, file),
        op="" if item.is_empty("op") else item.choice("op", ("lte", "lt", "gte", "gt")),
        value=None if item.is_empty("value") else item.exact("value"),
        slice_target=_slice_target(item) if method == "Timeslices" else None,
    )


def _objective(item: Fields) -> Fraction:
    percent = item.has("targetPercent")
    if item.has("target") == percent:
        raise item.error("target", "exactly one of target and targetPercent must be there")
    name = "targetPercent" if percent else "target"
    value = item.exact(name) / (100 if percent else 1)
    if not 0 <= value < 1:
        raise item.error(name, f"{item.text(name)} is outside 0 to {100 if percent else 1}")
    if value == 0:
        raise Unsaid(item.note(name, "a target of 0 promises nothing"))
    return value


def _slice_target(item: Fields) -> Fraction:
    value = item.exact("timeSliceTarget")
    if not 0 < value <= 1:
        raise item.error("timeSliceTarget", f"{item.text('timeSliceTarget')} is outside 0 to 1")
    return value


def _slice_s(item: Fields, method: str, file: File) -> int:
    if method == "Occurrences" or item.is_empty("timeSliceWindow"):
        if method == "Timeslices":
            raise item.error("timeSliceWindow", "is missing: Timeslices needs it")
        return 60
    seconds = item.seconds("timeSliceWindow") or 0
    if not 60 <= seconds <= MAX_SLICE_S:
        said = item.text("timeSliceWindow")
        file.notes.append(
            item.note("timeSliceWindow", f"{said} cannot be said: a slice has 1 to {MAX_SLICE_S // 60} minutes; 10m is written")
        )
        return MAX_SLICE_S
    return seconds


def _name(each: Object, names: set[str], file: File) -> str:
    """Ours: small letters, digits and -, a letter first."""
    base = re.sub(r"[^a-z0-9]+", "-", each.name.lower()).strip("-")
    base = base if re.match(r"[a-z]", base) else f"slo-{base}".rstrip("-")
    base = f"{base}-slo" if base in (VENUE_SLO, DEFAULT_POLICY) else base
    base = base[: MAX_NAME - 5].rstrip("-")
    name, number = base, 2
    while name in names:
        name, number = f"{base}-{number}", number + 1
    if base != each.name:
        file.notes.append(each.spec.note("", f"the name {each.name!r} is written as {name}"))
    return name


def _imported(
    each: Object,
    name: str,
    goal: Goal,
    shown: Indicator,
    conditions: tuple[openslo_alerts.Condition, ...],
    no_data: NoData | None,
    file: File,
) -> Imported:
    kept = _annotations(each, shown, file)
    owner = next((each.labels[key] for key in ("owner", "team") if each.labels.get(key)), "")
    said = kept.pop("no_data", "")
    chosen = {key for key, value in (("owner", owner), ("no_data", said or no_data)) if not value}
    words = each.spec.text("description", "") or each.display_name or each.name
    return Imported(
        name=name,
        description=_words(words),
        component=_words(each.spec.text("service")),
        owner=_words(owner) or "unowned",
        indicator=shown,
        no_data=NoData(said) if said else no_data or NoData.BAD,
        slice_s=goal.slice_s,
        objectives=_per_zone(each, goal, kept.pop("objectives", ""), file),
        conditions=conditions,
        kept=kept,
        chosen=frozenset(chosen),
    )


def _words(text: str) -> str:
    """One line that an alert can show."""
    line = "".join(letter if letter.isprintable() else " " for letter in text).replace("{{", "{ {")
    return " ".join(line.replace("{{", "{ {").split())[:MAX_WORDS].rstrip()


def _annotations(each: Object, shown: Indicator, file: File) -> dict[str, str]:
    kept: dict[str, str] = {}
    for key, value in each.annotations.items():
        name = key.removeprefix(ANNOTATION).replace("-", "_")
        if not key.startswith(ANNOTATION):
            continue
        judge = _KNOWN.get(name)
        is_good = judge is not None and judge(value)
        fits = name not in ("idle", "minimum_events") or shown.counts
        if is_good and fits:
            kept[name] = value
        else:
            file.notes.append(each.spec.note("", f"the annotation {key}: {value!r} is not understood; not read"))
    return kept


def _is_share(value: str) -> bool:
    try:
        return parse_percent(value) <= 1
    except ValueError:
        return False


_KNOWN: dict[str, Callable[[str], bool]] = {
    "no_data": lambda value: value in tuple(NoData),
    "idle": lambda value: value in tuple(Idle),
    "minimum_events": lambda value: re.fullmatch(r"[1-9]\d{0,8}", value, re.ASCII) is not None,
    "cost_share": _is_share,
    "offender": is_label,
    "first_action": lambda value: value == _words(value) != "",
    "runbook": lambda value: re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_./-]*", value, re.ASCII) is not None and ".." not in value,
    "objectives": lambda value: re.fullmatch(r"([1-4]: ?\d+(\.\d+)?%(, ?)?)+", value, re.ASCII) is not None,
}


def _per_zone(each: Object, goal: Goal, said: str, file: File) -> dict[Zone, Fraction]:
    """The annotation's objectives while it agrees with the target (which another tool may have changed), else the target everywhere."""
    pairs = (part.split(":") for part in said.split(",") if ":" in part)
    found = {Zone(int(zone)): parse_percent(value) for zone, value in pairs}
    if said and (set(found) != set(Zone) or found[Zone.REGULAR] != goal.objective or not all(0 < value < 1 for value in found.values())):
        file.notes.append(each.spec.note("", "the annotation of objectives and the target differ; the target is taken in every zone"))
        found = {}
    return found or dict.fromkeys(Zone, goal.objective)


def _say_what_is_dropped(file: File) -> None:
    for each in file.of_kind("DataSource"):
        if not each.spec.is_empty("connectionDetails"):
            file.notes.append(each.spec.note("connectionDetails", "are not read: rules run in the Prometheus that loads them"))
    for each in file.of_kind("AlertNotificationTarget"):
        if each.name not in ("page", "ticket"):
            file.notes.append(each.spec.note("target", f"{each.name!r} cannot be said: receivers are page and ticket, by severity"))
