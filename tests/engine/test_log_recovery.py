"""The write-ahead log: replay equals live; a torn last batch is cut; any other damage is refused, named, and left as it was."""

from __future__ import annotations

import shutil
import struct

import pytest

from engine import _core
from engine.types import Command, EngineConfig, InstrumentRules, OrdStatus, RejectReason, Side
from tests.engine.core_process import core_config
from tests.engine.engines import make_engine

HEADER, RECORD = 4096, 128
SEQ_NUM, BATCH_FIRST, EPOCH = 16, 24, 8
SEGMENT = 16
"""Records per segment in these tests."""


def recover(log_dir, *, epoch=1, segment_records=SEGMENT, config=None, **options):
    """(report, state hash) of a log; releases it again."""
    core = _core.Core(config=config or core_config(), log_dir=str(log_dir), epoch=epoch, segment_records=segment_records, **options)
    return core.recover(), core.stats()["state_hash"]


def refusal(log_dir, **options):
    with pytest.raises(_core.LogError) as caught:
        recover(log_dir, **options)
    return str(caught.value)


def contents(log_dir):
    return {path.name: path.read_bytes() for path in sorted(log_dir.glob("*.log"))}


def records_of(log_dir, from_seq_num=1):
    """Every record, as LogReader's tuples."""
    return _core.LogReader(str(log_dir), from_seq_num).next_batch(1000)


def command_of(record):
    _, _, _, ts_ns, kind, side, ord_type, tif, stp, state, firm, instrument, price, qty, stop_price, order_id, cl_ord_id, _ = record
    return Command(kind, side, ord_type, tif, stp, state, firm, instrument, price, qty, stop_price, order_id, ts_ns, cl_ord_id)


@pytest.fixture
def written(tmp_path, start_core, connect):
    """A log of 40 commands over three segments, each its own batch. (log_dir, live state hash)"""
    log_dir = tmp_path / "log"
    core, port = start_core(log_dir, segment_records=SEGMENT)
    client = connect(port)
    for number in range(34):
        client.order(Side.BUY if number % 3 else Side.SELL, 1 + number, 95 + number % 7, firm=1 + number % 2, cl_ord_id=f"o{number}")
    for order_id in (1, 3, 5, 30):
        client.cancel(order_id)
    client.reduce(32, 1)
    client.order(Side.BUY, 0, 1)
    live = core.stats()
    core.stop()
    assert live["seq_num"] == 40
    log_dir = shutil.copytree(log_dir, tmp_path / "copy")
    return log_dir, live["state_hash"]


class Place:
    """The place of one record in its segment file."""

    def __init__(self, log_dir, seq_num):
        self.path = log_dir / f"{(seq_num - 1) // SEGMENT + 1:08d}.log"
        self.offset = HEADER + (seq_num - 1) % SEGMENT * RECORD

    def read(self):
        return self.path.read_bytes()[self.offset : self.offset + RECORD]

    def write(self, data):
        with self.path.open("r+b") as file:
            file.seek(self.offset)
            file.write(data)

    def rewrite(self, at, value):
        """Changes one u64 field and makes the CRC right again."""
        data = bytearray(self.read())
        struct.pack_into("<Q", data, at, value)
        struct.pack_into("<I", data, 0, _core.crc32c(bytes(data[4:])))
        self.write(bytes(data))


def make_one_batch(log_dir, first, last):
    for seq_num in range(first, last + 1):
        Place(log_dir, seq_num).rewrite(BATCH_FIRST, first)


def test_replay_rebuilds_the_live_state(written):
    log_dir, live_hash = written
    report, state_hash = recover(log_dir)
    assert state_hash == live_hash
    assert (report["records"], report["last_seq_num"], report["torn_records_cut"], report["segments"]) == (40, 40, 0, 3)


def test_the_reference_engine_replays_the_log_to_the_same_state(written):
    log_dir, live_hash = written
    engine = make_engine("reference", EngineConfig((InstrumentRules(max_qty=1_000_000),)))
    for record in records_of(log_dir):
        engine.apply(command_of(record))
    assert (engine.last_seq_num(), engine.state_hash()) == (40, live_hash)


def test_times_in_the_log_never_go_back(written):
    times = [record[3] for record in records_of(written[0])]
    assert len(times) == 40
    assert times == sorted(times)


def test_an_empty_directory_becomes_a_log(tmp_path):
    report, _ = recover(tmp_path / "new" / "log")
    assert report["records"] == 0
    assert recover(tmp_path / "new" / "log")[0]["segments"] == 1


@pytest.mark.parametrize("rest", ["zeros", "garbage"])
def test_a_tail_torn_at_any_byte_of_the_last_record_is_cut(written, rest):
    log_dir, live_hash = written
    place = Place(log_dir, 40)
    whole = place.read()
    for size in range(1, RECORD):
        torn = whole[:size] + (bytes(RECORD - size) if rest == "zeros" else b"\xa5" * (RECORD - size))
        place.write(torn)
        report, state_hash = recover(log_dir)
        if torn == whole:
            assert (report["records"], state_hash) == (40, live_hash)
        else:
            assert (report["records"], report["torn_records_cut"]) == (39, 1)
            assert place.read() == bytes(RECORD)


def test_a_log_grows_on_after_its_tail_was_cut(written, start_core, connect):
    log_dir, _ = written
    Place(log_dir, 40).write(b"\x5a" * 50)
    core, port = start_core(log_dir, segment_records=SEGMENT)
    replies = [connect(port).order(Side.BUY, 5, 90) for _ in range(30)]
    assert [reply.seq_num for reply in replies] == list(range(40, 70))
    live_hash = core.stats()["state_hash"]
    core.stop()
    copy = shutil.copytree(log_dir, log_dir.with_name("grown"))
    report, state_hash = recover(copy)
    assert (report["records"], state_hash) == (69, live_hash)


@pytest.mark.parametrize("lost", [36, 37, 38, 39])
def test_a_last_batch_written_out_of_order_is_cut_from_its_first_hole(written, lost):
    log_dir, _ = written
    make_one_batch(log_dir, 36, 40)
    Place(log_dir, lost).write(bytes(RECORD))
    report, _ = recover(log_dir)
    assert (report["records"], report["torn_records_cut"]) == (lost - 1, 40 - lost)
    assert recover(log_dir)[0] | {"elapsed_us": 0} == report | {"torn_records_cut": 0, "torn": [], "elapsed_us": 0}


def test_a_last_batch_torn_across_two_segments_is_cut(written):
    log_dir, _ = written
    for seq_num in range(36, 41):
        Place(log_dir, seq_num).write(bytes(RECORD))
    make_one_batch(log_dir, 30, 35)
    Place(log_dir, 31).write(b"\x01" * RECORD)
    report, _ = recover(log_dir)
    assert (report["records"], report["torn_records_cut"]) == (30, 5)


@pytest.mark.parametrize("seq_num", [1, 2, 16, 17, 33, 38, 39])
@pytest.mark.parametrize("damage", [b"\xff", bytes(RECORD)], ids=["a wrong byte", "a zeroed record"])
def test_damage_before_the_last_batch_is_refused_and_named(written, seq_num, damage):
    log_dir, _ = written
    place = Place(log_dir, seq_num)
    place.write(damage)
    before = contents(log_dir)
    message = refusal(log_dir)
    assert f"{place.path.name}: offset {place.offset}: " in message
    assert f"exchange log verify --log-dir {log_dir}" in message
    assert f"exchange log repair --log-dir {log_dir} --dry-run" in message
    assert contents(log_dir) == before


def test_garbage_far_behind_the_end_cannot_be_a_torn_batch(tmp_path):
    log_dir = tmp_path / "log"
    recover(log_dir, segment_records=5000)
    with (log_dir / "00000001.log").open("r+b") as file:
        file.seek(HEADER + 4096 * RECORD)
        file.write(b"garbage")
    assert "00000001.log: offset 4096: " in refusal(log_dir, segment_records=5000)


def test_a_gap_in_the_seq_nums_is_refused(written):
    log_dir, _ = written
    place = Place(log_dir, 20)
    place.write(Place(log_dir, 21).read())
    assert f"{place.path.name}: offset {place.offset}: seq_num 21 stands in the place of 20" in refusal(log_dir)


def test_an_epoch_that_goes_back_is_refused(written):
    log_dir, _ = written
    Place(log_dir, 20).rewrite(EPOCH, 3)
    message = refusal(log_dir, epoch=5)
    assert f"offset {Place(log_dir, 21).offset}: epoch 1 after epoch 3" in message


def test_a_log_of_a_newer_epoch_is_refused_and_one_of_an_older_epoch_is_continued(written):
    log_dir, live_hash = written
    assert recover(log_dir, epoch=7)[1] == live_hash
    Place(log_dir, 40).rewrite(EPOCH, 7)
    assert "newer than this core's epoch 6" in refusal(log_dir, epoch=6)
    assert recover(log_dir, epoch=7)[1] == live_hash


def test_a_batch_that_does_not_begin_where_the_one_before_ends_is_refused(written):
    log_dir, _ = written
    Place(log_dir, 20).rewrite(BATCH_FIRST, 12)
    assert f"offset {Place(log_dir, 20).offset}: the record belongs to a batch" in refusal(log_dir)


@pytest.mark.parametrize(("missing", "named"), [(1, "00000002.log"), (2, "00000003.log")])
def test_a_missing_segment_is_refused(written, missing, named):
    log_dir, _ = written
    (log_dir / f"{missing:08d}.log").unlink()
    message = refusal(log_dir)
    assert f"{named}: offset 0: " in message
    assert f"segment {missing} before it is missing" in message


def test_a_segment_of_another_log_in_the_middle_is_refused(written):
    log_dir, _ = written
    shutil.copyfile(log_dir / "00000001.log", log_dir / "00000002.log")
    assert "00000002.log: offset 16: the header is the one of segment 1" in refusal(log_dir)


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("size", [0, 10, HEADER, HEADER + 3 * RECORD + 5])
def test_a_truncated_segment_is_refused(written, number, size):
    log_dir, _ = written
    path = log_dir / f"{number:08d}.log"
    path.write_bytes(path.read_bytes()[:size])
    assert f"{path.name}: offset {size if size > 10 else 0}: " in refusal(log_dir)


def test_a_damaged_header_is_refused(written):
    log_dir, _ = written
    path = log_dir / "00000002.log"
    for at in (0, 8, 12, 20, 30, 40, 50):
        data = bytearray(path.read_bytes())
        data[at] ^= 1
        path.write_bytes(data)
        assert "00000002.log: offset " in refusal(log_dir)
        data[at] ^= 1
        path.write_bytes(data)
    recover(log_dir)


@pytest.mark.parametrize("config", [core_config(max_qty=1_000_001), core_config(instruments=2), core_config(luld_bps=5)])
def test_another_instrument_configuration_is_refused(written, config):
    log_dir, _ = written
    assert "another instrument configuration" in refusal(log_dir, config=config)


def test_another_instruments_digest_is_refused_and_the_refusal_says_what_to_do(tmp_path):
    recover(tmp_path, instruments_digest=7)
    for digest in (0, 8, 2**63 + 7):
        with pytest.raises(_core.LogError, match=r"fixed for the life of a log.*new log folder"):
            recover(tmp_path, instruments_digest=digest)
    recover(tmp_path, instruments_digest=7)


def test_a_segment_of_format_version_1_is_refused(written):
    log_dir, _ = written
    with (log_dir / "00000001.log").open("r+b") as file:
        file.seek(8)
        file.write(struct.pack("<I", 1))
    assert "00000001.log: offset 8: the segment has format version 1, this program reads version 2" in refusal(log_dir)


def test_a_half_made_segment_of_a_crash_is_cleared_away(written):
    log_dir, live_hash = written
    (log_dir / "00000004.log.tmp").write_bytes(b"half")
    assert recover(log_dir)[1] == live_hash
    assert not (log_dir / "00000004.log.tmp").exists()


def test_a_log_open_in_one_core_is_refused_to_another(tmp_path):
    first = _core.Core(config=core_config(), log_dir=str(tmp_path))
    first.recover()
    assert "another core has this log open" in refusal(tmp_path)
    assert _core.log_verify(str(tmp_path))["in_use"]
    del first
    recover(tmp_path)
    assert not _core.log_verify(str(tmp_path))["in_use"]


@pytest.mark.parametrize("options", [{"epoch": 0}, {"segment_records": 0}, {"ack_policy": "hope"}, {"ack_policy": "replicated"}])
def test_a_senseless_configuration_is_refused(tmp_path, options):
    with pytest.raises(ValueError, match=r"epoch|segment_records|ack_policy"):
        _core.Core(**({"config": core_config(), "log_dir": str(tmp_path)} | options))


def test_a_log_directory_that_cannot_be_made_is_an_error_of_the_log(tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be opened" in refusal(tmp_path / "file" / "log")


@pytest.mark.parametrize("limit", [HEADER + 5 * RECORD, HEADER + 5 * RECORD + 60], ids=["nothing written", "a part written"])
def test_a_write_error_refuses_the_command_and_all_later_ones_and_leaves_no_trace(tmp_path, spawn_core, connect, limit):
    core = spawn_core(tmp_path, "device", 64)
    client = connect(core.port)
    accepted = [client.order(Side.BUY, 1 + i, 100) for i in range(5)]
    core.limit_file_size(limit)
    expect_log_unavailable(client)
    core.close()
    report, _ = recover(tmp_path, segment_records=64)
    assert (report["records"], report["torn_records_cut"]) == (len(accepted), 0)


@pytest.mark.parametrize("policy", ["memory", "device"])
def test_a_disk_too_full_for_the_next_segment_refuses_before_anything_is_written(tmp_path, spawn_core, connect, policy):
    recover(tmp_path, segment_records=8)
    core = spawn_core(tmp_path, policy, 512)
    client = connect(core.port)
    core.limit_file_size(HEADER + 100 * RECORD)
    for _ in range(8):
        assert client.order(Side.BUY, 1, 100).status is OrdStatus.NEW
    expect_log_unavailable(client)
    core.close()
    report, _ = recover(tmp_path)
    assert (report["records"], report["segments"]) == (8, 2)


def expect_log_unavailable(client):
    for _ in range(2):
        reply = client.order(Side.SELL, 1, 100, cl_ord_id="again")
        assert (reply.seq_num, reply.order_id, reply.status, reply.reason) == (0, 0, OrdStatus.REJECTED, RejectReason.LOG_UNAVAILABLE)
    assert client.cancel(1).reason is RejectReason.LOG_UNAVAILABLE


# ---- The tools, on logs that no core is needed for ----


@pytest.fixture
def plain_log(tmp_path):
    """30 timer commands, the n-th at time n, in segments of 16."""
    log_dir = tmp_path / "plain"
    writer = _core.LogWriter(str(log_dir), 42, 3, SEGMENT)
    writer.append(Command(6, ts_ns=number).as_tuple() for number in range(1, 31))
    writer.close()
    return log_dir


def test_a_reader_gives_the_commands_with_epoch_time_and_crc(plain_log):
    records = records_of(plain_log)
    assert [record[0] for record in records] == list(range(1, 31))
    assert {record[1] for record in records} == {3}
    assert [command_of(record) for record in records] == [Command(6, ts_ns=number) for number in range(1, 31)]
    for record in records:
        crc = record[17]
        assert crc == struct.unpack_from("<I", Place(plain_log, record[0]).read())[0]
        assert crc == _core.log_record_crc(str(plain_log), record[0])


def test_a_reader_says_where_and_why_it_stopped_and_goes_on_when_the_log_does(plain_log):
    reader = _core.LogReader(str(plain_log), 25)
    assert [record[0] for record in reader.next_batch(3)] == [25, 26, 27]
    assert reader.stop == ""
    assert [record[0] for record in reader.next_batch(100)] == [28, 29, 30]
    assert (reader.stop, reader.next_seq_num, reader.config_digest) == ("end", 31, 42)
    assert f"00000002.log: offset {Place(plain_log, 31).offset}: " in reader.stop_text
    Place(plain_log, 31).write(b"\x5a" * 20)
    assert reader.next_batch(5) == []
    assert reader.stop == "unfinished"
    reader.check_tail()
    assert _core.log_record_crc(str(plain_log), 31) is None


def test_verify_finds_every_problem_and_repair_cuts_from_the_first_one_on(plain_log):
    for seq_num in (4, 20):
        Place(plain_log, seq_num).write(b"\xff" * RECORD)
    before = contents(plain_log)
    report = _core.log_verify(str(plain_log))
    assert [(p["kind"], p["seq_num"], p["offset"], p["start_goes_on"]) for p in report["problems"]] == [
        ("record", 4, Place(plain_log, 4).offset, False),
        ("record", 20, Place(plain_log, 20).offset, False),
    ]
    assert (report["starts"], report["records"], report["last_seq_num"], report["in_use"]) == (False, 28, 3, False)
    assert [(s["first_record"], s["last_record"], s["last_epoch"], s["last_ts_ns"]) for s in report["segments"][:2]] == [
        (1, 16, 3, 16),
        (17, 30, 3, 30),
    ]
    plan = _core.log_plan_repair(str(plain_log))
    assert (plan["needed"], plan["possible"], plan["cut_from"], plan["lost_records"]) == (True, True, 4, 25)
    assert plan["lost"] == [(5, 19), (21, 30)]
    assert contents(plain_log) == before
    with pytest.raises(_core.LogError, match="nothing was changed"):
        _core.log_repair(str(plain_log), "20261120T101523Z", 5)
    assert _core.log_repair(str(plain_log), "20261120T101523Z", 4) == plan
    assert (plain_log / "damaged-20261120T101523Z" / "00000001.log").read_bytes() == before["00000001.log"]
    assert [record[0] for record in records_of(plain_log)] == [1, 2, 3]
    assert _core.log_verify(str(plain_log))["problems"] == []


def test_a_torn_tail_needs_no_repair(plain_log):
    Place(plain_log, 30).write(b"\x5a")
    report = _core.log_verify(str(plain_log))
    assert [(p["kind"], p["start_goes_on"]) for p in report["problems"]] == [("torn_tail", True)]
    assert report["starts"]
    assert not _core.log_plan_repair(str(plain_log))["needed"]
    with pytest.raises(_core.LogError, match="needs no repair"):
        _core.log_repair(str(plain_log), "now")


def test_a_folder_that_is_not_there_is_an_error_of_the_log(tmp_path):
    for look in (_core.log_verify, _core.log_plan_repair, _core.LogReader):
        with pytest.raises(_core.LogError, match="cannot be read"):
            look(str(tmp_path / "nothing"))
