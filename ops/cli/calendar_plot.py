"""A trading day as a band of zones, and its month as one band a day. Wall-clock time runs to the right."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops.calendars import day_text
from ops.session import Hours

if TYPE_CHECKING:
    from ops.session import Calendar

COLOURS = {Hours.REGULAR: "#2a9d8f", Hours.EXTENDED: "#cfd8dc", Hours.MAINTENANCE: "#e9a820"}
TEXT_COLOURS = {Hours.REGULAR: "white", Hours.EXTENDED: "#37474f", Hours.MAINTENANCE: "#3e2c00"}
MARK, QUIET = "#d1495b", "#78909c"
DAY_MIN = 1440
WIDE_MIN, NARROW_MIN = 125, 40
"""Bands narrower than the first have room for upright words only, than the second for none."""
TOP_IN, BAND_IN, GAP_IN, ROW_IN, BOTTOM_IN = 0.8, 1.1, 0.55, 0.19, 0.85
"""Heights of the picture's parts, inches."""


def draw(calendar: Calendar, day: date, month: date, path: Path) -> None:
    """Writes the picture. Raises OSError."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    days = _days(calendar, month)
    rows_in = len(days) * ROW_IN
    height_in = TOP_IN + BAND_IN + GAP_IN + rows_in + BOTTOM_IN
    figure = pyplot.figure(figsize=(11, height_in))
    top = figure.add_axes((0.08, 1 - (TOP_IN + BAND_IN) / height_in, 0.895, BAND_IN / height_in))
    bottom = figure.add_axes((0.08, BOTTOM_IN / height_in, 0.895, rows_in / height_in))
    _day_band(top, calendar, day)
    _month_bands(bottom, calendar, days, day)
    _legend(figure, calendar, days)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def bands(calendar: Calendar, day: date) -> list[tuple[int, int, Hours]]:
    """Wall-clock minutes of one local day in each kind of hours: (from, to, hours). An hour that comes twice is shown once."""
    start_s, end_s = calendar.day_start_s(day), calendar.day_start_s(day + timedelta(days=1))
    found = []
    for since_s, until_s, zone in calendar.spans(start_s, end_s):
        since, until = calendar.to_local(since_s), calendar.to_local(until_s - 1)
        found.append((since.hour * 60 + since.minute, until.hour * 60 + until.minute + 1, zone.hours))
    return found


def _days(calendar: Calendar, month: date) -> list[date]:
    last = calendar.to_local(calendar.month_bounds(month.year, month.month)[1] - 1).date()
    return [month + timedelta(days=count) for count in range((last - month).days + 1)]


def _day_band(axes: Any, calendar: Calendar, day: date) -> None:
    for since, until, hours in bands(calendar, day):
        axes.barh(0, until - since, left=since, height=1, color=COLOURS[hours], edgecolor="white", linewidth=1.5)
        if until - since >= NARROW_MIN:
            _words(axes, calendar, since, until, hours)
    axes.set_ylim(-0.5, 0.5)
    axes.set_yticks([])
    _hours_axis(axes)
    axes.tick_params(axis="x", labelbottom=False)
    _utc_axis(axes, calendar, day)
    length_h = (calendar.day_start_s(day + timedelta(days=1)) - calendar.day_start_s(day)) / 3600
    changed = "" if length_h == 24 else f" - the clocks change, {length_h:g} hours"
    axes.set_title(f"{calendar.name}  {day:%A} {day}: {day_text(calendar, day)}{changed}", loc="left", fontsize=12, pad=10)


def _words(axes: Any, calendar: Calendar, since: int, until: int, hours: Hours) -> None:
    wide, times = until - since >= WIDE_MIN, f"{_clock(since)}-{_clock(until)}"
    text = f"{hours}\n{_zones(calendar, hours)}\n{times}" if wide else f"{_zones(calendar, hours)}\n{times}"
    style = {"fontsize": 9 if wide else 8, "rotation": 0 if wide else 90, "color": TEXT_COLOURS[hours]}
    axes.text((since + until) / 2, 0, text, ha="center", va="center", **style)


def _month_bands(axes: Any, calendar: Calendar, days: list[date], chosen: date) -> None:
    for row, day in enumerate(days):
        for since, until, hours in bands(calendar, day):
            axes.barh(row, until - since, left=since, height=0.82, color=COLOURS[hours])
        name = calendar.closures.get(day) or calendar.holidays.get(day)
        if name:
            axes.text(DAY_MIN / 2, row, name, ha="center", va="center", fontsize=7.5, color=TEXT_COLOURS[Hours.EXTENDED])
        if day == chosen:
            axes.barh(row, DAY_MIN, left=0, height=0.95, fill=False, edgecolor=MARK, linewidth=1.8, zorder=3)
    axes.set_ylim(len(days) - 0.4, -0.6)
    axes.set_yticks(range(len(days)), [f"{day:%a} {day.day:2}" for day in days], fontsize=7.5, family="monospace")
    for label, day in zip(axes.get_yticklabels(), days, strict=True):
        label.set_color(MARK if day == chosen else QUIET if not calendar.day_phases(day) else "black")
    _hours_axis(axes)
    axes.set_xlabel(f"local time, {calendar.timezone}", fontsize=9)
    axes.set_title(f"{days[0]:%B %Y}", loc="left", fontsize=10, pad=4)


def _hours_axis(axes: Any) -> None:
    axes.set_xlim(0, DAY_MIN)
    axes.set_xticks(range(0, DAY_MIN + 1, 120), [f"{hour:02}:00" for hour in range(0, 25, 2)], fontsize=8)
    axes.tick_params(length=2)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _utc_axis(axes: Any, calendar: Calendar, day: date) -> None:
    """UTC above the band, as it is at each local hour shown."""
    above = axes.secondary_xaxis("top")
    start_s = calendar.day_start_s(day)
    labels: dict[int, str] = {}
    for at_s in range(start_s, calendar.day_start_s(day + timedelta(days=1)), 3600):
        local = calendar.to_local(at_s)
        if local.date() == day and local.hour % 2 == 0 and local.minute == 0:
            labels.setdefault(local.hour * 60, datetime.fromtimestamp(at_s, UTC).strftime("%H:%M"))
    above.set_xticks(list(labels), list(labels.values()), fontsize=8, color=QUIET)
    above.tick_params(length=2, color=QUIET, pad=1)
    above.spines["top"].set_visible(False)
    axes.text(-0.03, 1.03, "UTC", transform=axes.transAxes, ha="right", va="bottom", fontsize=8, color=QUIET)


def _legend(figure: Any, calendar: Calendar, days: list[date]) -> None:
    from matplotlib.patches import Patch

    counts = calendar.minutes(days[0], days[-1])
    handles = [Patch(color=COLOURS[hours], label=f"{hours} ({_zones(calendar, hours)}): {counts[hours]:,} min") for hours in Hours]
    figure.legend(handles=handles, loc="lower center", ncols=3, frameon=False, fontsize=9)


def _zones(calendar: Calendar, hours: Hours) -> str:
    return {Hours.REGULAR: "zones 1 and 2" if calendar.volatility else "zone 2", Hours.EXTENDED: "zone 3", Hours.MAINTENANCE: "zone 4"}[
        hours
    ]


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
