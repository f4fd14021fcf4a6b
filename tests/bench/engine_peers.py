"""exchange-core from Maven's central repository, on the same flow: its fast order book, matching alone. Asked for with PEERS=1."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.bench.bed import need
from tests.bench.engine_tools import BUILD, ask, middle, run, settle, spread, watched
from tests.bench.report import PartResults

SOURCE = Path(__file__).parent / "peers" / "exchange_core"
FOLDER = BUILD / "exchange_core"
FLOWS = (("peer-one", "one_book", 1), ("peer-many", "many_books", 10_000))
BUILD_LIMIT_S = 600.0


def measure(results: PartResults, runs: int) -> None:
    missing = [program for program in ("java", "mvn") if shutil.which(program) is None]
    need(not missing, f"exchange-core is left out: {' and '.join(missing)} not found; install a JDK of 11 or later and Maven")
    results.say("exchange-core 0.5.3 is fetched and its driver built; a minute the first time")
    shutil.copytree(SOURCE, FOLDER, dirs_exist_ok=True)
    library = FOLDER / "target" / "lib"
    goals = ["compile", "dependency:copy-dependencies", f"-DoutputDirectory={library}"]
    maven = ["mvn", "--quiet", "--batch-mode", "--file", str(FOLDER / "pom.xml")]
    run([*maven, *goals], "building the driver of exchange-core", BUILD_LIMIT_S)
    ask("flows", "--dir", str(FOLDER))
    for key, flow, instruments in FLOWS:
        results.say(f"exchange-core, {flow.replace('_', ' ')}, {runs} times behind a warm-up")
        settle()
        java = ["java", "-Xms4g", "-Xmx6g", "-XX:+UseParallelGC", "-cp", f"{FOLDER / 'target' / 'classes'}:{library}/*", "peer.Main"]
        answer = watched([*java, str(FOLDER / f"{flow}.flow"), str(instruments), str(runs)], "exchange-core", 600)
        rates, trade_hash = answer.data["per_s"], answer.data["trade_hash"]
        note = f"{spread(rates, 1e-6)} M/s; OrderBookDirectImpl alone, no risk, no journal; hash {trade_hash}; {answer.load}"
        results.put(key, middle(rates), note, busy=answer.busy)
        (FOLDER / f"{flow}.flow").unlink()
