"""The command line against the real product: `opsctl up`, an order, `status`, `logs`, `down`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.venue.files import load_existing
from venue.helpers import eventually, free_port, short_folder

EXCHANGE = Path(sys.executable).parent / "exchange"
ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.e2e


def opsctl(state: Path, *words: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OPSCTL_STATE": str(state), "NO_COLOR": "1", "COLUMNS": "200"}
    argv = [sys.executable, "-m", "ops.cli.main", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False, env=environment, cwd=ROOT)


@pytest.fixture(scope="module")
def state() -> Iterator[Path]:
    """A venue that is up, in a folder with a blank in its name."""
    with short_folder() as folder:
        made = folder / "my venue"
        try:
            started = opsctl(made, "up", "--gateways", "2", "--http-port", str(free_port(folder)))
            assert started.returncode == 0, started.stderr
            yield made
        finally:
            stopped = opsctl(made, "down")
            assert stopped.returncode == 0, stopped.stderr
            assert opsctl(made, "down").stdout == "nothing of the venue runs\n"


def test_an_order_goes_through_and_status_counts_it(state: Path) -> None:
    venue, token = load_existing(state), (state / "demo.key").read_text().strip()
    body = json.dumps({"instrument": "AAPL", "side": "buy", "type": "limit", "price": 100, "quantity": 5}).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{venue.ports.http}/api/v1/orders", data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        assert response.status == 201
        assert response.headers["X-Gateway"].startswith("gateway-")

    def counted() -> bool:
        shown = json.loads(opsctl(state, "status", "--output", "json").stdout)
        return bool(shown["running"] and shown["seq_num"] >= 1 and shown["pools"][0]["requests"] >= 1)

    eventually(counted, "status shows the order", 20)


def test_status_is_a_table_for_a_person(state: Path) -> None:
    eventually(lambda: opsctl(state, "status").returncode == 0, "all run for a second", 20)
    text = opsctl(state, "status").stdout
    for word in ("PROCESS", "gateway-2", "guardian", "RUNNING", "POOL", "blue", "stable", "100%", "durable", "prometheus: http"):
        assert word in text, word


def test_up_again_prints_the_endpoints_and_starts_nothing(state: Path) -> None:
    again = opsctl(state, "up", "--output", "json")
    assert again.returncode == 0, again.stderr
    found = json.loads(again.stdout)
    assert found["started"] == []
    assert found["endpoints"]["api"].startswith("http://127.0.0.1:")
    planned = json.loads(opsctl(state, "up", "--dry-run", "--output", "json").stdout)
    assert planned["running"] is True


def test_logs_are_readable_raw_on_demand_and_a_wrong_name_lists_the_right_ones(state: Path) -> None:
    assert "INFO" in opsctl(state, "logs", "core").stdout
    raw = opsctl(state, "logs", "core", "--raw", "-n", "1").stdout
    assert json.loads(raw)["event"]
    wrong = opsctl(state, "logs", "gateway-99")
    assert wrong.returncode == 2
    assert "gateway-1, gateway-2" in wrong.stderr


def test_a_dry_run_of_down_stops_nothing_and_purge_asks_a_person(state: Path) -> None:
    planned = json.loads(opsctl(state, "down", "--dry-run", "--purge", "--output", "json").stdout)
    assert "core" in planned["would_stop"]
    assert planned["would_remove"] == str(state)
    refused = opsctl(state, "down", "--purge")
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert opsctl(state, "status").returncode == 0


def test_another_shape_is_refused_while_it_runs(state: Path) -> None:
    refused = opsctl(state, "up", "--gateways", "3")
    assert refused.returncode == 5
    assert "opsctl down" in refused.stderr


def test_without_a_venue_status_and_logs_say_what_to_do(tmp_path: Path) -> None:
    for words in (("status",), ("logs", "core")):
        told = opsctl(tmp_path, *words)
        assert told.returncode == 6
        assert "opsctl up" in told.stderr
    assert opsctl(tmp_path / "none", "down").stdout == "nothing of the venue runs\n"
    assert not (tmp_path / "none").exists()
