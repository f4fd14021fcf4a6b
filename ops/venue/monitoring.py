"""What a venue's Prometheus and Alertmanager are told: copies of the declared rules, two configuration files, and a reload when
any of it changed under a process that runs.

Rules are copied into the state folder, so that a file saved half-way, or a checkout of another branch, is not what a restarted
Prometheus finds: only `opsctl up` brings new rules in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops import render
from ops.errors import Unavailable, UsageError
from ops.venue import webhooks
from ops.venue.files import write_durably
from ops.venue.model import ALERTMANAGER, PROMETHEUS, Layout, Site, Venue

GENERATED, RULES_END, PART_END = "generated", ".rules.yaml", "-alertmanager.yaml"
PART_KEYS = ("routes", "inhibit_rules", "time_intervals")
RELOAD_S, POLL_S, ANSWER_S = 20.0, 0.05, 2.0
LOG_LINES = 4
_GENERATE = "run `opsctl slo generate`, then `opsctl up` again"
_EXCHANGE = re.compile(r'\bexchange(?:=|: )\\?"([^"\\]+)\\?"')
"""As generated rules name their exchange: in a selector, or as a label."""


@dataclass(frozen=True, slots=True)
class Files:
    """Everything that is to lie in the state folder."""

    texts: Mapping[Path, str]
    foreign: tuple[str, ...]
    """Other exchanges that the rules name: this Prometheus has no series of theirs by itself."""


def gather(venue: Venue, layout: Layout, alerts: Path, slo: Path) -> Files:
    """What the files have to say now. Raises UsageError when rules are missing: silence must not look like health."""
    own = _read(alerts.glob("*.yaml"))
    if not own:
        raise UsageError(f"{alerts} holds no alert rules (*.yaml)", hint="a venue without alerts is not started; name their folder")
    folder = slo / GENERATED
    generated = _read(folder.glob(f"*{RULES_END}"))
    if not generated:
        raise UsageError(f"{folder} holds no generated rules (*{RULES_END}): nobody would be told that an SLO is broken", hint=_GENERATE)
    exchanges = {name for text in generated.values() for name in _EXCHANGE.findall(text)}
    if venue.exchange not in exchanges:
        named = ", ".join(sorted(exchanges)) or "no exchange"
        raise UsageError(
            f"the generated rules in {folder} are for {named}, none is for this venue, {venue.exchange}",
            hint=f"write a spec with `exchange: {venue.exchange}` in {slo} (`opsctl slo init`), then {_GENERATE}",
        )
    rules = {layout.rules / f"alerts-{name}": text for name, text in own.items()}
    rules |= {layout.rules / f"slo-{name}": text for name, text in generated.items()}
    texts = rules | {
        layout.prometheus / "prometheus.yml": prometheus_text(venue, layout, rules),
        layout.alertmanager / "alertmanager.yml": alertmanager_text(venue, _read(folder.glob(f"*{PART_END}"))),
    }
    return Files(texts, tuple(sorted(exchanges - {venue.exchange})))


def _read(paths: Iterable[Path]) -> dict[str, str]:
    try:
        return {path.name: path.read_text(encoding="utf-8") for path in sorted(paths)}
    except (OSError, ValueError) as error:
        raise UsageError(f"a rule file cannot be read: {error}") from error


def prometheus_text(venue: Venue, layout: Layout, rules: Iterable[Path]) -> str:
    """prometheus.yml."""
    jobs = [("core", venue.ports.core_admin), *([("probe", venue.ports.probe)] if venue.ports.probe else [])]
    return render.render(
        "prometheus.yml.j2", jobs=jobs,
        rule_files=sorted(rules), targets=layout.targets, ports=venue.ports, env=venue.env, exchange=venue.exchange,
    )  # fmt: skip


def alertmanager_text(venue: Venue, parts: Mapping[str, str]) -> str:
    """alertmanager.yml: the generated parts of every spec, and the venue's own routes and receivers."""
    import yaml  # noqa: PLC0415 - only `up` reads parts

    merged: dict[str, list[Any]] = {key: [] for key in PART_KEYS}
    for name, text in parts.items():
        try:
            part = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UsageError(f"{name} is no YAML: {error}", hint=_GENERATE) from error
        for key, values in _lists(name, part).items():
            merged[key] += values
    names = [interval.get("name") for interval in merged["time_intervals"] if isinstance(interval, dict)]
    if twice := sorted({str(name) for name in names if names.count(name) > 1}):
        raise UsageError(f"two specs define the time interval {', '.join(twice)}", hint="give each exchange one spec")
    blocks = {key: yaml.safe_dump(values, sort_keys=False, width=10**6) if values else "" for key, values in merged.items()}
    receivers = {"page": webhooks.receiver(venue.webhooks.page), "ticket": webhooks.receiver(venue.webhooks.ticket)}
    return render.render("alertmanager.yml.j2", receivers=receivers, quoted=json.dumps, **blocks)


def _lists(name: str, part: object) -> dict[str, list[Any]]:
    if not isinstance(part, dict) or not set(part) <= set(PART_KEYS) or not all(isinstance(value, list) for value in part.values()):
        raise UsageError(f"{name}: expected lists under {', '.join(PART_KEYS)}, and nothing else", hint=_GENERATE)
    return part


def write(layout: Layout, files: Files) -> dict[Path, str | None]:
    """Put the files in their places; returns what stood in those that changed (None: nothing did). Rule files of no use go away."""
    before = {path: path.read_text(encoding="utf-8") if path.exists() else None for path in files.texts}
    before |= {path: path.read_text(encoding="utf-8") for path in layout.rules.glob("*.yaml") if path not in files.texts}
    changed = {path: text for path, text in before.items() if text != files.texts.get(path)}
    _put({path: files.texts.get(path) for path in changed})
    return changed


def _put(texts: Mapping[Path, str | None]) -> None:
    """Rules before the file that names them, and away only after it does not."""
    for path, text in sorted(texts.items(), key=lambda item: (item[1] is None, item[0].suffix == ".yml")):
        if text is None:
            path.unlink(missing_ok=True)
        else:
            write_durably(path, text)


def reload_changed(site: Site, venue: Venue, changed: Mapping[Path, str | None]) -> tuple[str, ...]:
    """Each of the two that has not read its files since they were written does so now. `changed` is what `write` returned.

    A file's own time decides, not `changed`: an `up` that was killed before the reload is made good by the next one. Raises UsageError
    when the files are refused; what stood there before is put back, and in force.
    """
    layout, ports = site.layout, venue.ports
    notes = []
    for name, port, folder in ((PROMETHEUS, ports.prometheus, layout.prometheus), (ALERTMANAGER, ports.alertmanager, layout.alertmanager)):
        files = [path for path in (*folder.glob("*.yml"), *folder.glob("rules/*.yaml"))]
        newest_s = max((path.stat().st_mtime for path in (*files, layout.rules) if folder in path.parents), default=0.0)
        found = _last_reload(site, name, port)
        if found is None:
            notes.append(f"{name} does not say whether it has read its files: `opsctl up` asks again")
        if found is None or found[1] > newest_s:
            continue
        if not _reread(site, name, port, newest_s):
            mine = {path: text for path, text in changed.items() if folder in path.parents}
            raise _refused(site, name, port, mine)
        count = sum(folder in path.parents for path in changed)
        notes.append(f"{name} took over {count} changed file{'s' * (count != 1)}" if count else f"{name} read its files again")
    return tuple(notes)


def _reread(site: Site, name: str, port: int, newest_s: float) -> bool:
    """Whether the program took the files. Raises Unavailable when it does not say within RELOAD_S."""
    failed_before = (_last_reload(site, name, port) or (True, 0.0))[0] is False
    site.supervisor.reread(name)
    end_s = site.clock.monotonic_s() + RELOAD_S
    while site.clock.monotonic_s() < end_s:
        found = _last_reload(site, name, port)
        if found and found[0] and found[1] > newest_s:
            return True
        if found and not found[0] and not failed_before:
            return False
        site.clock.sleep(POLL_S)
    if failed_before:
        return False
    raise Unavailable(f"{name} did not say within {RELOAD_S:g} s whether it took its new files", hint=f"opsctl logs {name}")


def _last_reload(site: Site, name: str, port: int) -> tuple[bool, float] | None:
    """Whether the last reload went well, and when the last good one was (Unix seconds); None when there is no answer."""
    answer = site.host.answer(port, "/metrics", ANSWER_S)
    if answer is None or answer[0] != 200:
        return None
    text = answer[2].decode("utf-8", errors="replace")
    good = re.search(rf"^{name}_config_last_reload_successful (\S+)$", text, re.MULTILINE)
    at = re.search(rf"^{name}_config_last_reload_success_timestamp_seconds (\S+)$", text, re.MULTILINE)
    return (float(good[1]) == 1, float(at[1])) if good and at else None


def _refused(site: Site, name: str, port: int, changed: Mapping[Path, str | None]) -> UsageError:
    errors = [line for line in site.host.tail(site.layout.output_of(name), 50) if '"level":"error"' in line][-LOG_LINES:]
    lines = "\n".join(f"  | {line}" for line in errors) or "  | (nothing)"
    if not changed:
        return UsageError(f"{name} does not take its files:\n{lines}", hint="correct the rules, then `opsctl up` again")
    _put(changed)
    newest_s = max((path.stat().st_mtime for path, text in changed.items() if text is not None), default=0.0)
    again = "the old ones are in force" if _reread(site, name, port, newest_s) else "it does not take the old ones either"
    return UsageError(f"{name} does not take the new files; {again}:\n{lines}", hint="correct the rules, then `opsctl up` again")
