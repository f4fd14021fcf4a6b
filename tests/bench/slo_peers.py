"""Sloth, built from its Go module, beside us: the same number of SLOs, the same machine, the same minute. Asked for with PEERS=1."""

from __future__ import annotations

import statistics
from pathlib import Path

from tests.bench.bed import need
from tests.bench.report import PartResults
from tests.bench.slo_bed import cpu_of

VERSION = "v0.16.0"
RUNS = 5
MODULE = f"""module peers

go 1.24

require github.com/slok/sloth {VERSION}

tool github.com/slok/sloth/cmd/sloth
"""
SPEC = """version: prometheus/v1
service: bench{file}
slos:
"""
SLO = """  - name: r{number}
    objective: 99.9
    sli:
      events:
        error_query: sum(rate(bench_r{number}_errors_total[{{{{.window}}}}]))
        total_query: sum(rate(bench_r{number}_total[{{{{.window}}}}]))
    alerting:
      name: R{number}Burn
      page_alert: {{labels: {{severity: page}}}}
      ticket_alert: {{labels: {{severity: ticket}}}}
"""
PER_FILE = 10
"""One service a file: of several in one file Prometheus would load the first only."""


def measure(results: PartResults, folder: Path, many: int) -> None:
    folder.mkdir(parents=True)
    (folder / "go.mod").write_text(MODULE)
    results.say(f"Sloth {VERSION} is built; a few minutes the first time")
    cpu_of(["go", "mod", "tidy"], cwd=folder)
    cpu_of(["go", "build", "-o", "sloth", "github.com/slok/sloth/cmd/sloth"], cwd=folder)
    for key, count in (("one", 1), ("many", many)):
        specs, out = folder / f"specs-{key}", folder / f"out-{key}"
        specs.mkdir()
        out.mkdir()
        for file in range((count + PER_FILE - 1) // PER_FILE):
            slos = [SLO.format(number=n) for n in range(file * PER_FILE, min(count, (file + 1) * PER_FILE))]
            (specs / f"s{file}.yaml").write_text(SPEC.format(file=file) + "".join(slos))
        cpu = [cpu_of([str(folder / "sloth"), "generate", "-i", str(specs), "-o", str(out)]).cpu_s for _ in range(RUNS)]
        results.put(f"sloth-{key}", statistics.median(cpu), f"median of {RUNS}; Sloth {VERSION}, directory mode")
    files = sorted(map(str, out.glob("*.y*ml")))
    need(files, "Sloth wrote no rules")
    checks = [cpu_of(["promtool", "check", "rules", "--lint=none", *files]).cpu_s for _ in range(RUNS)]
    results.put("sloth-check", statistics.median(checks), f"median of {RUNS}; {len(files)} files")
