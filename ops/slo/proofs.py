"""From a spec to the tests of its rules, as files that `promtool test rules` runs.

    tests/xdemo-01.test.yaml          rules every minute: open, close, zones, outages, days, faults, money
    tests/xdemo-01-spike.test.yaml    rules every 15 s: the alert on the last slice
    tests/xdemo-01-days.test.yaml     rules every 5 minutes: a whole day, the end of a month

and so on for each file of 25 SLOs. The clock's rule is left out and the clock is fed as a series, so that a test can be on any day: days
are found in the venue's calendar (proof_moments.py), its figures worked out in Python (proof_stage.py), not taken from the rules.

promtool evaluates all groups at one interval, whatever they say themselves; the three files are the three intervals at which something can
be shown. It ends a query at 10,000 samples, which bounds the length of a block. It starts at 1970 and compares values exactly: hence the
rounding in every expression.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ops import conventions as names
from ops.slo import alerts, rules
from ops.slo import proof_scenes as scenes
from ops.slo.model import NoData, Slo, Spec, Terms
from ops.slo.proof_claims import Claim, Claims, Shard
from ops.slo.proof_moments import Moments, find
from ops.slo.proof_scenes import Scene, Skip
from ops.slo.proof_stage import Stage
from ops.slo.rulefile import duration
from ops.slo.scenarios import STEP_S, Judge, Member, length, members, values

SLOS_PER_FILE = rules.SLOS_PER_FILE
Writer = Callable[[Spec, Moments], Iterator[Scene | Skip]]
PARTS: tuple[tuple[str, int, Writer], ...] = (
    ("", 60, scenes.every_minute),
    ("-spike", 15, scenes.every_quarter),
    ("-days", 300, scenes.every_five),
)


def test_files(spec: Spec, header: str = "") -> Mapping[str, str]:
    """The files by name, 'tests/xdemo-01.test.yaml' first. `header` is one line without its '# '."""
    moments = find(spec.calendar)
    slos = [spec.slos[start : start + SLOS_PER_FILE] for start in range(0, len(spec.slos), SLOS_PER_FILE)]
    alike = _alike(spec)
    casts = [Cast(spec, each, alike) for each in slos]
    found: dict[str, str] = {}
    for part, step_s, write in PARTS:
        told = [Told(scene) if isinstance(scene, Scene) else _left_out(scene) for scene in write(spec, moments)]
        for number, cast in enumerate(casts, 1):
            lines = [f"# {header}"] if header else []
            lines += _head(spec, number, step_s)
            lines += cast.unfed()
            for block in told:
                lines += block.lines(cast) if isinstance(block, Told) else [block]
            found[f"tests/{spec.exchange.lower()}-{number:02}{part}.test.yaml"] = "\n".join(lines) + "\n"
    return found


def _alike(spec: Spec) -> Mapping[str, int]:
    """SLOs that are judged and promised alike have the same number."""
    promises: dict[tuple[Terms, ...], int] = {}
    number = {
        policy.name: promises.setdefault(tuple(terms for _, terms in sorted(policy.terms.items())), len(promises))
        for policy in spec.policies
    }
    seen: dict[tuple[Judge, int], int] = {}
    return {slo.name: seen.setdefault((Judge.of(slo), number[slo.policy.name]), len(seen)) for slo in spec.slos}


class Cast:
    """The SLOs of one file, with their series."""

    def __init__(self, spec: Spec, slos: Sequence[Slo], alike: Mapping[str, int]) -> None:
        self.spec, self._slos, self._alike = spec, slos, alike
        self._shards: dict[tuple[int, int], Shard] = {}

    def shard(self, groups: int, half: int) -> Shard:
        """With up to so many groups an SLO; all broken, or (1, 2) one half of them."""
        key = (groups, half)
        if key not in self._shards:
            fed = [(slo, members(slo, self.spec.exchange, groups)) for slo in self._slos]
            found = tuple(member for _, own in fed for member in own)
            down = _half(found, half) if half else frozenset(slo.name for slo in self._slos)
            others = [slo for slo, own in fed if not own]
            self._shards[key] = Shard(
                found,
                self._alike,
                down,
                tuple(slo.name for slo in others),
                all_groups=not half,
                is_spoilt=any(slo.no_data is NoData.BAD for slo in others),
                is_part=len(self.spec.slos) > len(self._slos),
            )
        return self._shards[key]

    def unfed(self) -> list[str]:
        """A line about the SLOs of which nothing is claimed."""
        names_of = ", ".join(self.shard(1, 0).others)
        return [f"  # Nothing is claimed of {names_of}: an expression of one's own cannot be fed."] if names_of else []


class Told:
    """A scene as text. What does not name SLOs is written once for all files whose SLOs are of the same kinds."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._known: dict[tuple[object, ...], list[tuple[int, str]]] = {}
        self._stage: Stage | None = None
        self._clock = _input(_single_quoted(names.SERIES_CLOCK), _clock(scene))

    def lines(self, cast: Cast) -> Iterator[str]:
        """The block for one file."""
        scene, spec = self._scene, cast.spec
        if self._stage is None:
            self._stage = Stage(spec, scene.start_s, scene.step_s, scene.down, scene.up, scene.high, scene.override, scene.has_clock)
        shard = cast.shard(scene.groups, scene.half)
        claims = sorted(self._claims(self._stage, shard), key=lambda pair: pair[0])
        if not claims or not shard.down:
            yield _left_out(
                Skip(scene.name, "nothing can be foretold of the SLOs of this file" if shard.down else "all SLOs share a metric")
            )
            return
        yield f"  # {scene.says}"
        yield f'  - name: "{scene.name}, from {spec.calendar.to_local(scene.start_s):%Y-%m-%d %H:%M %Z}"'
        yield f"    interval: {duration(STEP_S)}"
        yield "    input_series:"
        yield self._clock
        yield from _inputs(spec, shard, scene)
        yield "    promql_expr_test:"
        yield from (text for _, text in claims)

    def _claims(self, stage: Stage, shard: Shard) -> list[tuple[int, str]]:
        kinds = (shard.others, *((key, len(found)) for key, found in shard.classes.items()))
        if kinds not in self._known:
            self._known[kinds] = _claimed(stage, shard, (claims for claims in self._scene.claims if not claims.named))
        return self._known[kinds] + _claimed(stage, shard, (claims for claims in self._scene.claims if claims.named))


def _claimed(stage: Stage, shard: Shard, told: Iterable[Claims]) -> list[tuple[int, str]]:
    return [(claim.at_s, _claim(claim)) for claims in told for claim in claims.tell(stage, shard)]


def _left_out(scene: Skip) -> str:
    return f"  # Left out: {scene.name}, because {scene.reason}."


def _head(spec: Spec, number: int, step_s: int) -> list[str]:
    name = spec.exchange.lower()
    sli, burn = f"{name}-sli-{number:02}", f"{name}-burn-{(number - 1) * SLOS_PER_FILE // alerts.SLOS_PER_FILE + 1:02}"
    files = (f"{name}-calendar.rules.yaml", f"{sli}.rules.yaml", f"{name}-slo.rules.yaml", f"{burn}.rules.yaml")
    groups = (f"{name}-calendar", sli, f"slo-{name}-windows", burn, f"slo-{name}-month")
    return [
        "rule_files:",
        *(f"  - ../{file}" for file in files),
        f"evaluation_interval: {duration(step_s)}",
        f"group_eval_order: [{', '.join(groups)}]",
        "tests:",
    ]


def _half(found: Iterable[Member], half: int) -> frozenset[str]:
    """Every second set of SLOs that share no metric with the others: breaking one leaves the others alone."""
    sets: list[tuple[set[str], set[str]]] = []
    for member in found:
        metrics, slos = {series.name.split("{")[0] for series in member.series}, {member.slo.name}
        apart = []
        for others in sets:
            if others[0] & metrics or others[1] & slos:
                metrics, slos = metrics | others[0], slos | others[1]
            else:
                apart.append(others)
        sets = [*apart, (metrics, slos)]
    return frozenset(name for _, slos in sets[half - 1 :: 2] for name in slos)


def _inputs(spec: Spec, shard: Shard, scene: Scene) -> Iterator[str]:
    steps = length(scene.down)
    volatility = spec.calendar.volatility
    if volatility is not None:
        index = volatility.above + 1 if scene.high else min(volatility.calm, volatility.above) - 1
        yield _input(_single_quoted(volatility.metric), f"{index:g}+0x{steps}")
    if scene.override is not None:
        yield _input(_single_quoted(f'{names.SERIES_ZONE_OVERRIDE}{{exchange="{spec.exchange}"}}'), f"{scene.override:d}+0x{steps}")
    told: dict[str, str] = {}
    timelines = {True: scene.down, False: scene.up}
    texts: dict[tuple[str, bool], str] = {}
    for member, is_down in shard.fates:
        for series in member.series:
            role = series.role
            if role == scene.without or (role == "total" and series.name in told):
                continue
            if (role, is_down) not in texts:
                texts[role, is_down] = values(role, timelines[is_down], scene.start_s)
            told[series.name] = texts[role, is_down]
    for name, text in told.items():
        yield f"      - {{series: {name}, values: '{text}'}}"


def _single_quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _input(name: str, text: str) -> str:
    return f"      - {{series: {name}, values: '{text}'}}"


def _clock(scene: Scene) -> str:
    """The venue's time for as long as the scene has a clock; 'stale' ends it at once."""
    leaps = [scene.down[0].leap_s]
    for segment in scene.down:
        leaps += [segment.leap_s] * segment.steps
    has_clock = scene.has_clock
    shown = [leap if has_clock(at_s) else None for at_s, leap in zip(range(0, len(leaps) * STEP_S, STEP_S), leaps, strict=True)]
    parts, at = [], 0
    for leap, run in itertools.groupby(shown):
        more = len(list(run)) - 1
        if leap is not None:
            parts.append(f"{scene.start_s + leap + at * STEP_S}+{STEP_S}x{more}")
        else:
            parts.append(("stale" if at else "_") + (f" _x{more}" if more else ""))
        at += more + 1
    return " ".join(parts)


def _claim(claim: Claim) -> str:
    lines = [f"      - expr: {_single_quoted(claim.expr)}", f"        eval_time: {duration(claim.at_s)}"]
    if claim.samples:
        lines.append("        exp_samples:")
        lines += [f"          - {{labels: {_single_quoted(labels)}, value: {value}}}" for labels, value in claim.samples]
    else:
        lines.append("        exp_samples: []")
    return "\n".join(lines)
