"""A release as one picture: the canary's weight, error ratio and p99 of both tracks, the verdict of each round. From the journal alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops.cli.common import say
from ops.errors import UsageError

if TYPE_CHECKING:
    from ops.deploy.journal import Record

SUFFIXES = (".png", ".svg", ".pdf")
COLOURS = {"PASS": "#2a9d4a", "FAIL": "#d62828", "INCONCLUSIVE": "#e9a820"}
CANARY, STABLE, WEIGHT = "#d1495b", "#30638e", "#5b5f97"


def check_suffix(path: Path) -> None:
    """Before anything is asked or drawn: what the picture is to be is told by its name. Raises UsageError."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--plot {path}: the name must end in one of {', '.join(SUFFIXES)}", "name it like picture.png")


def drawn(path: Path, draw_it: Callable[[], None]) -> None:
    """Draw, and say so. Raises UsageError when the file cannot be written."""
    try:
        draw_it()
    except OSError as error:
        raise UsageError(f"--plot {path}: cannot be written: {error.strerror}", "name a file in a folder that is there") from error
    say(f"drew {path}")


def draw(one: Record, path: Path) -> None:
    """Writes the picture. Raises OSError."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (top, middle, bottom) = pyplot.subplots(3, 1, figsize=(11, 8), sharex=True, height_ratios=(2, 2, 2))
    _weight(top, one)
    _figures(middle, one, "error-ratio", 100.0, "5xx answers, %")
    _figures(bottom, one, "order-to-ack-p99", 1000.0, "order-to-ack p99, ms")
    bottom.set_xlabel("seconds since the release began")
    bottom.set_yscale("symlog", linthresh=1.0)
    top.set_title(f"{one.stream}: {one.version} over {one.stable_version} - {one.outcome}", loc="left", fontsize=12)
    figure.align_ylabels()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _weight(axes: Any, one: Record) -> None:
    applied = [(e.at_s - one.started_at_s, e.data["share"] * 100) for e in one.events if e.kind == "weight.applied"]
    end_s = one.events[-1].at_s - one.started_at_s
    points = [(0.0, 0.0), *applied, (end_s, applied[-1][1] if applied else 0.0)]
    axes.step([p[0] for p in points], [p[1] for p in points], where="post", color=WEIGHT, linewidth=2)
    axes.fill_between([p[0] for p in points], [p[1] for p in points], step="post", color=WEIGHT, alpha=0.15)
    axes.set_yscale("symlog", linthresh=1.0)
    axes.set_ylim(0, 130)
    axes.set_yticks([0, 1, 5, 25, 50, 100], ["0", "1", "5", "25", "50", "100"])
    axes.set_ylabel("canary weight, %")
    for verdict, colour in COLOURS.items():
        rounds = [e for e in one.events if e.kind == "check" and e.data["verdict"] == verdict]
        marks = [(e.at_s - one.started_at_s, e.data["share"] * 100) for e in rounds]
        if marks:
            axes.scatter([m[0] for m in marks], [m[1] for m in marks], color=colour, zorder=3, s=36, label=verdict)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="upper left", fontsize=8, frameon=False, ncols=3)
    axes.grid(alpha=0.3)


def _figures(axes: Any, one: Record, check: str, scale: float, label: str) -> None:
    rounds = [(e.at_s - one.started_at_s, r) for e in one.events if e.kind == "check" for r in e.data["results"] if r["name"] == check]
    for track, colour in (("canary", CANARY), ("stable", STABLE)):
        points = [(at_s, r[track] * scale) for at_s, r in rounds if r[track] is not None]
        if points:
            axes.plot([p[0] for p in points], [p[1] for p in points], marker="o", markersize=4, color=colour, label=track)
    bounds = [r["bound"] * scale for _, r in rounds if r["bound"] is not None]
    if bounds:
        axes.axhline(bounds[-1], color="#888888", linestyle="--", linewidth=1, label="absolute bound")
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="upper left", fontsize=8, frameon=False, ncols=3)
    axes.set_ylabel(label)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
