"""pipelines/*.yaml -> Pipeline. Every refusal names file, line, field and what to write instead."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from ops.deploy.decide import percent
from ops.deploy.model import Check, CheckKind, Pipeline
from ops.errors import UsageError
from ops.specs import Section, load, parse_percent


def parse_canary(text: str) -> Fraction:
    """The value of --canary: a percentage with its sign, above 0 % and at most 100 %. Raises UsageError."""
    try:
        share = parse_percent(text)
    except ValueError as error:
        raise UsageError(f"--canary: {error}") from error
    if not 0 < share <= 1:
        raise UsageError(f"--canary: {text} is outside what a canary can have: above 0% and at most 100%", hint="try --canary 1%")
    return share


def read_pipeline(path: Path) -> Pipeline:
    """Raises UsageError."""
    root = load(path)
    least, confidence = root.section("min_requests"), root.percent("confidence", "99%")
    if not Fraction(1, 2) < confidence < 1:
        raise root.error("confidence", "must be above 50% and below 100%")
    pipeline = Pipeline(
        name=root.text("name"),
        steps=_steps(root),
        interval_s=root.duration_s("interval", 0.5, 3600),
        max_window_s=root.duration_s("max_window", 5, 86400, "5m"),
        passes=root.integer("passes", 1, 1000),
        fails=root.integer("fails", 1, 100),
        min_requests_check=least.integer("per_check", 1, 10**9),
        min_requests_step=least.integer("per_step", 1, 10**9),
        blind_after_s=root.duration_s("blind_after", 1, 86400),
        step_timeout_s=root.duration_s("step_timeout", 1, 7 * 86400),
        ready_timeout_s=root.duration_s("ready_timeout", 1, 3600),
        lease_s=root.duration_s("lease", 2, 60),
        confidence=float(confidence),
        checks=tuple(_check(section) for section in root.sections("checks")),
    )
    least.done()
    root.done()
    _consistent(root, pipeline)
    return pipeline


def with_canary(pipeline: Pipeline, share: Fraction | None) -> Pipeline:
    """`--canary` is the first step; the pipeline's larger steps follow it."""
    if share is None:
        return pipeline
    return replace(pipeline, steps=(share, *(s for s in pipeline.steps if s > share)))


def _steps(root: Section) -> tuple[Fraction, ...]:
    steps = []
    for index, text in enumerate(root.texts("steps")):
        try:
            steps.append(parse_percent(text))
        except ValueError as error:
            raise root.error("steps", f"entry {index + 1}: {error}") from error
    if not steps:
        raise root.error("steps", "needs at least one step")
    if not all(0 < s <= 1 for s in steps):
        raise root.error("steps", "each step must be above 0% and at most 100%")
    if any(b <= a for a, b in pairwise(steps)):
        raise root.error("steps", f"must rise: {', '.join(percent(s) for s in steps)} does not")
    if steps[-1] != 1:
        raise root.error("steps", f"must end at 100%, not at {percent(steps[-1])}")
    return tuple(steps)


def _check(section: Section) -> Check:
    kind = CheckKind(section.choice("kind", tuple(CheckKind)))
    name = section.text("name")
    if kind is CheckKind.ERROR_RATIO:
        check = Check(name, kind, float(section.percent("max")), float(section.percent("worse_than_stable", "0.5%")))
        if not 0 < check.max < 1:
            raise section.error("max", "must be above 0% and below 100%")
    elif kind is CheckKind.REFUSED_RATIO:
        check = Check(name, kind, 1.0, float(section.percent("worse_than_stable", "5%")))
    else:
        quantile = section.percent("quantile", "99%")
        if not Fraction(1, 2) <= quantile < 1:
            raise section.error("quantile", "must be at least 50% and below 100%")
        check = Check(
            name,
            kind,
            max=section.duration_s("max", 0.000005, 10),
            worse_than_stable=section.factor("worse_than_stable", 1.0, 1000.0, "3"),
            by_at_least=section.duration_s("by_at_least", 0, 10, "25ms"),
            quantile=float(quantile),
        )
    section.done()
    return check


def _consistent(root: Section, pipeline: Pipeline) -> None:
    if pipeline.max_window_s < 2 * pipeline.interval_s:
        raise root.error("max_window", "must be at least two intervals, or no round ever sees new requests")
    if pipeline.blind_after_s < 2 * pipeline.interval_s:
        raise root.error("blind_after", "must be at least two intervals, or every release is blind")
    names = [c.name for c in pipeline.checks]
    if len(set(names)) != len(names):
        raise root.error("checks", "two checks have the same name")
