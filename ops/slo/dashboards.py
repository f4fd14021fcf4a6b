"""Grafana dashboards of a venue: one for who operates it, one for who answers for its money. Two files a venue, however many SLOs it has:
panels name no SLO, they take labels, and lists are cut to the worst twenty.

A dashboard reads only what generated rules record (ops/conventions.py) and what the venue shows (engine/conventions.py), besides `up` and
`ALERTS`, which Prometheus has of itself. Panel ids are written down, not counted: a link to a panel outlives the insertion of another.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ops.slo.dashboard_panels import MANAGERS, OPERATORS, Panel, Query, of_managers, of_operators
from ops.slo.model import Spec

__all__ = ["COLUMNS", "files"]

COLUMNS = 24
SCHEMA_VERSION = 38
"""Grafana 9.5 and newer; newer ones migrate it on load."""
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Dashboard:
    name: str
    title: str
    purpose: str
    panels: tuple[Panel, ...]
    since: str
    refresh: str


def files(specs: Iterable[Spec]) -> dict[str, str]:
    """Path below the generated folder -> JSON text, such as 'dashboards/xdemo-operators.json'."""
    made: dict[str, str] = {}
    for spec in specs:
        for dashboard in (
            Dashboard("operators", OPERATORS, "What is happening, what it costs, whom to look at.", of_operators(spec), "now-3h", "15s"),
            Dashboard("managers", MANAGERS, "What is left of the month, where it went.", of_managers(spec), "now-30d", "5m"),
        ):
            path = f"dashboards/{spec.exchange.lower()}-{dashboard.name}.json"
            made[path] = json.dumps(_dashboard(spec, dashboard), indent=1, ensure_ascii=False) + "\n"
    return made


def _dashboard(spec: Spec, dashboard: Dashboard) -> dict[str, Any]:
    return {
        "uid": f"opsctl-{spec.exchange.lower()[:20]}-{dashboard.name}",
        "title": f"{spec.exchange}: {dashboard.title}",
        "description": f"{dashboard.purpose} Made by opsctl slo generate from {spec.path.name}; what is changed here is lost.",
        "tags": ["opsctl", "slo", spec.exchange.lower()],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "timezone": spec.calendar.timezone,
        "time": {"from": dashboard.since, "to": "now"},
        "refresh": dashboard.refresh,
        "templating": {"list": _variables(spec)},
        "annotations": {"list": []},
        "links": [],
        "panels": list(_placed(dashboard.panels)),
    }


def _variables(spec: Spec) -> list[dict[str, Any]]:
    asked = {"type": "query", "datasource": SOURCE, "refresh": 2, "sort": 1, "regex": ""}
    exchange = {"text": spec.exchange, "value": spec.exchange, "selected": True}
    every = {"text": ["All"], "value": ["$__all"], "selected": True}
    venues = "label_values(exchange_zone:now:info, exchange)"
    slos = 'label_values(slo:bad:ratio{exchange="$exchange"}, slo)'
    return [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "refresh": 1},
        {"name": "exchange", "label": "Venue", "query": venues, "definition": venues, "current": exchange, **asked},
        {
            "name": "slo",
            "label": "SLO",
            "query": slos,
            "definition": slos,
            "current": every,
            "multi": True,
            "includeAll": True,
            "allValue": ".+",
            **asked,
        },
    ]


def _placed(panels: Sequence[Panel]) -> Iterable[dict[str, Any]]:
    """From left to right, a new line where the next one does not fit, as high as its highest."""
    x = y = height = 0
    for panel in panels:
        if x + panel.width > COLUMNS:
            x, y, height = 0, y + height, 0
        yield _panel(panel, {"x": x, "y": y, "w": panel.width, "h": panel.height})
        x, height = x + panel.width, max(height, panel.height)


def _panel(panel: Panel, place: Mapping[str, int]) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "noValue": panel.no_value,
        "color": {"mode": "thresholds" if panel.kind != "timeseries" else "palette-classic"},
        "thresholds": {"mode": "absolute", "steps": [{"value": bound, "color": color} for bound, color in panel.thresholds]},
        "mappings": [{"type": "value", "options": {key: _meaning(*meaning) for key, meaning in panel.meanings}}] if panel.meanings else [],
    }
    if panel.kind == "gauge":
        defaults |= {"min": 0, "max": 1}
    if panel.kind == "timeseries":
        has_bounds = len(panel.thresholds) > 1
        defaults["custom"] = {"lineWidth": 1, "fillOpacity": 5, "thresholdsStyle": {"mode": "dashed" if has_bounds else "off"}}
        defaults["min"] = panel.least
    return {
        "id": panel.id,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": dict(place),
        "fieldConfig": {"defaults": {key: value for key, value in defaults.items() if value is not None}, "overrides": []},
        "options": _options(panel),
        "targets": [_target(panel, query, n) for n, query in enumerate(panel.queries)],
    } | ({"transformations": _columns(panel)} if panel.kind == "table" else {})


def _meaning(text: str, color: str) -> dict[str, str]:
    return {"text": text, "color": color}


def _target(panel: Panel, query: Query, number: int) -> dict[str, Any]:
    at_once = panel.kind in ("stat", "table", "bargauge", "gauge")
    return {
        "refId": chr(ord("A") + number),
        "datasource": SOURCE,
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "instant": at_once,
        "range": not at_once,
        "format": "table" if panel.kind == "table" else "time_series",
    }


def _options(panel: Panel) -> dict[str, Any]:
    last = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    if panel.kind == "stat":
        return {"reduceOptions": last, "colorMode": "background", "graphMode": "none", "textMode": "auto", "justifyMode": "center"}
    if panel.kind in ("bargauge", "gauge"):
        return {"reduceOptions": last, "orientation": "horizontal", "displayMode": "basic", "showThresholdMarkers": True}
    if panel.kind == "state-timeline":
        return {"mergeValues": True, "showValue": "never", "rowHeight": 0.9, "legend": {"showLegend": True, "displayMode": "list"}}
    if panel.kind == "table":
        return {"showHeader": True, "sortBy": [{"displayName": panel.sorted_by, "desc": True}] if panel.sorted_by else []}
    legend = {"showLegend": True, "displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}
    return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}


def _columns(panel: Panel) -> list[dict[str, Any]]:
    hidden = {"Time": True, "__name__": True, "exchange": True, "policy": True}
    renamed = {"Value": panel.sorted_by} if panel.sorted_by else {}
    return [{"id": "organize", "options": {"excludeByName": hidden, "renameByName": renamed}}]
