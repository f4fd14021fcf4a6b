"""slo/*.yaml -> Spec. Every error names file, line and field, says why, and (in its hint) what to write instead.

Strict on purpose: a setting that would be ignored, could never alert or would alert for ever is refused here, where a person edits it, and
not in Prometheus at night. Ratios, money and durations are exact. What needs several settings at once (factors, series, run-books that are
missing) is `check`'s. Quick: a thousand SLOs in a third of a second, so nothing here imports a parser of PromQL or a template engine.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from ops import calendars
from ops.conventions import RESERVED_LABELS
from ops.errors import UsageError
from ops.session import Calendar, Zone
from ops.slo import parse_sli
from ops.slo.findings import hint
from ops.slo.model import (
    DEFAULT_POLICY,
    VENUE_SLO,
    Idle,
    Money,
    NoData,
    Policy,
    Severity,
    Slo,
    Spec,
    Terms,
    Tier,
)
from ops.slo.parse_words import COUNTERS, label, objective, one_line, percent
from ops.specs import Section
from ops.specs import load as load_yaml

VERSION = "opsctl/slo/v1"
PATTERN = "*.yaml"
MAX_SLOS = 5000
OWN_LABELS = (*RESERVED_LABELS, "exchange", "alertname", "le", "__name__")
_EXCHANGE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}", re.ASCII)
_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00", re.ASCII)
_URL = re.compile(r"https?://[^\s\"{}]+", re.ASCII)
_RUNBOOK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]*", re.ASCII)
_SEVERITIES = tuple(Severity)
DEFAULT_TIERS = (
    Tier("spike", Severity.PAGE, 60, 60, bad_share=Fraction(3, 100)),
    Tier("fast", Severity.PAGE, 3600, 300, factor=Fraction(14)),
    Tier("slow", Severity.TICKET, 21600, 3600, factor=Fraction(3)),
)
"""Row O13."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of a file: a spec (None when it cannot be had), and every error found on the way."""

    path: Path
    spec: Spec | None
    errors: tuple[UsageError, ...]
    lines: Mapping[str, int]
    """Where `zones.1` to `zones.4` and the alerts that the file writes (`alerts.fast`) stand."""


def load(path: Path) -> Spec:
    """The spec of one file. Raises UsageError: the first error, with the number of further ones."""
    reading = read(path)
    if reading.errors:
        first, more = reading.errors[0], len(reading.errors) - 1
        raise UsageError(first.message + (f" (and {more} more: opsctl slo check)" if more else ""), hint(first)) from first
    assert reading.spec is not None
    return reading.spec


def load_all(folder: Path) -> tuple[Spec, ...]:
    """The specs of a folder, by file name. Raises UsageError; no spec at all is one, two files of one venue too."""
    specs = tuple(load(path) for path in paths(folder))
    clash = same_venue(specs)
    if clash is not None:
        raise clash
    return specs


def paths(folder: Path) -> tuple[Path, ...]:
    """The spec files directly in `folder`. Raises UsageError when there are none."""
    found = tuple(sorted(folder.glob(PATTERN))) if folder.is_dir() else ()
    if not found:
        raise UsageError(f"{folder}: no SLOs are declared here ({PATTERN})", "write a first spec: opsctl slo init")
    return found


def same_venue(specs: tuple[Spec, ...]) -> UsageError | None:
    """Two files that declare one venue: their generated files would overwrite one another."""
    seen: dict[str, Path] = {}
    for spec in specs:
        other = seen.setdefault(spec.exchange.lower(), spec.path)
        if other != spec.path:
            reason = f"{spec.exchange!r} is declared by {other.name} already"
            return UsageError(f"{spec.path}:1: exchange: {reason}", "put the SLOs of a venue into one file, or name another venue")
    return None


def read(path: Path) -> Reading:
    """Like `load`, but with every SLO's error, not only the first: for `check`."""
    try:
        section = load_yaml(path)
        head = _head(section)
    except UsageError as error:
        return Reading(path, None, (error,), {})
    slos: list[Slo] = []
    errors: list[UsageError] = []
    try:
        _slos(section, head, slos, errors)
        section.done()
    except UsageError as error:
        errors.append(error)
    spec = _spec(path, head, tuple(slos)) if not errors else None
    return Reading(path, spec, tuple(errors), _lines(section))


def _lines(section: Section) -> Mapping[str, int]:
    zones = section.section("zones")
    found = {f"zones.{key}": zones.line_of(key) for key in zones.keys}
    for inner in section.sections("alerts", may_be_empty=True) if section.has("alerts") else ():
        found[f"alerts.{inner.text('name')}"] = inner.line
    return found


@dataclass(frozen=True, slots=True)
class _Head:
    """All of a file but its SLOs."""

    exchange: str
    calendar: Calendar
    calendar_path: Path
    scrape_interval_s: int
    runbook_base: str
    deliver_tickets: tuple[int, int]
    money: Money
    default: Policy
    tiers: tuple[Tier, ...]

    @property
    def pages(self) -> bool:
        return any(tier.severity is Severity.PAGE for tier in self.tiers)


def _spec(path: Path, head: _Head, slos: tuple[Slo, ...]) -> Spec:
    return Spec(
        path=path,
        digest=_digest(path, head.calendar_path),
        exchange=head.exchange,
        calendar=head.calendar,
        scrape_interval_s=head.scrape_interval_s,
        runbook_base=head.runbook_base,
        deliver_tickets=head.deliver_tickets,
        money=head.money,
        default=head.default,
        tiers=head.tiers,
        slos=slos,
    )


def _digest(path: Path, calendar: Path) -> str:
    return hashlib.sha256(path.read_bytes() + b"\0" + calendar.read_bytes()).hexdigest()[:12]


def _head(section: Section) -> _Head:
    version = section.text("version")
    if version != VERSION:
        raise section.error("version", f"{version!r} is not a version that this opsctl reads", instead=f"write version: {VERSION}")
    exchange = _exchange(section)
    calendar_path, calendar = _calendar(section)
    return _Head(
        exchange=exchange,
        calendar=calendar,
        calendar_path=calendar_path,
        scrape_interval_s=_whole_seconds(section, "scrape_interval", 1, 300, "15s"),
        runbook_base=_runbook_base(section),
        deliver_tickets=_tickets(section),
        money=_money(section),
        default=Policy(DEFAULT_POLICY, _zones(section)),
        tiers=_tiers(section),
    )


def _exchange(section: Section) -> str:
    name = section.text("exchange")
    if not _EXCHANGE.fullmatch(name):
        reason = f"{name!r} cannot be a venue's name: letters, digits, - and _, at most 32, a letter first"
        raise section.error("exchange", reason, instead="write the value of the label `exchange` of its targets, such as XDEMO")
    return name


def _calendar(section: Section) -> tuple[Path, Calendar]:
    name = section.text("calendar")
    path = _file(section.path.parent, name)
    if path is None:
        code = re.sub(r"[^A-Z0-9]", "", name.rpartition("/")[2].partition(".")[0].upper())[:16] or "XNYS"
        reason = f"there is no file {name!r} beside this spec"
        raise section.error("calendar", reason, instead=f"write it first: opsctl calendar import {code}")
    return path, calendars.load(path)


def _file(folder: Path, name: str) -> Path | None:
    """The file of a relative name; None when there is none, or there cannot be."""
    try:
        path = (folder / name).resolve()
        return path if path.is_file() else None
    except (OSError, ValueError):
        return None


def _whole_seconds(section: Section, field: str, low: int, high: int, default: str | None = None) -> int:
    value = section.duration(field, default)
    if value.denominator != 1 or not low <= value <= high:
        text = section.text(field, default)
        raise section.error(
            field, f"{text} is not a whole number of seconds from {low}s to {high}s", instead=f"write {default or f'{low}s'}"
        )
    return int(value)


def _runbook_base(section: Section) -> str:
    base = section.text("runbook_base", "")
    if base and not (_URL.fullmatch(base) and base.endswith("/")):
        raise section.error(
            "runbook_base", f"{base!r} is not a URL that ends in '/'", instead="write it like https://git.example/venue/, or leave it out"
        )
    return base


def _tickets(section: Section) -> tuple[int, int]:
    if not section.has("tickets"):
        return (480, 1200)
    inner = section.section("tickets")
    start, end = _minute(inner, "deliver_from", "08:00"), _minute(inner, "deliver_until", "20:00")
    inner.done()
    if start >= end:
        raise inner.error(
            "deliver_until", "is not after deliver_from", instead='write two times of one local day, such as "08:00" and "20:00"'
        )
    return (start, end)


def _minute(section: Section, field: str, default: str) -> int:
    text = section.text(field, default)
    if not _TIME.fullmatch(text):
        raise section.error(field, f"{text!r} is not a time of day", instead=f'write two digits each, in quotes, such as "{default}"')
    return int(text[:2]) * 60 + int(text[3:])


def _money(section: Section) -> Money:
    inner = section.section("budget")
    usd = inner.number("usd_per_month")
    if usd <= 0:
        raise inner.error(
            "usd_per_month", f"{inner.text('usd_per_month')} leaves nothing to spend", instead="write dollars a month, such as 10000"
        )
    shares = [percent(inner, name, default) for name, default in (("page_share", "5%"), ("ticket_share", "50%"))]
    inner.done()
    return Money(usd, *shares)


def _zones(section: Section) -> Mapping[Zone, Terms]:
    inner = section.section("zones")
    terms = {zone: _terms(inner, zone) for zone in Zone}
    inner.done()
    return terms


def _terms(zones: Section, zone: Zone) -> Terms:
    inner = zones.section(str(int(zone)))
    goal = objective(inner, "objective")
    cost = inner.number("cost_usd_per_minute")
    if cost < 0:
        raise inner.error("cost_usd_per_minute", "cannot be negative", instead="write 0 where an outage costs nothing")
    severity = Severity(inner.choice("severity", _SEVERITIES))
    inner.done()
    if zone is Zone.MAINTENANCE and severity is Severity.PAGE:
        raise inner.error("severity", "nobody is to be woken for maintenance", instead="write ticket or none")
    return Terms(goal, cost, severity)


RESERVED_TIERS = ("budget", "missing", "coverage", "maintenance")
"""Inhibition goes by the tier: a speed of such a name would hold back, or be held back with, alerts that are not its own."""


def _tiers(section: Section) -> tuple[Tier, ...]:
    """The three of row O13, each replaced by what the file says under its name; further ones come after."""
    tiers = {tier.name: tier for tier in DEFAULT_TIERS}
    seen: set[str] = set()
    for inner in section.sections("alerts", may_be_empty=True) if section.has("alerts") else ():
        tier = _tier(inner)
        if tier.name in seen:
            raise inner.error("name", f"{tier.name!r} is there twice", instead="give each speed a name of its own")
        seen.add(tier.name)
        tiers[tier.name] = tier
    return tuple(tiers.values())


def _tier(inner: Section) -> Tier:
    name = inner.text("name")
    if not _NAME.fullmatch(name):
        raise inner.error("name", f"{name!r} cannot be a name", instead="write small letters, digits and -, such as fast")
    if name in RESERVED_TIERS:
        raise inner.error("name", f"{name!r} is the tier of alerts that every venue has", instead="write another name, such as slowest")
    severity = Severity(inner.choice("severity", _SEVERITIES))
    kinds = [kind for kind in ("bad_share", "factor", "budget") if inner.has(kind)]
    if len(kinds) != 1:
        raise inner.error(
            "name", f"{name} needs one threshold, not {len(kinds)}", instead="write one of bad_share (spike), factor or budget"
        )
    tier = _spike(inner, name, severity) if kinds == ["bad_share"] else _burn(inner, name, severity, kinds[0])
    inner.done()
    return tier


def _spike(inner: Section, name: str, severity: Severity) -> Tier:
    if name != "spike":
        raise inner.error(
            "bad_share", "is for the tier spike only: it is judged on the last slice", instead="write factor or budget, with long and short"
        )
    return Tier(name, severity, 60, 60, bad_share=percent(inner, "bad_share"))


def _burn(inner: Section, name: str, severity: Severity, kind: str) -> Tier:
    if name == "spike":
        raise inner.error(kind, "the tier spike is judged on the last slice", instead="write bad_share, such as bad_share: 3%")
    long_s, short_s = (_whole_seconds(inner, field, 60, 259200) for field in ("long", "short"))
    for field, seconds in (("long", long_s), ("short", short_s)):
        if seconds % 60:
            raise inner.error(field, "is not a whole number of minutes", instead=f"write {max(seconds // 60, 1)}m")
    if short_s >= long_s:
        raise inner.error("short", "is not shorter than long", instead=f"write about a twelfth of it: {max(long_s // 720, 1)}m")
    if kind == "budget":
        return Tier(name, severity, long_s, short_s, budget=percent(inner, "budget"))
    factor = inner.number("factor")
    if factor <= 0:
        raise inner.error("factor", f"{inner.text('factor')} is not above 0", instead="write a burn rate, such as 14")
    return Tier(name, severity, long_s, short_s, factor=factor)


def _slos(section: Section, head: _Head, slos: list[Slo], errors: list[UsageError]) -> None:
    names: dict[str, int] = {}
    for inner in section.sections("slos"):
        try:
            slo = _slo(inner, head)
            if slo.name in names:
                raise inner.error(
                    "name", f"{slo.name!r} is declared on line {names[slo.name]} already", instead="give each SLO a name of its own"
                )
            names[slo.name] = slo.line
            slos.append(slo)
        except UsageError as error:
            errors.append(error)
    if len(slos) > MAX_SLOS:
        raise section.error("slos", f"{len(slos)} are too many for one venue", instead=f"write at most {MAX_SLOS}, or split the venue")


def _slo(inner: Section, head: _Head) -> Slo:
    name = _slo_name(inner)
    slice_s = _slice(inner, head.scrape_interval_s)
    sli = parse_sli.sli(inner, head.scrape_interval_s)
    counts = isinstance(sli, COUNTERS)
    policy = _policy(inner, name, head)
    slo = Slo(
        name=name,
        description=one_line(inner, "description"),
        component=one_line(inner, "component"),
        owner=one_line(inner, "owner"),
        sli=sli,
        policy=policy,
        group_by=_group_by(inner),
        no_data=NoData(_said(inner, "no_data")),
        idle=Idle(inner.choice("idle", tuple(Idle))) if _only(inner, "idle", counts) else Idle.GOOD,
        minimum_events=inner.integer("minimum_events", 1, 10**9) if _only(inner, "minimum_events", counts) else int(counts),
        slice_s=slice_s,
        offender=label(inner, "offender") if inner.has("offender") else "",
        first_action=one_line(inner, "first_action"),
        runbook=_runbook(inner),
        line=inner.line,
    )
    inner.done()
    _actionable(inner, slo, head)
    return slo


def _slo_name(inner: Section) -> str:
    name = inner.text("name")
    if not _NAME.fullmatch(name):
        fixed = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789") or "order-ack-latency"
        reason = f"{name!r} cannot be a name: small letters, digits and -, a letter first, at most 63"
        raise inner.error("name", reason, instead=f"write {fixed[:63]}")
    if name in (VENUE_SLO, DEFAULT_POLICY):
        raise inner.error("name", f"{name!r} is kept for the generated rules", instead=f"write another, such as {name}-latency")
    return name


def _slice(inner: Section, scrape_interval_s: int) -> int:
    value, low = inner.duration("slice", "1m"), 4 * scrape_interval_s
    if value.denominator != 1 or not low <= value <= 600:
        reason = f"{inner.text('slice', '1m')} is not within 4 scrape intervals ({low}s) and 10m, in whole seconds"
        raise inner.error("slice", reason, instead=f"write slice: {max(low, 60)}s")
    return int(value)


def _policy(inner: Section, name: str, head: _Head) -> Policy:
    own = [field for field in ("objectives", "cost_share") if inner.has(field)]
    share = percent(inner, "cost_share", "100%", zero=True)
    terms = dict(head.default.terms)
    if inner.has("objectives"):
        goals = inner.section("objectives")
        for key in goals.keys:
            if key not in ("1", "2", "3", "4"):
                raise goals.error(key, "is not a zone", instead="write 1, 2, 3 or 4")
            zone = Zone(int(key))
            terms[zone] = Terms(objective(goals, key), terms[zone].cost_usd_per_minute, terms[zone].severity)
    return Policy(name, terms, share) if own else head.default


def _group_by(inner: Section) -> tuple[str, ...]:
    if not inner.has("group_by"):
        return ()
    names = inner.texts("group_by")
    for name in names:
        if name in OWN_LABELS:
            raise inner.error("group_by", f"{name!r} is a label that the rules write themselves", instead="take it out of the list")
        label(inner, "group_by", name)
    if len(set(names)) != len(names):
        raise inner.error("group_by", "names a label twice", instead="write each label once")
    return tuple(names)


def _said(inner: Section, field: str) -> str:
    if not inner.has(field):
        reason = "is missing: whether missing series are an outage is not to be guessed"
        raise inner.error(field, reason, instead="write no_data: bad (a page when the exporter dies), good, or ignore")
    return inner.choice(field, tuple(NoData))


def _only(inner: Section, field: str, counts: bool) -> bool:
    """Whether the optional `field` is there; refused on an SLI without events, where it would be ignored."""
    if inner.has(field) and not counts:
        raise inner.error(field, "is for SLIs that count events (events, latency)", instead="take it out")
    return inner.has(field)


def _runbook(inner: Section) -> str:
    text = inner.text("runbook", "")
    if text and not _URL.fullmatch(text) and (not _RUNBOOK.fullmatch(text) or ".." in text):
        raise inner.error(
            "runbook", f"{text!r} is neither a URL nor a path below the repository", instead="write it like runbooks/order-ack-latency.md"
        )
    return text


def _actionable(inner: Section, slo: Slo, head: _Head) -> None:
    """Who is woken must find what to do (row O14)."""
    zones = [str(int(zone)) for zone, terms in slo.policy.terms.items() if terms.severity is Severity.PAGE]
    if not zones or not head.pages:
        return
    for field, value, instead in (
        ("first_action", slo.first_action, "write in one sentence what to do first"),
        ("runbook", slo.runbook, f"write runbook: runbooks/{slo.name}.md"),
    ):
        if not value:
            raise inner.error(field, f"is missing, but {slo.name} pages in zone {', '.join(zones)}", instead=instead)
