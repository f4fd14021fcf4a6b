"""docs/api.md and docs/metrics.md say what the code does."""

import re
from pathlib import Path

import pytest
from venue_parts import FakeCore, running_gateway

from engine import conventions
from engine.core.metrics import registry
from engine.gateway.errors import ERROR_CODES
from engine.probe.metrics import ProbeMetrics

DOCS = Path(__file__).parents[2] / "docs"
API = (DOCS / "api.md").read_text()
METRICS = (DOCS / "metrics.md").read_text()
NAMES = [value for value in vars(conventions).values() if isinstance(value, str) and value.startswith("exchange_")]
STATS = dict.fromkeys(("commands", "queue_depth", "written_seq_num", "durable_seq_num", "last_tick_ns", "log_healthy"), 1)


@pytest.mark.parametrize("code", sorted(ERROR_CODES))
def test_every_error_code_is_documented_with_its_status(code):
    assert f"| {ERROR_CODES[code]} | `{code}` |" in API


def test_no_error_code_is_documented_that_does_not_exist():
    assert {code for _, code in re.findall(r"^\| (\d{3}) \| `(\w+)` \|", API, re.M)} <= ERROR_CODES.keys()


@pytest.mark.parametrize("name", NAMES)
def test_every_metric_is_documented(name):
    assert f"| `{name}` |" in METRICS


@pytest.mark.parametrize("route", conventions.ROUTES)
def test_every_route_is_documented(route):
    assert f"`{route}`" in METRICS


async def test_what_the_processes_show_is_what_is_documented(keys):
    """Name, type and labels, from the registries themselves."""
    rows = re.findall(r"^\| `(exchange_\w+)` \| (\w+) \|([^|]*)\| (\w+) \|", METRICS, re.M)
    documented = {(name, kind, where) for name, kind, _, where in rows}
    labels = {name: set(re.findall(r"`(\w+)`", cell)) for name, _, cell, _ in rows}
    async with FakeCore() as fake, running_gateway(fake.port, keys.path) as gateway:
        shown = {"gateway": list(gateway.metrics._registry.collect()), "core": list(registry(lambda: STATS).collect())}
    shown["probe"] = list(ProbeMetrics(1.0, lambda: 0.0)._registry.collect())
    assert {name for name, _, _ in documented} == set(NAMES)
    for where, families in shown.items():
        for family in families:
            name = family.name + ("_total" if family.type == "counter" else "")
            assert {(name, family.type, where), (name, family.type, "both")} & documented
            assert {label for sample in family.samples for label in sample.labels} - {"le"} <= labels[name]
