"""From the break to the page at the webhook: real Prometheus, Alertmanager and HTTP, scrapes of 15 s, many venues side by side.

Each venue is an exchange of its own with one target, so that its pages are not grouped with another's. Prometheus spreads scrapes and
rule groups over their interval by a hash, so the venues have different phases; the breaks are spread over 15 s as well.
"""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import yaml

from tests.bench.bed import need, until
from tests.bench.report import PartResults
from tests.bench.slo_bed import WEEK, Declared, alertmanager, prometheus, spec_text
from tests.bench.slo_exporter import Exporter, Source

OUTAGES, TENTHS, DEATHS, BURSTS, NIGHTS = 24, 12, 12, 6, 3
SCRAPE_S = 15.0
WARM_UP_S = 150.0
WAIT_S = 150.0


def measure(results: PartResults, folder: Path) -> None:
    declared = Declared(folder)
    began = time.time()
    opens = (datetime.fromtimestamp(began + WARM_UP_S, UTC)).replace(second=0, microsecond=0)
    ahead = 12 - opens.hour  # a time zone in which it is noon: the session opens there, and lasts to midnight
    local = opens.astimezone(timezone(timedelta(hours=ahead)))
    declared.calendar("opening", f"{local:%H:%M}", "24:00", timezone=f"Etc/GMT{-ahead:+d}" if ahead else "UTC")
    declared.calendar("night", "09:00", "17:00", days=[WEEK[(opens.weekday() + 3) % 7]])
    sources: dict[str, Source] = {}

    def venue(kind: str, count: int, calendar: str, objective: str, **source: float) -> list[str]:
        names = [f"{kind}{number:02d}" for number in range(count)]
        for name in names:
            declared.spec(spec_text(name, ["requests"], calendar, objective))
            sources[name] = Source(began_s=began - 600, **source)  # type: ignore[arg-type]
        return names

    outages = venue("XOUT", OUTAGES, "open", "99.9%", rate=20)
    tenths = venue("XTEN", TENTHS, "open", "99.9%", rate=1)
    deaths = venue("XDIE", DEATHS, "open", "99.9%", rate=20)
    bursts = venue("XBUR", BURSTS, "opening", "99.9%", rate=100)
    nights = venue("XNIG", NIGHTS, "night", "99.9%", rate=0)
    declared.generate()
    base = began + WARM_UP_S + 30
    for number, name in enumerate(outages):
        sources[name].from_s = base + number * SCRAPE_S / OUTAGES
    for number, name in enumerate(tenths):
        sources[name].from_s, sources[name].share = base + number * SCRAPE_S / TENTHS, 0.1
    for number, name in enumerate(deaths):
        sources[name].dies_s = base + number * SCRAPE_S / DEATHS
    for number, name in enumerate(bursts):
        sources[name].from_s = opens.timestamp() + 60 + number * SCRAPE_S / BURSTS
        sources[name].to_s = sources[name].from_s + 1
    for number, name in enumerate(nights):
        at_s = began + 60 + number * 5
        sources[name].singles = ((at_s, False), (at_s + 60, True), (at_s + 120, False))
    results.say(f"{len(sources)} venues, {WARM_UP_S + 30:.0f} s of health, then the breaks")
    part = _parts(declared)
    with (
        Exporter(sources) as exporter,
        alertmanager(folder / "am", part, f"http://127.0.0.1:{exporter.port}/page") as am_port,
        prometheus(
            folder / "prom", declared.rule_files(),
            {name: (name, f"127.0.0.1:{exporter.port}/metrics/{name}") for name in sources}, am_port,
        ) as server,
    ):  # fmt: skip
        until(lambda: time.time() > base - 5, "the warm-up", WARM_UP_S + 60, 0.5)
        early = [name for name in (*outages, *tenths, *deaths) if exporter.pages(name, 0)]
        need(not early, f"paged before anything broke: {early[:5]}")
        zones = server.ask('exchange_zone:now:info{exchange=~"XOUT.*"}')
        need({row["metric"]["zone"] for row in zones} == {"1"}, "the venues are not in zone 1")
        results.say("the breaks")
        paged = {name: False for name in (*outages, *tenths, *deaths)}
        until(lambda: all(exporter.pages(n, 0) for n in paged) or time.time() > base + WAIT_S, "pages", WAIT_S + 60, 0.2)
        until(lambda: time.time() > base + 75, "the burst's last windows", 120, 0.5)
    _tell(results, exporter, sources, outages, tenths, deaths, [*bursts, *nights])


def _parts(declared: Declared) -> dict[str, list[object]]:
    whole: dict[str, list[object]] = {"routes": [], "inhibit_rules": [], "time_intervals": []}
    for path in sorted(declared.generated.glob("*alertmanager.yaml")):
        for key, value in yaml.safe_load(path.read_text()).items():
            whole[key] += [item for item in value if item not in whole[key]]
    need(whole["routes"], "no generated routes")
    return whole


def _tell(
    results: PartResults, exporter: Exporter, sources: dict[str, Source], outages: list[str], tenths: list[str], deaths: list[str],
    silent: list[str],
) -> None:  # fmt: skip
    def seconds(names: list[str]) -> list[float]:
        found = []
        for name in names:
            broke_s = min(sources[name].from_s, sources[name].dies_s)
            pages = exporter.pages(name, 0)
            need(pages, f"{name} never paged")
            found.append(pages[0].at_s - broke_s)
        return found

    out = seconds(outages)
    what = f"{len(out)} outages at 20/s, breaks spread over 15 s, 99.9 %; {min(out):.0f} to {max(out):.0f} s"
    results.put("pages-median", statistics.median(out), what)
    results.put("pages-worst", max(out), what)
    ten = seconds(tenths)
    results.put("pages-tenth", max(ten), f"worst of {len(ten)}; median {statistics.median(ten):.0f} s")
    dead = seconds(deaths)
    results.put("pages-dead", max(dead), f"worst of {len(dead)}; median {statistics.median(dead):.0f} s")
    false = [name for name in silent if exporter.pages(name, 0)]
    results.put(
        "pages-false", len(false), f"of {len(silent)}: {BURSTS} one-second bursts after the open, {NIGHTS} nights: {false or 'none'}"
    )
