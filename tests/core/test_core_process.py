"""`exchange core` as a process: recovery, readiness, metrics, and a log that it refuses."""

import asyncio
import contextlib
import json
import resource
import signal
import socket
import urllib.error
import urllib.request

import pytest
from venue_parts import DIGEST, INSTRUMENTS, LogLines, core_process, process

from engine import __version__, _core, conventions
from engine.config import VenueError, parse_address, parse_duration_s, parse_instruments
from engine.core.admin import CoreAdmin, Phase
from engine.core.metrics import registry
from engine.core.process import _end, _look_at, _until
from engine.core.snapshotter import SnapshotFigures
from engine.instruments import engine_config, instruments_digest
from engine.linkkey import load_link_key
from engine.logs import JsonLog
from engine.types import OrdType, RejectReason, Side, TimeInForce


def get(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_core_starts_is_ready_shows_metrics_and_stops_on_sigterm(tmp_path):
    with core_process(tmp_path / "log", ack_policy="device") as core:
        assert core.event("core.recovered")["records"] == 0
        port = core.event("core.serving")["admin_port"]
        status, body = get(port, conventions.PATH_READY)
        assert (status, json.loads(body)["status"]) == (200, "ready")
        status, body = get(port, conventions.PATH_HEALTH)
        assert (status, json.loads(body)["version"]) == (200, __version__)
        _, text = get(port, conventions.PATH_METRICS)
        for name in (
            conventions.COMMANDS_PROCESSED, conventions.LAST_TICK_TIMESTAMP, conventions.LOG_SEQ_NUM,
            conventions.LOG_DURABLE_SEQ_NUM, conventions.LOG_HEALTHY, conventions.QUEUE_DEPTH, conventions.BUILD_INFO,
        ):  # fmt: skip
            assert f"\n{name}" in text
        core.signal(signal.SIGTERM)
        assert core.wait() == 0
        assert '"core.stopped"' in core.seen[-1]


def write_log(folder, orders):
    """A log of `orders` commands, written by a core of this process over its own link."""
    folder.mkdir(parents=True)
    core = _core.Core(config=engine_config(INSTRUMENTS), log_dir=str(folder), ack_policy="memory", instruments_digest=DIGEST)
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


def figures(**stats):
    names = ("commands", "queue_depth", "seq_num", "written_seq_num", "durable_seq_num", "last_tick_ns", "log_healthy")
    return lambda: dict.fromkeys(names, 0) | stats


def test_the_logs_gauge_is_what_is_written_so_that_a_disk_that_lags_shows():
    shown = registry(figures(seq_num=5, written_seq_num=9, durable_seq_num=5, log_healthy=1))
    names = (conventions.LOG_SEQ_NUM, conventions.LOG_DURABLE_SEQ_NUM, conventions.LOG_HEALTHY)
    assert [shown.get_sample_value(name) for name in names] == [9, 5, 1]


def test_where_nobody_waits_for_the_disk_no_durable_gauge_is_shown(tmp_path):
    assert registry(figures(), shows_durable=False).get_sample_value(conventions.LOG_DURABLE_SEQ_NUM) is None
    with core_process(tmp_path / "log") as core:
        _, text = get(core.event("core.serving")["admin_port"], conventions.PATH_METRICS)
    assert f"\n{conventions.LOG_SEQ_NUM} " in text
    assert conventions.LOG_DURABLE_SEQ_NUM not in text


def test_each_partition_and_the_newest_snapshots_show_by_number():
    parts = [{"commands": 3, "queue_depth": 1, "live_orders": 2}, {"commands": 5, "queue_depth": 0, "live_orders": 4}]
    figured = SnapshotFigures(seq_nums={0: 3, 1: 5}, fresh_s=0.0, failures=2)
    shown = registry(figures(), partitions=lambda: parts, snapshots=figured)
    for number, part in enumerate(parts):
        labels = {conventions.LABEL_PARTITION: str(number)}
        assert shown.get_sample_value(conventions.PARTITION_COMMANDS, labels) == part["commands"]
        assert shown.get_sample_value(conventions.PARTITION_LIVE_ORDERS, labels) == part["live_orders"]
        assert shown.get_sample_value(conventions.PARTITION_QUEUE_DEPTH, labels) == part["queue_depth"]
        assert shown.get_sample_value(conventions.SNAPSHOT_SEQ_NUM, labels) == figured.seq_nums[number]
    assert shown.get_sample_value(conventions.SNAPSHOT_FAILURES) == 2
    assert shown.get_sample_value(conventions.SNAPSHOT_AGE_SECONDS) > 1e9


def test_before_the_first_snapshot_no_age_is_shown():
    shown = registry(figures(), snapshots=SnapshotFigures())
    assert shown.get_sample_value(conventions.SNAPSHOT_AGE_SECONDS) is None


LIMITS = "default: {max_order_quantity: 7}\n"


def test_partitions_and_the_limits_files_default_are_the_cores_and_fixed_for_its_log(tmp_path):
    (tmp_path / "limits.yaml").write_text(LIMITS)
    options = ("--partitions", 2, "--limits", tmp_path / "limits.yaml")
    with core_process(tmp_path / "log", 0, *options) as core:
        port = core.event("core.serving")["link_port"]
        with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
            link.sendall(_core.encode_hello("t", 0) + _core.encode_new_order(1, 1, 0, Side.BUY, OrdType.LIMIT, TimeInForce.DAY, 1, 8, ""))
            decoder, frames = _core.FrameDecoder(), []
            while len(frames) < 2:
                frames += decoder.feed(link.recv(65536))
        assert (frames[1][5], frames[1][10:]) == (RejectReason.ORDER_SIZE, (8, 7))
        core.signal(signal.SIGTERM)
        assert core.wait() == 0
    for other in (("--partitions", 2), ("--limits", tmp_path / "limits.yaml")):
        with core_process(tmp_path / "log", 0, *other) as core:
            assert core.wait() == 1
            said = "".join(core.seen)
            assert "error: the log cannot be used" in said and "the log is not damaged" in said
            assert "look at the place named above" not in said


def test_a_start_says_which_listed_firms_it_does_not_set_and_what_sets_them(tmp_path):
    limits = tmp_path / "limits.yaml"
    limits.write_text(LIMITS + "firms: {9: {order_rate: 5}, 8: {}}\n")
    for listed in (True, False):
        with core_process(tmp_path / "log", 0, "--limits", limits) as core:
            core.event("core.serving")
            core.signal(signal.SIGTERM)
            assert core.wait() == 0
            said = [json.loads(line) for line in core.seen if '"core.listed_firms_not_set"' in line]
        assert [(line["level"], line["firms"]) for line in said] == ([("warning", "8, 9")] if listed else [])
        assert all(f"exchange control limits --file {limits}" in line["hint"] for line in said)
        limits.write_text(LIMITS)


def test_a_core_makes_snapshots_and_starts_from_the_newest(tmp_path):
    write_log(tmp_path / "log", 25)
    with core_process(tmp_path / "log", 0, "--snapshot-every", "200ms") as core:
        core.event("core.serving")
        assert core.event("snapshot.done")["seq_nums"] == [25]
        core.signal(signal.SIGTERM)
        assert core.wait() == 0
    with core_process(tmp_path / "log", 0, "--snapshot-every", "0") as core:
        recovered = core.event("core.recovered")
        assert (recovered["snapshot_seq_num"], recovered["records"], recovered["last_seq_num"]) == (25, 0, 25)


def test_a_damaged_snapshot_is_passed_over_with_a_warning_and_the_log_tells_everything(tmp_path):
    write_log(tmp_path / "log", 25)
    with core_process(tmp_path / "log", 0, "--snapshot-every", "200ms") as core:
        core.event("snapshot.done")
        core.signal(signal.SIGTERM)
        core.wait()
    snapshot = next((tmp_path / "log" / "snapshots").glob("*.snap"))
    data = bytearray(snapshot.read_bytes())
    data[-1] ^= 1
    snapshot.write_bytes(data)
    with core_process(tmp_path / "log") as core:
        assert core.event("core.recovered")["records"] == 25
        assert snapshot.name in core.event("core.snapshot_passed_over")["reason"]


def test_a_start_that_cuts_the_end_of_its_log_warns_with_the_seq_nums(tmp_path):
    write_log(tmp_path / "log", 25)
    with (tmp_path / "log" / "00000001.log").open("r+b") as file:
        file.seek(4096 + 24 * 128 + 60)
        file.write(b"\xff")
    with core_process(tmp_path / "log") as core:
        cut = core.event("core.torn_tail_cut")
        assert (cut["level"], cut["partition"], cut["from_seq_num"], cut["to_seq_num"]) == ("warning", 0, 25, 25)
        assert "may have been answered" in cut["hint"]


SESSIONS = 'time_zone: UTC\nweekdays: [mon, tue, wed, thu, fri, sat, sun]\nevents: [{at: "00:00", state: pre_open}]\n'


def test_a_core_that_starts_late_sends_the_newest_event_through_its_log_and_once(tmp_path):
    (tmp_path / "sessions.yaml").write_text(SESSIONS)
    with core_process(tmp_path / "log", 0, "--sessions", tmp_path / "sessions.yaml") as core:
        changed = core.event("session.changed")
        assert (changed["state"], changed["seq_num"], changed["instruments"]) == ("pre_open", 1, len(INSTRUMENTS))
        core.signal(signal.SIGTERM)
        assert core.wait() == 0
    with core_process(tmp_path / "log", 0, "--sessions", tmp_path / "sessions.yaml") as core:
        assert core.event("core.recovered")["records"] == 1
        assert core.event("session.known")["state"] == "pre_open"


def test_a_log_that_cannot_be_written_ends_the_core_with_exit_1_and_the_next_start_replays_it(tmp_path):
    with core_process(tmp_path / "log", ack_policy="device") as core:
        port = core.event("core.serving")["link_port"]
        decoder = _core.FrameDecoder()
        with socket.create_connection(("127.0.0.1", port), timeout=10) as link:

            def ask(frame):
                """The answer, or None when the core closed the link without one."""
                link.sendall(frame)
                while data := link.recv(65536):
                    for got in decoder.feed(data):
                        return got
                return None

            order = _core.encode_new_order(1, 1, 0, Side.BUY, OrdType.LIMIT, TimeInForce.DAY, 100, 10, "")
            assert ask(_core.encode_hello("test", 0))[3] == DIGEST
            assert ask(order)[2] == 1
            resource.prlimit(core.child.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))  # as a full disk would
            answer = ask(order)
            assert answer is None or answer[5] == RejectReason.LOG_UNAVAILABLE
        failed = core.event("core.log_failed")
        assert (failed["level"], failed["reason"]) == ("error", "the order log cannot be written")
        assert "replays" in failed["hint"]
        assert failed["fault"] != ""
        assert core.wait() == 1
    with core_process(tmp_path / "log", ack_policy="device") as core:
        assert core.event("core.recovered")["records"] == 1


class EndedCore:
    def __init__(self, **stats):
        self._stats = figures(**stats)

    def stats(self, with_state_hash):
        assert not with_state_hash
        return self._stats()

    def log_fault(self):
        return "the disk is full: make room"


@pytest.mark.parametrize(
    ("log_healthy", "running", "says"), [(0, 1, "cannot be written"), (0, 0, "cannot be written"), (1, 0, "thread of the core ended")]
)
def test_the_core_ends_at_once_when_its_log_or_its_thread_has(log_healthy, running, says):
    log = LogLines()
    core = EndedCore(log_healthy=log_healthy, running=running)
    assert asyncio.run(_until(asyncio.Event(), core, JsonLog(stream=log), [])) is False
    assert says in log.lines[0]["reason"]
    assert log.lines[0]["fault"] == "the disk is full: make room"


def test_what_runs_beside_the_core_may_fail_without_taking_it_down():
    async def broken():
        raise RuntimeError("odd")

    async def look():
        log, tasks = LogLines(), [asyncio.create_task(broken(), name="sessions"), asyncio.create_task(asyncio.Event().wait())]
        await asyncio.wait(tasks[:1])
        _look_at(tasks, JsonLog(stream=log))
        _look_at(tasks, JsonLog(stream=log))
        await _end(tasks)
        return log.lines, len(tasks)

    lines, left = asyncio.run(look())
    assert [(line["event"], line["task"], line["reason"]) for line in lines] == [("core.task_failed", "sessions", "RuntimeError: odd")]
    assert left == 1


ROWS = '- {symbol: A, tick_size: "0.01", max_quantity: 5}\n- {symbol: B, tick_size: "0.01", max_quantity: 5}\n'


@pytest.mark.parametrize(
    "changed",
    [
        '- {symbol: B, tick_size: "0.01", max_quantity: 5}\n- {symbol: A, tick_size: "0.01", max_quantity: 5}\n',
        ROWS.replace("0.01", "0.001"),
        ROWS.replace("symbol: B", "symbol: C"),
        ROWS + '- {symbol: C, tick_size: "0.01", max_quantity: 5}\n',
    ],
    ids=["reordered", "another tick", "renamed", "longer"],
)
def test_a_core_refuses_a_log_of_another_instrument_list(tmp_path, changed):
    path = tmp_path / "i.yaml"
    path.write_text(ROWS)
    with core_process(tmp_path / "log", 0, "--instruments", path) as core:
        core.event("core.serving")
        core.signal(signal.SIGTERM)
        assert core.wait() == 0
    path.write_text(changed)
    with core_process(tmp_path / "log", 0, "--instruments", path) as core:
        assert core.wait() == 1
        assert "fixed for the life of a log" in "".join(core.seen)
        assert "new log folder" in "".join(core.seen)


def test_the_instruments_digest_sees_order_tick_and_limit_but_not_how_a_tick_is_written():
    def digest(text):
        return instruments_digest(parse_instruments(text, "i.yaml"))

    assert digest(ROWS) == digest(ROWS.replace("0.01", "0.010")) == digest(ROWS.replace('"0.01"', '"1E-2"'))
    others = [ROWS.replace("0.01", "0.1"), ROWS.replace("5}", "6}"), ROWS.splitlines()[0], "\n".join(reversed(ROWS.splitlines()))]
    assert len({digest(text) for text in (ROWS, *others)}) == 5
    assert all(0 <= digest(text) < 2**64 for text in others)


def key_file(folder, text="0123456789abcdef\n", mode=0o600):
    path = folder / "link.key"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_link_key_is_the_files_text_without_the_space_around_it(tmp_path):
    assert load_link_key(key_file(tmp_path, "  0123456789abcdef \n")) == "0123456789abcdef"
    assert load_link_key(None) == ""


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [
        ("0123456789abcdef", 0o640, "open to others"),
        ("0123456789abcde\n", 0o600, "16 to 256"),
        ("k" * 257, 0o600, "16 to 256"),
        ("0123456789\nabcdef", 0o600, "printable"),
        ("0123456789abcdé0", 0o600, "ASCII"),
    ],
)
def test_a_bad_link_key_file_is_refused_and_the_refusal_does_not_hold_the_key(tmp_path, text, mode, says):
    with pytest.raises(VenueError, match=says) as error:
        load_link_key(key_file(tmp_path, text, mode))
    assert text.strip() not in error.value.message + error.value.hint


def test_a_missing_link_key_file_is_refused(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(VenueError, match="link key file"):
            load_link_key(path)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "core.example", ""])
def test_without_a_link_key_a_host_that_is_not_loopback_is_refused(tmp_path, host):
    with core_process(tmp_path / "log", 0, "--host", host) as core:
        assert core.wait() == 2
        written = "".join(core.seen)
        assert "no link key is set" in written
        assert "next: give core and gateways --link-key" in written
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "localhost"])
def test_with_a_link_key_any_host_will_do_and_the_key_is_nowhere_to_be_seen(tmp_path, host):
    key = key_file(tmp_path)
    with core_process(tmp_path / "log", 0, "--host", host, "--link-key", key) as core:
        port = core.event("core.serving")["link_port"]
        for said, welcome in (("", False), ("0123456789abcdef", True)):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
                link.sendall(_core.encode_hello("test", 0, said))
                got = b""
                with contextlib.suppress(ConnectionResetError):
                    got = link.recv(65536)
                assert bool(got) is welcome
        core.signal(signal.SIGTERM)
        assert core.wait() == 0
        assert "0123456789abcdef" not in "".join([*core.seen, *map(str, core.child.args)])


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
