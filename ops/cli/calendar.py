"""`opsctl calendar`: bring a venue's trading days into a file, and look at what a day or a month is made of."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.cli.common import DryRunOption, Output, OutputOption, print_json, say
from ops.config import declared_dir
from ops.errors import UsageError

if TYPE_CHECKING:
    from ops.session import Calendar, Zone

app = typer.Typer(
    help="When a venue trades: sessions, half days, holidays, maintenance, and the four zones made of them.",
    epilog="Examples:  opsctl calendar import XNYS --years 2026-2028  ·  opsctl calendar show xnys --date 2026-11-27 --plot day.png",
    no_args_is_help=True,
    rich_markup_mode=None,
)
MOST_YEARS = 20
_YEARS = re.compile(r"^(\d{4})(?:-(\d{4}))?$", re.ASCII)
_DATE = re.compile(r"^\d{4}-\d\d-\d\d$", re.ASCII)
_MONTH = re.compile(r"^\d{4}-\d\d$", re.ASCII)


@app.command(
    "import",
    help="Write a venue's calendar to slo/calendars from the library exchange_calendars, or bring one up to date.\n\n"
    "What was written by hand (closures, maintenance, volatility) stays; every day that changes is shown.\n\n"
    "Examples:  opsctl calendar import XNYS --years 2026-2028  ·  opsctl calendar import 24/7 --as crypto --years 2026-2028",
)
def import_calendar(
    mic: Annotated[str, typer.Argument(metavar="MIC", help="The venue's market identifier code, such as XNYS, XLON or XTKS; or 24/7.")],
    years: Annotated[str, typer.Option("--years", help="The years to import, first and last: 2026-2028.")],
    to: Annotated[Path | None, typer.Option("--to", help="The file to write.", show_default="slo/calendars/NAME.yaml")] = None,
    name: Annotated[str | None, typer.Option("--as", help="The calendar's name.", show_default="the MIC")] = None,
    dry_run: DryRunOption = False,
    output: OutputOption = Output.TEXT,
) -> None:
    from dataclasses import replace

    from ops import calendars
    from ops.adapters.market_calendars import fetch

    first, last = _years(years)
    found = fetch(mic, first, last)
    found = replace(found, name=_file_name(name or found.name, mic, years))
    path = to or _folder() / f"{found.name.lower()}.yaml"
    existing = calendars.load(path) if path.exists() else None
    merged = calendars.with_hand_written(found, existing) if existing else found
    changes = calendars.differences(existing, merged) if existing else ()
    write = not dry_run and merged != existing
    if write:
        header = f"Trading days of {found.name}, {first} to {last}, from exchange_calendars by `opsctl calendar import`."
        _write(path, merged, header, existing is not None)
    if output is Output.JSON:
        listed = [{"what": change.what, "before": change.before, "after": change.after} for change in changes]
        print_json({"file": str(path), "calendar": merged.name, "created": existing is None, "written": write, "changes": listed})
        return
    for change in changes:
        print(f"{change.what:12} {change.before}  ->  {change.after}")
    say(_outcome(path, merged, existing, write))


def _outcome(path: Path, merged: Calendar, existing: Calendar | None, written: bool) -> str:
    if merged == existing:
        return f"{path}: nothing has changed"
    size = f"{len(merged.holidays)} holidays and {sum(len(kind.dates) for kind in merged.day_types)} days of other hours"
    return f"{path}: {'written' if written else 'would be written'}, {merged.valid_from} to {merged.valid_until}, {size}"


def _write(path: Path, calendar: Calendar, header: str, exists: bool) -> None:
    """Whole at any moment. The hand-written part is kept letter for letter if the file then says what it must."""
    from ops import calendars
    from ops.adapters.local import replace_file

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = calendars.merged_text(calendar, header, path.read_text(encoding="utf-8") if exists else "")
        replace_file(path, text, 0o644)
        if calendars.load(path) != calendar:
            replace_file(path, calendars.dump(calendar, header), 0o644)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}", hint="name another file with --to FILE") from error


@app.command(
    "show",
    help="What a day is made of: trading phases, zones in local time and UTC, the month's minutes per zone, the next change.\n\n"
    "Examples:  opsctl calendar show  ·  opsctl calendar show xtks --date 2026-11-27  ·  opsctl calendar show --plot day.png",
)
def show(
    name: Annotated[
        str | None, typer.Argument(help="A calendar of slo/calendars, or a file.", show_default="the one your SLOs use")
    ] = None,
    day: Annotated[str | None, typer.Option("--date", help="The local day, such as 2026-11-27.", show_default="today there")] = None,
    month: Annotated[str | None, typer.Option("--month", help="The month to count, such as 2026-11.", show_default="the day's")] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw the day and its month to this PNG, SVG or PDF.")] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    from ops import calendars
    from ops.adapters.clock import SystemClock

    calendar = calendars.load(_named(name))
    now_s = SystemClock().wall_s()
    today = calendar.to_local(now_s).date()
    chosen = _day(day) if day else today
    counted = _month(month) if month else chosen.replace(day=1)
    if plot is not None:
        _plot(calendar, chosen, counted, plot)
        return
    facts = day_facts(calendar, chosen, counted, now_s if chosen == today else calendar.day_start_s(chosen))
    if output is Output.JSON:
        print_json(facts)
    else:
        _print(calendar, facts)


def day_facts(calendar: Calendar, day: date, month: date, from_s: float) -> dict[str, Any]:
    """A day and a month (its first day) as data; the next change of zone is looked for from `from_s` on."""
    from ops.calendars import day_text

    start_s, end_s = calendar.day_start_s(day), calendar.day_start_s(day + timedelta(days=1))
    kind = calendar.day_type(day)
    change = calendar.next_change(from_s)
    last = calendar.to_local(calendar.month_bounds(month.year, month.month)[1] - 1).date()
    return {
        "calendar": calendar.name,
        "timezone": calendar.timezone,
        "valid_from": str(calendar.valid_from),
        "valid_until": str(calendar.valid_until),
        "date": str(day),
        "known": calendar.is_known(day),
        "day_type": kind.name if kind else None,
        "hours": day_text(calendar, day),
        "minutes": (end_s - start_s) // 60,
        "phases": [{"phase": str(p.name), "from": _clock(p.start_min), "to": _clock(p.end_min)} for p in calendar.day_phases(day)],
        "zones": [_span(calendar, since_s, until_s, zone) for since_s, until_s, zone in calendar.spans(start_s, end_s)],
        "month": f"{month:%Y-%m}",
        "month_minutes": {str(hours): count for hours, count in calendar.minutes(month, last).items()},
        "next_change": None
        if change is None
        else {"at": _utc(change[0]), **_zone(calendar, change[1]), "local": _local(calendar, change[0])},
    }


def _span(calendar: Calendar, since_s: int, until_s: int, zone: Zone) -> dict[str, Any]:
    times = {"from": _local(calendar, since_s), "to": _local(calendar, until_s), "from_utc": _utc(since_s), "to_utc": _utc(until_s)}
    return {**_zone(calendar, zone), **times, "minutes": (until_s - since_s) // 60}


def _zone(calendar: Calendar, zone: Zone) -> dict[str, Any]:
    """Both zones of regular hours when the volatility index decides between them."""
    from ops.session import Hours

    both = calendar.volatility is not None and zone.hours is Hours.REGULAR
    return {"zones": [1, 2] if both else [int(zone)], "hours": str(zone.hours)}


def _print(calendar: Calendar, facts: dict[str, Any]) -> None:
    day = date.fromisoformat(facts["date"])
    print(f"{calendar.name}, {calendar.timezone}, holidays known from {calendar.valid_from} to {calendar.valid_until}")
    changed = "" if facts["minutes"] == 1440 else f", {facts['minutes'] // 60} hours long: the clocks change"
    print(f"{day:%A} {day}: {facts['hours']} ({facts['day_type'] or 'no trading day'}){changed}")
    if not facts["known"]:
        print("  this day is outside the known years: it counts as the ordinary day of its weekday")
    for phase in facts["phases"]:
        print(f"  {phase['from']}-{phase['to']}  {phase['phase'].replace('_', ' ')}")
    print(f"\n  {'zone':7}{'hours':14}{'local':15}{'UTC':29}minutes")
    for span in facts["zones"]:
        since, until = (datetime.fromisoformat(span[edge]) for edge in ("from", "to"))
        utc = f"{_short(span['from_utc'])} - {_short(span['to_utc'])}"
        until_text = "24:00" if until.date() > day else f"{until:%H:%M}"
        print(f"  {_zones(span):7}{span['hours']:14}{f'{since:%H:%M}-{until_text}':15}{utc:29}{span['minutes']:>7,}")
    print(f"\n  minutes of {facts['month']}: " + ", ".join(f"{count:,} {hours}" for hours, count in facts["month_minutes"].items()))
    change = facts["next_change"]
    if change:
        when = f"{_short(change['local'])} local, {_short(change['at'])} UTC"
        print(f"  next change: {when}, to {change['hours']} (zone {_zones(change)})")
    else:
        print("  next change: none within 40 days")


def _zones(facts: dict[str, Any]) -> str:
    return " or ".join(map(str, facts["zones"]))


def _short(text: str) -> str:
    return f"{datetime.fromisoformat(text):%a %d %H:%M}"


def _utc(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _local(calendar: Calendar, at_s: int) -> str:
    return calendar.to_local(at_s).isoformat()


def _clock(minute: int) -> str:
    from ops.calendars import minute_text

    return minute_text(minute)


def _plot(calendar: Calendar, day: date, month: date, path: Path) -> None:
    from ops.cli.calendar_plot import draw
    from ops.cli.plot import check_suffix, drawn

    check_suffix(path)
    drawn(path, lambda: draw(calendar, day, month, path))


def _years(text: str) -> tuple[int, int]:
    match = _YEARS.match(text)
    if match is None:
        raise UsageError(f"--years {text}: write the first and the last year, such as 2026-2028")
    first, last = int(match[1]), int(match[2] or match[1])
    if not 1970 <= first <= last <= 2100:
        raise UsageError(f"--years {text}: the first year must not be after the last, and both lie within 1970-2100")
    if last - first >= MOST_YEARS:
        raise UsageError(f"--years {text}: at most {MOST_YEARS} years at once")
    return first, last


def _day(text: str) -> date:
    try:
        if not _DATE.match(text):
            raise ValueError
        found = date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"--date {text}: is not a day; write it as 2026-11-27") from error
    if not 1970 <= found.year <= 2100:
        raise UsageError(f"--date {text}: the year must lie within 1970-2100")
    return found


def _month(text: str) -> date:
    try:
        if not _MONTH.match(text):
            raise ValueError
        found = date.fromisoformat(f"{text}-01")
    except ValueError as error:
        raise UsageError(f"--month {text}: is not a month; write it as 2026-11") from error
    if not 1970 <= found.year <= 2100:
        raise UsageError(f"--month {text}: the year must lie within 1970-2100")
    return found


def _file_name(name: str, mic: str, years: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}", name, re.ASCII):
        raise UsageError(
            f"{name!r} cannot be a calendar's name: it also names the file",
            hint=f"opsctl calendar import {mic} --years {years} --as NAME, with letters, digits, '.', '_' and '-'",
        )
    return name


def _folder() -> Path:
    return declared_dir("slo") / "calendars"


def _named(name: str | None) -> Path:
    """The file of a calendar; without a name the one that the first spec of SLOs uses, else the first there is."""
    files = sorted(_folder().glob("*.yaml"))
    if name is None:
        if not files:
            raise UsageError(f"{_folder()} holds no calendar", hint="opsctl calendar import XNYS --years 2026-2028")
        return _used() or files[0]
    by_name = {path.stem.lower(): path for path in files}
    if name.lower() in by_name:
        return by_name[name.lower()]
    if Path(name).suffix in (".yaml", ".yml"):
        return Path(name)
    known = ", ".join(by_name) or "none yet"
    raise UsageError(f"no calendar is named {name!r}; there are: {known}", hint=f"opsctl calendar import {name.upper()} --years 2026-2028")


def _used() -> Path | None:
    from ops import specs

    for path in sorted(declared_dir("slo").glob("*.yaml")):
        try:
            named = path.parent / specs.load(path).text("calendar")
        except UsageError:
            continue  # `opsctl slo check` tells what is wrong with it
        if named.is_file():
            return named
    return None
