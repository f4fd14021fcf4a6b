"""`exchange gateway` as a process: signals, refusals to start, and no traceback for a user's mistake."""

import asyncio
import signal
import subprocess
import sys
import time

import aiohttp
import pytest
from venue_parts import eventually, process, running_core

from engine import conventions


def gateway_process(core_port, keys_path, *more):
    return process(
        "gateway",
        "--name",
        "gateway-p",
        "--http-port",
        0,
        "--binary-port",
        0,
        "--core",
        f"127.0.0.1:{core_port}",
        "--keys",
        keys_path,
        *more,
    )


async def test_sigterm_finishes_requests_closes_sessions_and_exits_0(tmp_path, keys):
    with running_core(tmp_path / "log") as (_, port), gateway_process(port, keys.path) as gateway:
        ports = gateway.event("gateway.listening")
        gateway.event("link.up")
        headers = {"Authorization": f"Bearer {keys.token['desk']}"}
        order = {"instrument": "AAPL", "side": "buy", "type": "limit", "price": "150.10", "quantity": 1}
        reader, writer = await asyncio.open_connection("127.0.0.1", ports["binary_port"])
        async with aiohttp.ClientSession(f"http://127.0.0.1:{ports['http_port']}") as session:
            async with session.post("/api/v1/orders", json=order, headers=headers) as response:
                assert (response.status, response.headers[conventions.HEADER_GATEWAY]) == (201, "gateway-p")
            gateway.signal(signal.SIGTERM)
            assert await asyncio.to_thread(gateway.wait) == 0
        assert await reader.read() == b""
        writer.close()
        assert '"gateway.stopped"' in gateway.seen[-1]


async def test_under_load_sigterm_drops_no_request_that_was_taken(tmp_path, keys):
    """Every request either got its answer or never got through to the gateway."""
    with running_core(tmp_path / "log") as (core, port), gateway_process(port, keys.path) as gateway:
        ports = gateway.event("gateway.listening")
        gateway.event("link.up")
        headers = {"Authorization": f"Bearer {keys.token['desk']}"}
        order = {"instrument": "AAPL", "side": "buy", "type": "limit", "price": "150.10", "quantity": 1}
        acked = 0

        async def member(session):
            nonlocal acked
            while True:
                try:
                    async with session.post("/api/v1/orders", json=order, headers=headers) as response:
                        assert response.status == 201
                        await response.read()
                        acked += 1
                except aiohttp.ClientError:
                    return

        async with aiohttp.ClientSession(f"http://127.0.0.1:{ports['http_port']}") as session:
            members = [asyncio.create_task(member(session)) for _ in range(8)]
            await eventually(lambda: acked > 50, "orders flow")
            gateway.signal(signal.SIGTERM)
            await asyncio.gather(*members)
            assert await asyncio.to_thread(gateway.wait) == 0
        assert core.stats()["commands"] == acked


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--core", "nowhere"], "--core: expected HOST:PORT"),
        (["--keys", "/nonexistent/keys.yaml"], "keys file"),
        (["--instruments", "/nonexistent/i.yaml"], "instruments file"),
        (["--name", "a b"], "--name"),
    ],
)
def test_a_users_mistake_is_one_line_and_a_hint_and_exit_2(keys, arguments, says):
    command = [
        sys.executable,
        "-m",
        "engine.cli",
        "gateway",
        "--name",
        "g",
        "--keys",
        str(keys.path),
        "--http-port",
        "0",
        "--binary-port",
        "0",
        *arguments,
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_said(tmp_path, keys):
    with running_core(tmp_path / "log") as (_, port), gateway_process(1, keys.path, "--http-port", port) as gateway:
        assert gateway.wait() == 2
        assert any("cannot listen" in line for line in gateway.seen)
        assert not any("Traceback" in line for line in gateway.seen)


def test_keys_new_prints_the_token_once_and_refuses_a_second_of_the_name(tmp_path):
    command = [sys.executable, "-m", "engine.cli", "keys", "new", "--file", str(tmp_path / "k.yaml"), "--id", "desk"]
    first = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)
    second = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)
    assert first.stdout.startswith("xk_")
    assert first.stdout.strip() not in (tmp_path / "k.yaml").read_text()
    assert (second.returncode, "already has" in second.stderr) == (2, True)


def test_help_is_quick():
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "engine.cli", "--help"], check=False, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0
    assert "gateway" in done.stdout
    assert time.monotonic() - started < 5
    imported = subprocess.run(
        [sys.executable, "-c", "import sys, engine.cli; print([m for m in ('aiohttp', 'prometheus_client') if m in sys.modules])"],
        check=False, capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert imported.stdout.strip() == "[]"
