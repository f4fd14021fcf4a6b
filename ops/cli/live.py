"""What a person sees while a release is under way: step, weight asked and applied, checks with figures, what comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.cli.common import say
from ops.deploy.decide import percent
from ops.deploy.model import CheckKind, Phase, Verdict

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ops.deploy.controller import View
    from ops.deploy.model import CheckResult, Pipeline

COLOUR = {Verdict.PASS: "green", Verdict.FAIL: "bold red", Verdict.INCONCLUSIVE: "yellow"}


def needs(view: View) -> str:
    """What still has to happen before the step ends, in words."""
    pipeline, state = view.pipeline, view.state
    if state.phase is Phase.STARTING:
        return f"waiting for {view.wanted} ready canary process{'es' if view.wanted > 1 else ''}"
    missing = []
    if state.passes < pipeline.passes:
        missing.append(f"{pipeline.passes - state.passes} more PASS")
    if view.step_requests < pipeline.min_requests_step:
        missing.append(f"{pipeline.min_requests_step - view.step_requests} more canary requests")
    return f"the step needs {' and '.join(missing)}" if missing else "the step is about to end"


def check_line(result: CheckResult) -> str:
    return f"{result.name} {result.verdict}: {result.reason}"


def round_line(view: View) -> str:
    """The last round in one line: when, at which weight, the counts, each check with its figures."""
    counts = f"pass {view.passes}/{view.pipeline.passes} fail {view.state.fails_in_row}/{view.pipeline.fails} in a row"
    checks = "; ".join(check_line(r) for r in view.last.results) if view.last else ""
    return f"[{view.elapsed_s:6.1f}s] {percent(view.asked):>5} {view.last.verdict if view.last else ''} ({counts}) {checks}"


class LineView:
    """For a log: a line for each thing done and each round."""

    def __init__(self) -> None:
        self._seen: object = None

    def tick(self, view: View) -> None:
        if view.last is not None and view.last is not self._seen:
            self._seen = view.last
            say(round_line(view))

    def say(self, text: str) -> None:
        say(f"         {text}")


class LiveView:
    """For a terminal: one panel that is drawn anew and gone at the end; what was done and found scrolls by above it."""

    def __init__(self, pipeline: Pipeline) -> None:
        from rich.console import Console
        from rich.live import Live

        self._pipeline = pipeline
        self._seen: object = None
        self._live = Live(console=Console(stderr=True), refresh_per_second=8, transient=True)
        self._live.start()

    def tick(self, view: View) -> None:
        from rich.text import Text

        if view.last is not None and view.last is not self._seen:
            self._seen = view.last
            self._live.console.print(Text(round_line(view), style=COLOUR[view.last.verdict]))
        self._live.update(render(view))

    def say(self, text: str) -> None:
        from rich.text import Text

        self._live.console.print(Text(f"         {text}", style="dim"))

    def close(self) -> None:
        self._live.stop()


def render(view: View) -> RenderableType:
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    applied = percent(view.applied) if view.applied is not None else "unknown"
    alive = "unknown" if view.alive is None else str(view.alive)
    state, pipeline = view.state, view.pipeline
    facts = Table.grid(padding=(0, 2))
    facts.add_row("weight", f"asked {percent(view.asked)}, applied {applied}", "processes", f"{alive} of {view.wanted} alive")
    facts.add_row("requests", f"{view.step_requests} this step, {view.canary_requests} in all", "wrong answers", str(view.canary_errors))
    facts.add_row(
        "verdicts",
        f"pass {view.passes}/{pipeline.passes}, fail {state.fails_in_row}/{pipeline.fails} in a row ({state.fails_total} in all)",
        "next check",
        f"in {view.next_check_s:.0f} s",
    )
    title = f"{view.stream} · {view.version} · {view.elapsed_s:.0f} s"
    parts: list[RenderableType] = [_steps(view), facts, Text(needs(view), style="cyan")]
    if view.last is not None:
        parts.append(_checks(view))
    return Panel(Group(*parts), title=title, title_align="left", width=110)


def _steps(view: View) -> RenderableType:
    from rich.text import Text

    line = Text()
    for index, share in enumerate(view.pipeline.steps):
        mark, style = ("✔", "green") if index < view.state.step else (("▶", "bold cyan") if index == view.state.step else ("·", "dim"))
        line.append(f"{mark} {percent(share)}   ", style=style)
    return line


def _checks(view: View) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    kinds = {c.name: c.kind for c in view.pipeline.checks}
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for column in ("check", "verdict", "canary", "stable", "bound", "why"):
        table.add_column(column, overflow="fold")
    for result in view.last.results if view.last else ():
        kind = kinds.get(result.name)
        shown = [show_figure(kind, v) for v in (result.canary, result.stable, result.bound)]
        table.add_row(result.name, Text(result.verdict, style=COLOUR[result.verdict]), *shown, result.reason)
    return table


def show_figure(kind: CheckKind | None, value: float | None) -> str:
    if value is None:
        return "-"
    if kind in (CheckKind.ERROR_RATIO, CheckKind.REFUSED_RATIO):
        return f"{value:.2%}"
    return f"{value * 1000:.3g} ms" if kind is CheckKind.LATENCY else f"{value:g}"
