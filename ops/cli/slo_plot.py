"""Pictures of SLOs without Grafana: the month for managers, the last hours for operators, and what a back-test found.

Each takes finished figures and writes one file. Zones have one set of colours throughout; what is unknown is said in words, not left blank.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ops.cli.plot import check_suffix
from ops.session import Zone

if TYPE_CHECKING:
    from ops.slo.backtest import Backtest
    from ops.slo.budget import Line, Report
    from ops.slo.recent import Curve, Recent
    from ops.slo.simulate import Firing

ZONE_COLOURS = {Zone.VOLATILE: "#c44536", Zone.REGULAR: "#2a9d8f", Zone.EXTENDED: "#cfd8dc", Zone.MAINTENANCE: "#e9a820"}
ZONE_WORDS = {Zone.VOLATILE: "volatile", Zone.REGULAR: "regular", Zone.EXTENDED: "extended", Zone.MAINTENANCE: "maintenance"}
GOOD, MEDIUM, BAD, QUIET, INK = "#2a9d4a", "#e9a820", "#d62828", "#9aa5ab", "#263238"
PAGE, TICKET, UNKNOWN = "#d62828", "#e9a820", "#eceff1"
LINES = ("#30638e", "#d1495b", "#edae49", "#00798c", "#8d6a9f", "#5b8e7d", "#a0522d", "#3d405b")
MOST_LINES = 8
MOST_ROWS = 30
UNKNOWN_TEXT = "unknown: no such series"


# --- managers: the month


def draw_managers(report: Report, curve: Sequence[tuple[float, float]], path: Path) -> None:
    """The month in dollars, what is left per SLO, availability per zone. Raises OSError, UsageError."""
    names = list(dict.fromkeys(line.slo for line in report.lines))[:MOST_ROWS]
    rows_in = max(2.8, 0.44 * len(names) + 0.6)

    def paint(pyplot: Any) -> Any:
        figure = pyplot.figure(figsize=(13, 5.4 + rows_in))
        grid = figure.add_gridspec(2, 2, height_ratios=(3.6, rows_in), width_ratios=(2.6, 1), hspace=0.24, wspace=0.2)
        _burn_down(figure.add_subplot(grid[0, :]), report, curve)
        _left_bars(figure.add_subplot(grid[1, 0]), report, names)
        _availability(figure.add_subplot(grid[1, 1]), report)
        line = 0.21 / figure.get_figheight()
        figure.text(0.17, 1 - 1.9 * line, _headline(report), fontsize=14, fontweight="bold", color=INK)
        for number, warning in enumerate(report.warnings):
            figure.text(0.17, 1 - (3 + number) * line, f"warning: {warning}", fontsize=9, color=BAD)
        figure.subplots_adjust(left=0.17, right=0.965, top=1 - (4.3 + len(report.warnings)) * line, bottom=3.2 * line)
        return figure

    _save(path, paint)


def _headline(report: Report) -> str:
    dollars = report.dollars
    if dollars.spent_usd is None or dollars.spent is None:
        return f"{report.exchange}, {report.month}: dollars lost are unknown"
    frozen = "  -  CHANGE FREEZE" if dollars.frozen else ""
    left = max(0.0, 1 - float(dollars.spent))
    lost = f"${float(dollars.spent_usd):,.0f} of ${float(dollars.budget_usd):,.0f} lost"
    return f"{report.exchange}, {report.month}: {lost}, {left:.0%} left{frozen}"


def _burn_down(axes: Any, report: Report, curve: Sequence[tuple[float, float]]) -> None:
    """Dollars left over the month, the even pace, and the forecast."""
    at, budget, dollars = _times(report.timezone), float(report.dollars.budget_usd), report.dollars
    start, end, now = at(report.start_s), at(report.end_s), at(report.at_s)
    axes.plot([start, end], [budget, 0], color=QUIET, linewidth=1, linestyle=":", label="an even pace")
    if curve:
        times, left = [at(t) for t, _ in curve], [budget - usd for _, usd in curve]
        axes.plot(times, left, color=LINES[0], linewidth=2.2, label="left of the month's budget", drawstyle="steps-post")
        axes.fill_between(times, left, 0, color=LINES[0], alpha=0.1, step="post")
    if dollars.remaining_usd is not None:
        axes.plot([now], [float(dollars.remaining_usd)], marker="o", color=LINES[0], markersize=7, clip_on=False, zorder=4)
    if dollars.remaining_usd is not None and dollars.forecast_usd is not None:
        last = budget - float(dollars.forecast_usd)
        colour = BAD if last <= 0 else MEDIUM if last <= 0.3 * budget else GOOD
        axes.plot(
            [now, end], [float(dollars.remaining_usd), last], color=colour, linewidth=1.8, linestyle="--", label="forecast at this pace"
        )
        axes.annotate(
            f"${last:,.0f} left", (end, last), textcoords="offset points", xytext=(-6, 7), ha="right", color=colour, fontweight="bold"
        )
    if not curve and dollars.spent_usd is None:
        _nothing(axes, 0.8)
    axes.axvline(now, color=INK, linewidth=0.8, alpha=0.5)
    axes.axhline(0, color=BAD, linewidth=1)
    axes.set_xlim(start, end)
    lows = [budget - usd for _, usd in curve] + [budget - float(dollars.forecast_usd or 0)]
    axes.set_ylim(min(0.0, *lows) * 1.1 - 0.01 * budget, budget * 1.06)
    axes.yaxis.set_major_formatter(lambda value, _: f"${value:,.0f}")
    _date_axis(axes, report.timezone, "%d %b")
    axes.legend(loc="lower left", frameon=False, fontsize=9, ncols=3)
    axes.set_title("Dollars left of the month's budget", loc="left", fontsize=11, color=INK)


def _left_bars(axes: Any, report: Report, names: Sequence[str]) -> None:
    """Per SLO and zone, what is left of its minutes: one thin bar a zone."""
    from ops.slo.budget import worst

    zones = sorted({line.zone for line in report.venue})
    height = 0.8 / max(1, len(zones))
    for row, name in enumerate(names):
        for place, zone in enumerate(zones):
            line = worst(one for one in report.of(name) if one.zone is zone)
            _left_bar(axes, row + (place - (len(zones) - 1) / 2) * height, height, zone, line)
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.set_xlim(0, 1.13)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes.axvspan(0, 0.3, color=MEDIUM, alpha=0.08, linewidth=0)
    axes.set_title("Left of each SLO's bad minutes, by zone (shaded: releases are restricted)", loc="left", fontsize=11, color=INK)
    handles = [_patch(ZONE_COLOURS[zone], f"zone {int(zone)} {ZONE_WORDS[zone]}") for zone in zones]
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.03), frameon=False, fontsize=8, ncols=len(zones))
    axes.grid(axis="x", alpha=0.3)
    _bare(axes)


def _left_bar(axes: Any, y: float, height: float, zone: Zone, line: Line | None) -> None:
    if line is None or line.left is None:
        axes.text(0.005, y, "unknown", va="center", fontsize=6.5, color=QUIET, style="italic")
        return
    left = max(0.0, float(line.left))
    axes.barh(
        y, left, height=height * 0.86, color=ZONE_COLOURS[zone], edgecolor="#78909c" if zone is Zone.EXTENDED else "none", linewidth=0.3
    )
    if line.left < 1:
        spent = float(line.spent or 0)
        words = f"{int(left * 100 + 1e-6)}%" if line.left > 0 else f"overspent {spent:,.1f} times" if spent > 1.05 else "spent"
        axes.text(left + 0.008, y, words, va="center", fontsize=6.5, color=BAD if line.left <= 0 else INK)


def _availability(axes: Any, report: Report) -> None:
    """What the venue reached in each zone, beside what it promises."""
    rows = [line for line in report.venue]
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.set_title("Availability of the venue", loc="left", fontsize=11, color=INK)
    for row, line in enumerate(rows):
        zone = f"zone {int(line.zone)} {ZONE_WORDS[line.zone]}"
        axes.add_patch(_rectangle(0.0, row - 0.32, 0.035, 0.64, ZONE_COLOURS[line.zone]))
        axes.text(0.07, row - 0.16, zone, va="center", fontsize=9, color=INK)
        axes.text(0.07, row + 0.17, f"promised {float(line.objective * 100):g} %", va="center", fontsize=8, color="#607d8b")
        if line.availability is None:
            axes.text(0.98, row, "unknown", va="center", ha="right", fontsize=11, color=QUIET, style="italic")
        else:
            kept = line.availability >= line.objective
            text = f"{int(line.availability * 100_000) / 1000:.3f} %"
            axes.text(0.98, row, text, va="center", ha="right", fontsize=13, fontweight="bold", color=GOOD if kept else BAD)
    axes.axis("off")


# --- operators: the last hours


def draw_operators(recent: Recent, path: Path) -> None:
    """Zone, exposure, burn rates, dollars, latency and age of market data over the last hours. Raises OSError, UsageError."""

    def paint(pyplot: Any) -> Any:
        figure = pyplot.figure(figsize=(13, 10.5))
        grid = figure.add_gridspec(5, 2, height_ratios=(0.35, 1, 1, 1, 0.001), hspace=0.42, wspace=0.16)
        band = figure.add_subplot(grid[0, :])
        _zone_curve(band, recent)
        short, long = recent.windows
        _curves(figure.add_subplot(grid[1, 0]), recent, recent.burn_short, f"Burn rate over {short}", _times_budget, recent.threshold)
        _curves(figure.add_subplot(grid[1, 1]), recent, recent.burn_long, f"Burn rate over {long}", _times_budget, recent.threshold)
        _curves(figure.add_subplot(grid[2, 0]), recent, {"": recent.loss_usd}, "Dollars lost in the hour before", _dollars)
        _curves(figure.add_subplot(grid[2, 1]), recent, {"": recent.exposure_usd}, "Exposure: what an hour of outage would cost", _dollars)
        _curves(figure.add_subplot(grid[3, 0]), recent, recent.ack_p99_s, "Acknowledgement of orders, p99, by track", _millis, 0.5)
        _curves(figure.add_subplot(grid[3, 1]), recent, recent.feed_p99_s, "Age of market data, p99, by gateway", _millis, 0.1)
        at = _times(recent.timezone)
        span = f"{at(recent.start_s):%d %b %H:%M} to {at(recent.end_s):%H:%M} {recent.timezone}"
        figure.suptitle(f"{recent.exchange}: {span}", x=0.065, y=0.975, ha="left", fontsize=13, fontweight="bold", color=INK)
        figure.subplots_adjust(left=0.065, right=0.975, top=0.925, bottom=0.02)
        return figure

    _save(path, paint)


def _zone_curve(axes: Any, recent: Recent) -> None:
    at, zones = _times(recent.timezone), recent.zone
    step_s = min((b[0] - a[0] for a, b in pairwise(zones)), default=15.0)
    for at_s, number in zones:
        if round(number) in {int(zone) for zone in Zone}:
            axes.axvspan(at(at_s), at(at_s + step_s), color=ZONE_COLOURS[Zone(round(number))], linewidth=0)
    if not zones:
        _nothing(axes)
    axes.set_yticks([])
    axes.set_xlim(at(recent.start_s), at(recent.end_s))
    _date_axis(axes, recent.timezone, "%H:%M")
    axes.set_title("Zone", loc="left", fontsize=11, color=INK)
    handles = [_patch(colour, f"{int(zone)} {ZONE_WORDS[zone]}") for zone, colour in ZONE_COLOURS.items()]
    axes.legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 0.96), frameon=False, fontsize=8, ncols=4)


def _curves(
    axes: Any, recent: Recent, curves: Mapping[str, Curve], title: str, words: Callable[[float], str], bound: float | None = None
) -> None:
    """The highest few of `curves`, each in its colour; a bound as a dashed line."""
    at = _times(recent.timezone)
    peaks = {name: max(value for _, value in curve) for name, curve in curves.items() if curve}
    top, highest = max(peaks.values(), default=0.0), sorted(peaks, key=lambda name: (-peaks[name], name))
    drawn = [name for name in highest[:MOST_LINES] if peaks[name] >= top / 50 or len(peaks) <= 4]
    for name, colour in zip(drawn, LINES, strict=False):
        axes.plot([at(t) for t, _ in curves[name]], [value for _, value in curves[name]], color=colour, linewidth=1.6, label=name)
    shown = bound is not None and top >= bound / 20
    if bound is not None and shown:
        axes.axhline(bound, color=BAD, linewidth=1, linestyle="--")
    axes.set_ylim(0, (max(top, bound or 0) if shown else top) * 1.15 or 1)
    if peaks and "" not in peaks:
        low = f"and {len(peaks) - len(drawn)} lower" if len(peaks) > len(drawn) else None
        axes.legend(loc="upper left", fontsize=7.5, frameon=True, framealpha=0.75, edgecolor="none", title=low, title_fontsize=7.5)
    axes.yaxis.set_major_formatter(lambda value, _: words(value))
    if not peaks:
        _nothing(axes)
        axes.set_yticks([])
    axes.set_xlim(at(recent.start_s), at(recent.end_s))
    _date_axis(axes, recent.timezone, "%H:%M")
    axes.set_title(title, loc="left", fontsize=11, color=INK)


def _times_budget(value: float) -> str:
    return f"{value:g}x"


def _dollars(value: float) -> str:
    return f"${value:,.0f}" if value >= 10 or value == 0 else f"${value:,.2f}"


def _millis(value: float) -> str:
    return f"{value * 1000:g} ms"


# --- a back-test


def draw_backtest(found: Backtest, path: Path) -> None:
    """A band an SLO, coloured where an alert would have fired; the zone below; grey without history. Raises OSError, UsageError."""
    rows = _backtest_rows(found)

    def paint(pyplot: Any) -> Any:
        figure, (axes, band) = pyplot.subplots(
            2, 1, figsize=(13, 2.1 + 0.36 * len(rows)), sharex=True, height_ratios=(max(1, len(rows)), 0.8), squeeze=True
        )
        _firing_bands(axes, found, rows)
        _zone_band(band, found)
        words = f"{found.exchange}: {found.pages} pages, {found.tickets} tickets, ${found.loss_usd:,.0f} lost"
        axes.set_title(words, loc="left", fontsize=13, fontweight="bold", color=INK)
        handles = [_patch(PAGE, "page"), _patch(TICKET, "ticket"), _patch(UNKNOWN, "no history")]
        axes.legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 1), frameon=False, fontsize=9, ncols=3)
        figure.tight_layout()
        return figure

    _save(path, paint)


def _backtest_rows(found: Backtest) -> list[tuple[str, str]]:
    """(SLO, group): those of the spec in its order, with the groups that fired, then the venue's dollars."""
    groups: dict[str, set[str]] = {}
    for firing in found.firings:
        groups.setdefault(firing.slo, set()).add(firing.group)
    others = [name for name in groups if name not in found.slos]
    return [(name, group) for name in (*found.slos, *others) for group in sorted(groups.get(name, {""}))]


def _firing_bands(axes: Any, found: Backtest, rows: list[tuple[str, str]]) -> None:
    at, place = _times(found.timezone), {row: index for index, row in enumerate(rows)}
    for since_s, until_s in found.gaps:
        axes.axvspan(at(since_s), at(until_s), color=UNKNOWN, linewidth=0)
    for firing in sorted(found.firings, key=lambda one: one.severity == "page"):
        if str(firing.severity) in ("page", "ticket"):
            _firing(axes, found, firing, place[firing.slo, firing.group])
    labels = [f"{slo}  {group}".strip() for slo, group in rows]
    known = [found.known.get(slo) for slo, _ in rows]
    texts = [text if share is None or share > 0.9995 else f"{text}  ({share:.0%} known)" for text, share in zip(labels, known, strict=True)]
    axes.set_yticks(range(len(rows)), texts, fontsize=9)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(at(found.start_s), at(found.end_s))
    axes.grid(axis="y", alpha=0.25)
    axes.tick_params(axis="x", length=0)
    _bare(axes)


def _firing(axes: Any, found: Backtest, firing: Firing, row: int) -> None:
    """At least a few pixels wide: a spike of a minute in a month must be seen."""
    at, least_s = _times(found.timezone), (found.end_s - found.start_s) / 400
    start_s = max(firing.start_s, found.start_s)
    width = at(max(min(firing.end_s, found.end_s), start_s + least_s)) - at(start_s)
    page = str(firing.severity) == "page"
    axes.barh(
        row, width, left=at(start_s), height=0.62 if page else 0.4, color=PAGE if page else TICKET, linewidth=0, zorder=3 if page else 2
    )


def _zone_band(axes: Any, found: Backtest) -> None:
    at = _times(found.timezone)
    for since_s, until_s, zone in found.zones:
        axes.axvspan(at(since_s), at(until_s), color=ZONE_COLOURS[zone], linewidth=0)
    axes.set_yticks([0.5], ["zone"], fontsize=9)
    axes.set_ylim(0, 1)
    long = found.end_s - found.start_s > 2 * 86400
    _date_axis(axes, found.timezone, "%a %d %b" if long else "%H:%M")
    present = sorted({zone for _, _, zone in found.zones})
    handles = [_patch(ZONE_COLOURS[zone], f"zone {int(zone)} {ZONE_WORDS[zone]}") for zone in present]
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.5), frameon=False, fontsize=8, ncols=4)
    axes.set_xlabel(found.timezone, fontsize=8, loc="right", color="#607d8b")


# --- shared


def _save(path: Path, paint: Callable[[Any], Any]) -> None:
    check_suffix(path)
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with pyplot.rc_context({"text.parse_math": False}):  # two dollar signs are no formula
        figure = paint(pyplot)
        try:
            figure.savefig(path, dpi=120)
        finally:
            pyplot.close(figure)


def _times(timezone: str) -> Callable[[float], datetime]:
    zone = ZoneInfo(timezone)
    return lambda at_s: datetime.fromtimestamp(at_s, zone)


def _date_axis(axes: Any, timezone: str, form: str) -> None:
    from matplotlib import dates as module

    dates: Any = module
    zone = ZoneInfo(timezone)
    axes.xaxis.set_major_locator(dates.AutoDateLocator(tz=zone, minticks=5, maxticks=12))
    axes.xaxis.set_major_formatter(dates.DateFormatter(form, tz=zone))
    axes.tick_params(labelsize=9)
    axes.grid(alpha=0.25)
    _bare(axes)


def _bare(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _nothing(axes: Any, height: float = 0.5) -> None:
    axes.text(0.5, height, UNKNOWN_TEXT, transform=axes.transAxes, ha="center", va="center", color=QUIET, style="italic")


def _patch(colour: str, label: str) -> Any:
    from matplotlib.patches import Patch

    return Patch(color=colour, label=label)


def _rectangle(x: float, y: float, width: float, height: float, colour: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), width, height, color=colour, linewidth=0)
