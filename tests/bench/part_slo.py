"""SLOs: what it costs to generate and to run them, and how long a page takes. Bars and Sloth's figures: docs/bench.md."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
from pathlib import Path

from tests.bench import slo_pages, slo_peers, slo_server
from tests.bench.report import PartResults
from tests.bench.slo_bed import Declared, cpu_of, spec_text

RUNS = 5
MANY = 1000


def measure(results: PartResults) -> None:
    folder = Path(tempfile.mkdtemp(prefix="b", dir="/tmp"))
    try:
        with results.trying("generate-one", "generate-many", "generate-mib", "check", "test"):
            _tools(results, folder / "tools")
        with results.trying("pages-median", "pages-worst", "pages-tenth", "pages-dead", "pages-false"):
            slo_pages.measure(results, folder / "pages")
        with results.trying("cpu", "samples", "series", "rules"):
            slo_server.measure(results, folder / "server")
        if os.environ.get("PEERS"):
            with results.trying("sloth-one", "sloth-many", "sloth-check"):
                slo_peers.measure(results, folder / "peers", MANY)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _tools(results: PartResults, folder: Path) -> None:
    results.say(f"`opsctl slo generate` for 1 and for {MANY:,} SLOs, {RUNS} times each")
    one, many = Declared(folder / "one"), Declared(folder / "many")
    one.spec(spec_text("XONE", ["requests"]))
    many.spec(spec_text("XMANY", [f"r{number}" for number in range(MANY)]))
    for key, declared in (("one", one), ("many", many)):
        used = [_anew(declared) for _ in range(RUNS)]
        cpu = [u[0] for u in used]
        results.put(f"generate-{key}", statistics.median(cpu), f"median of {RUNS}; {min(cpu):.3f} to {max(cpu):.3f}; all files written")
        if key == "many":
            results.put("generate-mib", max(u[1] for u in used), f"highest of {RUNS}")
    files = many.rule_files()
    results.say("promtool over all of it")
    checks = [cpu_of(["promtool", "check", "rules", "--lint=none", *files]).cpu_s for _ in range(RUNS)]
    results.put("check", statistics.median(checks), f"median of {RUNS}; {len(files)} files")
    quiet = Declared(folder / "quiet")
    quiet.spec(spec_text("XMANY", [f"r{number}" for number in range(MANY)], no_data="ignore"))
    quiet.generate()
    test = _ten_minutes(folder / "ten-minutes.test.yaml", quiet.rule_files())
    tests = [cpu_of(["promtool", "test", "rules", str(test)]).cpu_s for _ in range(RUNS)]
    results.put("test", statistics.median(tests), f"median of {RUNS}; at 1 m, input for one SLO, the others ignore missing data")


def _anew(declared: Declared) -> tuple[float, float]:
    shutil.rmtree(declared.generated, ignore_errors=True)
    used = declared.generate()
    return used.cpu_s, used.peak_mib


def _ten_minutes(path: Path, files: list[str]) -> Path:
    """Input for one SLO, all rules loaded: what a test of one SLO costs beside 999 others."""
    rules = "\n".join(f"  - {name}" for name in files if not name.endswith("clock.rules.yaml"))
    path.write_text(f"""rule_files:
{rules}
evaluation_interval: 1m
tests:
  - interval: 15s
    input_series:
      - series: venue:clock:seconds
        values: 1773064800+15x40
      - series: bench_r0_total{{exchange="XMANY"}}
        values: 0+300x40
      - series: bench_r0_errors_total{{exchange="XMANY"}}
        values: 0+0x40
    promql_expr_test:
      - expr: slo:bad:ratio{{slo="r0"}}
        eval_time: 10m
        exp_samples:
          - labels: slo:bad:ratio{{exchange="XMANY",policy="default",slo="r0"}}
            value: 0
""")
    return path
