"""`exchange core` as a process: recovery, readiness, metrics, and a log that it refuses."""

import json
import signal
import urllib.error
import urllib.request

import pytest
from venue_parts import INSTRUMENTS, core_process, process

from engine import __version__, _core, conventions
from engine.config import VenueError, parse_address, parse_duration_s, parse_instruments
from engine.core.admin import CoreAdmin, Phase
from engine.types import OrdType, Side, TimeInForce


def get(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_core_starts_is_ready_shows_metrics_and_stops_on_sigterm(tmp_path):
    with core_process(tmp_path / "log") as core:
        assert core.event("core.recovered")["records"] == 0
        port = core.event("core.serving")["admin_port"]
        status, body = get(port, conventions.PATH_READY)
        assert (status, json.loads(body)["status"]) == (200, "ready")
        status, body = get(port, conventions.PATH_HEALTH)
        assert (status, json.loads(body)["version"]) == (200, __version__)
        _, text = get(port, conventions.PATH_METRICS)
        for name in (
            conventions.COMMANDS_PROCESSED, conventions.LAST_TICK_TIMESTAMP, conventions.LOG_SEQ_NUM,
            conventions.LOG_DURABLE_SEQ_NUM, conventions.QUEUE_DEPTH, conventions.BUILD_INFO,
        ):  # fmt: skip
            assert f"\n{name}" in text
        core.signal(signal.SIGTERM)
        assert core.wait() == 0
        assert '"core.stopped"' in core.seen[-1]


def write_log(folder, orders):
    """A log of `orders` commands, written by a core of this process over its own link."""
    import socket

    folder.mkdir(parents=True)
    core = _core.Core(log_dir=str(folder), instrument_max_qty=[i.max_qty for i in INSTRUMENTS], ack_policy="memory")
    core.recover()
    port = core.listen("127.0.0.1", 0)
    core.start()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
        decoder = _core.FrameDecoder()
        link.sendall(_core.encode_hello("test", 0))
        frames = decoder.feed(link.recv(65536))
        for number in range(orders):  # one by one: damage inside one last batch is a torn write, which is cut
            link.sendall(_core.encode_new_order(number, 1, 0, Side.BUY, OrdType.LIMIT, TimeInForce.DAY, 100 + number, 10, ""))
            while not any(frame[0] == "reply" for frame in frames):
                frames = decoder.feed(link.recv(65536))
            frames = []
    core.stop()


def test_a_restart_says_how_much_it_recovered(tmp_path):
    write_log(tmp_path / "log", 25)
    with core_process(tmp_path / "log") as core:
        recovered = core.event("core.recovered")
        assert (recovered["records"], recovered["last_seq_num"]) == (25, 25)
        assert recovered["seconds"] >= 0


def test_a_log_that_cannot_be_trusted_is_one_message_a_hint_and_exit_1(tmp_path):
    folder = tmp_path / "log"
    write_log(folder, 25)
    segment = max((path for path in folder.iterdir() if path.is_file()), key=lambda path: path.stat().st_size)
    data = bytearray(segment.read_bytes())
    end = len(data.rstrip(b"\0"))
    data[end - 1000] ^= 0xFF  # several records of later batches stand behind it
    segment.write_bytes(data)
    with core_process(folder) as core:
        assert core.wait() == 1
        written = "".join(core.seen)
        assert "error: the log cannot be used" in written
        assert "next:" in written
        assert "Traceback" not in written


@pytest.mark.parametrize(
    ("arguments", "says"), [(["--ack-policy", "hope"], "--ack-policy"), (["--instruments", "/nonexistent"], "instruments file")]
)
def test_a_users_mistake_is_said_without_a_traceback(tmp_path, arguments, says):
    with process("core", "--log-dir", tmp_path / "log", "--link-port", 0, "--admin-port", 0, *arguments) as core:
        assert core.wait() == 2
        written = "".join(core.seen)
        assert says in written
        assert "Traceback" not in written


STATS = {"log_healthy": 1, "epoch": 1, "seq_num": 5, "links": 0}


@pytest.mark.parametrize(
    ("phase", "log_healthy", "status", "says"),
    [
        (Phase.STARTING, 1, 503, "starting"),
        (Phase.RECOVERING, 1, 503, "recovering"),
        (Phase.SERVING, 1, 200, "ready"),
        (Phase.SERVING, 0, 503, "log_unavailable"),
        (Phase.STOPPING, 1, 503, "stopping"),
    ],
)
def test_ready_means_recovered_listening_and_a_healthy_log(phase, log_healthy, status, says):
    admin = CoreAdmin(lambda: {**STATS, "log_healthy": log_healthy})
    admin.phase = phase
    got, body = admin.readiness()
    assert (got, body["status"]) == (status, says)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "at least one"),
        ("{}", "at least one"),
        ("- AAPL", "instrument 0: expected a mapping"),
        ('- {symbol: AAPL, tick_size: "0.01"}', "instrument 0: max_quantity: missing"),
        ("- {symbol: AAPL, tick_size: 0.01, max_quantity: 1}", "instrument 0: tick_size: expected a quoted"),
        ('- {symbol: AAPL, tick_size: "-1", max_quantity: 1}', "instrument 0: tick_size"),
        ('- {symbol: AAPL, tick_size: "NaN", max_quantity: 1}', "instrument 0: tick_size"),
        ('- {symbol: aapl, tick_size: "1", max_quantity: 1}', "instrument 0: symbol"),
        ('- {symbol: A, tick_size: "1", max_quantity: 0}', "instrument 0: max_quantity"),
        ('- {symbol: A, tick_size: "1", max_quantity: yes}', "instrument 0: max_quantity"),
        ('- {symbol: A, tick_size: "1", max_quantity: 1, x: 1}', "instrument 0: unknown field x"),
        (
            '- {symbol: A, tick_size: "1", max_quantity: 1}\n- {symbol: A, tick_size: "1", max_quantity: 1}',
            "instrument 1: symbol: A appears twice",
        ),
        ("- {symbol: A}\n- ]", "i.yaml:2: not valid YAML"),
    ],
)
def test_a_bad_instruments_file_names_index_and_field(text, says):
    with pytest.raises(VenueError, match=r"^i\.yaml:") as error:
        parse_instruments(text, "i.yaml")
    assert says in error.value.message


def test_the_packaged_instruments_are_dense_and_known():
    assert [(i.instrument_id, i.symbol) for i in INSTRUMENTS] == [(0, "AAPL"), (1, "MSFT"), (2, "GOOG"), (3, "AMZN"), (4, "TSLA")]


def test_addresses_and_durations():
    assert parse_address("127.0.0.1:80", "--x") == ("127.0.0.1", 80)
    assert [parse_duration_s(text, "--x") for text in ("60s", "2m", "500ms", "1.5h", "7")] == [60.0, 120.0, 0.5, 5400.0, 7.0]
    for bad in ("", "x", "0s", "-1s", "9999999h"):
        with pytest.raises(VenueError, match="--x"):
            parse_duration_s(bad, "--x")
    for bad in ("", "host", ":80", "host:0", "host:99999", "host:x"):
        with pytest.raises(VenueError, match="--x"):
            parse_address(bad, "--x")
