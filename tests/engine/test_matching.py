"""engine.matching: numpy in and out, and the examples that show each face of the engine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import engine
from engine import _core
from engine.matching import COMMAND, REPORT, MatchingEngine, commands
from engine.reference import ReferenceEngine
from engine.types import Command, CommandKind, EngineConfig, ExecType, InstrumentRules, OrdType, RejectReason, Side

ROOT = Path(__file__).parents[2]
CONFIG = EngineConfig(instruments=(InstrumentRules(max_qty=1000), InstrumentRules()))


def test_a_batch_makes_the_reports_of_its_commands_one_by_one() -> None:
    batch = commands(
        4, kind=CommandKind.NEW_ORDER, side=[1, 2, 1, 2], ord_type=OrdType.LIMIT, firm=[1, 2, 1, 2], qty=[5, 3, 9, 20],
        price_ticks=[100, 100, 101, 99], ts_ns=np.arange(4), cl_ord_ids=["a", "", "b", "a"],
    )  # fmt: skip
    in_one, one_by_one = MatchingEngine(CONFIG), MatchingEngine(CONFIG)
    reports = in_one.submit(batch)
    apart = np.concatenate([one_by_one.submit(batch[i : i + 1]) for i in range(len(batch))])
    assert reports.tolist() == apart.tolist()
    assert in_one.state_hash() == one_by_one.state_hash()
    assert reports["exec_id"].tolist() == list(range(1, len(reports) + 1))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([1, 2]), st.integers(1, 3), st.integers(95, 105), st.integers(1, 9), st.sampled_from("abcde")),
        max_size=40,
    )
)
def test_a_batch_agrees_with_the_reference_engine(rows: list[tuple[int, int, int, int, str]]) -> None:
    engine, reference = MatchingEngine(CONFIG), ReferenceEngine(CONFIG)
    batch = commands(
        len(rows), kind=CommandKind.NEW_ORDER, side=[r[0] for r in rows], ord_type=OrdType.LIMIT, firm=[r[1] for r in rows],
        price_ticks=[r[2] for r in rows], qty=[r[3] for r in rows], cl_ord_ids=[r[4] for r in rows],
    )  # fmt: skip
    wanted = [
        report
        for side, firm, price, qty, cl_ord_id in rows
        for report in reference.apply(Command(CommandKind.NEW_ORDER, side=side, firm=firm, price_ticks=price, qty=qty, cl_ord_id=cl_ord_id))
    ]
    reports = engine.submit(batch)
    assert reports["order_id"].tolist() == [report.order_id for report in wanted]
    assert reports["leaves_qty"].tolist() == [report.leaves_qty for report in wanted]
    assert reports["exec_type"].tolist() == [report.exec_type for report in wanted]
    assert engine.state_hash() == reference.state_hash()


def test_a_saved_state_goes_on_where_it_was() -> None:
    engine = MatchingEngine(CONFIG)
    engine.apply(Command(CommandKind.NEW_ORDER, side=Side.BUY, firm=3, price_ticks=100, qty=7))
    again = MatchingEngine(CONFIG, saved=engine.save())
    assert again.orders(0) == engine.orders(0)
    assert (again.state_hash(), again.live_orders, again.last_seq_num) == (engine.state_hash(), 1, 1)
    with pytest.raises(ValueError, match="another configuration"):
        MatchingEngine(EngineConfig(instruments=(InstrumentRules(),)), saved=engine.save())
    with pytest.raises(ValueError, match="ends too early"):
        MatchingEngine(CONFIG, saved=engine.save()[:-1])


def test_saved_bytes_with_any_one_bit_wrong_are_refused() -> None:
    engine = MatchingEngine(CONFIG)
    engine.submit(
        commands(
            6, kind=CommandKind.NEW_ORDER, side=[1, 2] * 3, ord_type=OrdType.LIMIT, firm=[1, 2] * 3, qty=[5, 3, 9, 20, 1, 2],
            price_ticks=[100, 100, 101, 99, 90, 110], ts_ns=np.arange(6), cl_ord_ids=["a", "", "b", "a", "c", "d"],
        )
    )  # fmt: skip
    saved = engine.save()
    for bit in range(0, 8 * len(saved), 3):
        wrong = bytearray(saved)
        wrong[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match="the saved state is not sound: "):
            MatchingEngine(CONFIG, saved=bytes(wrong))
    assert MatchingEngine(CONFIG, saved=saved).state_hash() == engine.state_hash()


def test_what_is_no_batch_of_commands_is_refused() -> None:
    engine = MatchingEngine(CONFIG)
    with pytest.raises(ValueError, match="COMMAND"):
        engine.submit(np.zeros(3, dtype=REPORT))
    with pytest.raises(ValueError, match="has no field prise_ticks"):
        commands(1, prise_ticks=3)
    for batch, name in [([Command(CommandKind.TIMER)], "list"), (commands(1)[0], "void"), (None, "NoneType")]:
        with pytest.raises(ValueError, match=f"expected a 1-d array of engine.matching.COMMAND, not a {name}"):
            engine.submit(batch)  # type: ignore[arg-type]
    assert engine.last_seq_num == 0


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("instrument", [0, 2**32 + 1, 1], r"instrument\[1\]: 4294967297 does not lie in 0..4294967295"),
        ("side", [1, 2, 257], r"side\[2\]: 257 does not lie in 0..255"),
        ("side", 257, "side: 257 does not lie in 0..255"),
        ("side", [1, -1, 1], r"side\[1\]: -1 does not lie in 0..255"),
        ("qty", [1, 2**63, 1], r"qty\[1\]: 9223372036854775808 does not lie in -9223372036854775808..9223372036854775807"),
        ("order_id", np.array([1, -5, 1]), r"order_id\[1\]: -5 does not lie in 0..18446744073709551615"),
        ("order_id", [1, 2**64, 1], r"order_id\[1\]: 18446744073709551616 does not lie in"),
        ("price_ticks", [100, 101, 100.9], r"price_ticks\[2\]: 100.9 is no integer"),
        ("price_ticks", np.full(3, 100.0), r"price_ticks\[0\]: .*100.0.* is no integer"),
        ("price_ticks", "100", "price_ticks: .*'100'.* is no integer"),
        ("price_ticks", None, "price_ticks: None is no integer"),
        ("qty", [True, False, True], r"qty\[0\]: .*True.* is no integer"),
        ("ts_ns", np.array(["2026-11-30"] * 3, "M8[ns]"), r"ts_ns\[0\]: .* is no integer"),
        ("qty", [7], r"qty: expected one value or 3 of them, not an array of the shape \(1,\)"),
        ("qty", [1, 2, 3, 4], r"qty: expected one value or 3 of them, not an array of the shape \(4,\)"),
        ("qty", [[1, 2, 3]], r"qty: expected one value or 3 of them, not an array of the shape \(1, 3\)"),
        ("qty", [[1], [2, 3], 4], "qty: "),
        ("cl_ord_ids", ["a", "b" * 41, "c"], r"cl_ord_ids\[1\]: 'b{41}' has 41 characters, more than 40"),
        ("cl_ord_ids", np.array(["a", "b" * 50, "c"]), r"cl_ord_ids\[1\]: 'b{50}' has 50 characters"),
        ("cl_ord_ids", "d" * 41, "cl_ord_ids: 'd{41}' has 41 characters, more than 40"),
        ("cl_ord_ids", ["a"], r"cl_ord_ids: expected one value or 3 of them, not an array of the shape \(1,\)"),
        ("cl_ord_ids", ["a", "b", "\u00e9"], r"cl_ord_ids\[2\]: '\u00e9' is no ASCII text"),
        ("cl_ord_ids", ["a", "b", "b\0"], r"cl_ord_ids\[2\]: 'b\\x00' is no ASCII text"),
        ("cl_ord_ids", [1, 2, 3], r"cl_ord_ids\[0\]: 1 is no ASCII text"),
        ("cl_ord_id", [b"a", b"b", b"c" * 41], r"cl_ord_id\[2\]: b'c{41}' has 41 characters, more than 40"),
    ],
)
def test_a_value_that_a_commands_field_cannot_hold_is_refused_with_its_place_and_never_changed(
    column: str, values: npt.ArrayLike, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        commands(3, **{column: values})


def test_every_value_that_a_commands_field_can_hold_comes_through() -> None:
    for name in COMMAND.names or ():
        if name == "cl_ord_id":
            continue
        bounds = np.iinfo(COMMAND[name])
        ends = [bounds.min, bounds.max]
        for values in (ends, np.array(ends, COMMAND[name]), np.array(ends, object)):
            assert commands(2, **{name: values})[name].tolist() == ends
        assert commands(2, **{name: bounds.max})[name].tolist() == [bounds.max] * 2
        assert commands(0, **{name: []}).tolist() == []
    assert commands(2, kind=[CommandKind.TIMER, CommandKind.KILL], qty=np.float64(3).astype(np.int8))["kind"].tolist() == [6, 7]
    assert commands(2, order_id=[2**64 - 1, np.int8(1)])["order_id"].tolist() == [2**64 - 1, 1]
    longest = ["x" * 40, "y" * 39 + "~"]
    for texts in (longest, np.array(longest), np.array(longest, "S"), [text.encode() for text in longest]):
        made = commands(2, cl_ord_ids=texts)
        assert made["cl_ord_id"].tolist() == [text.encode() for text in longest]
        assert made["cl_ord_id_length"].tolist() == [40, 40]
    assert commands(2, cl_ord_ids="")["cl_ord_id_length"].tolist() == [0, 0]
    assert commands(2, cl_ord_ids="ab")["cl_ord_id_length"].tolist() == [2, 2]


def test_what_is_no_array_of_bytes_is_no_batch_for_the_native_engine_either() -> None:
    native = _core.Engine(CONFIG.as_tuple())
    batch = commands(1, kind=CommandKind.NEW_ORDER, side=1, ord_type=2, qty=1, price_ticks=1).view(np.uint8)
    for wrong in (batch.astype(np.float64), batch.astype(np.int64), batch.reshape(2, -1), np.repeat(batch, 2)[::2], batch.tolist()):
        with pytest.raises(TypeError):
            native.apply_batch(wrong)
    with pytest.raises(ValueError, match="whole records"):
        native.apply_batch(batch[:-1])
    assert native.last_seq_num() == 0
    assert native.apply_batch(batch).view(REPORT)["order_qty"].tolist() == [1]


def test_a_reserved_byte_in_use_is_a_bad_command() -> None:
    engine = MatchingEngine(CONFIG)
    batch = commands(1, kind=CommandKind.NEW_ORDER, side=1, ord_type=2, qty=1, price_ticks=1, reserved=1)
    assert engine.submit(batch)["reason"].tolist() == [RejectReason.BAD_COMMAND]
    assert engine.last_seq_num == 0


def test_a_cl_ord_id_of_unprintable_bytes_is_a_bad_command_and_changes_nothing() -> None:
    engine = MatchingEngine(CONFIG)
    batch = commands(1, kind=CommandKind.NEW_ORDER, side=1, ord_type=2, qty=1, price_ticks=1)
    batch["cl_ord_id"], batch["cl_ord_id_length"] = b"\x01", 1
    (report,) = engine.submit(batch)
    assert (report["reason"], report["seq_num"], engine.last_seq_num) == (RejectReason.BAD_COMMAND, 0, 0)
    batch["cl_ord_id"], batch["cl_ord_id_length"] = b"x" * 40, 41
    assert engine.submit(batch)["reason"].tolist() == [RejectReason.BAD_COMMAND]


def test_slices_and_strides_of_a_batch_are_taken_as_they_are() -> None:
    batch = commands(6, kind=CommandKind.NEW_ORDER, side=1, ord_type=2, qty=[1, 2, 3, 4, 5, 6], price_ticks=50)
    engine = MatchingEngine(CONFIG)
    assert engine.submit(batch[::2])["order_qty"].tolist() == [1, 3, 5]
    assert engine.submit(batch[:0]).tolist() == []
    assert COMMAND.itemsize == 96


def test_the_package_has_the_engine_and_brings_numpy_only_to_those_who_ask_for_it() -> None:
    code = "import sys, engine; assert 'numpy' not in sys.modules; engine.MatchingEngine; assert 'numpy' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=ROOT)
    with pytest.raises(AttributeError, match="has no attribute 'Matcher'"):
        engine.Matcher  # noqa: B018


def test_the_python_example_runs() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples/matching.py")], capture_output=True, text=True, timeout=60, check=True, cwd=ROOT
    )
    assert "order 4: 100 at 10.01, 150 left" in done.stdout
    assert "book: ((1003, 100),)" in done.stdout


@pytest.mark.e2e
def test_the_c_and_the_c_plus_plus_example_build_against_the_library_alone_and_run(tmp_path: Path) -> None:
    libraries = sorted((ROOT / "build/native").glob("*/libexchange_core.a"), key=lambda path: path.stat().st_mtime)
    assert libraries, "`make setup` leaves the library there"
    flags = [f"-I{ROOT / 'engine/native/include'}", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["gcc", "-std=c11", *flags, "-c", ROOT / "examples/matching.c", "-o", tmp_path / "c.o"], check=True, timeout=60)
    subprocess.run(["g++", "-std=c++20", *flags, "-c", ROOT / "examples/matching.cpp", "-o", tmp_path / "cpp.o"], check=True, timeout=60)
    for name in ("c", "cpp"):
        program = tmp_path / name
        subprocess.run(["g++", tmp_path / f"{name}.o", libraries[-1], "-pthread", "-o", program], check=True, timeout=60)
        done = subprocess.run([program], capture_output=True, text=True, timeout=30, check=True)
        assert done.stdout.splitlines() == [
            "order 4: 100 at 1001", "order 1: 100 at 1001", "order 4: 100 at 1002", "order 2: 100 at 1002", "asks left: 1 levels",
        ]  # fmt: skip


def test_trades_of_a_batch_are_found_by_their_exec_type() -> None:
    engine = MatchingEngine(CONFIG)
    batch = commands(2, kind=CommandKind.NEW_ORDER, side=[1, 2], ord_type=2, firm=[1, 2], qty=4, price_ticks=100)
    trades = engine.submit(batch)
    trades = trades[trades["exec_type"] == ExecType.TRADE]
    assert trades["last_qty"].tolist() == [4, 4]
    assert {tuple(pair) for pair in trades[["order_id", "contra_order_id"]].tolist()} == {(1, 2), (2, 1)}
    assert [row[:3] for row in engine.positions()] == [(1, 0, 4), (2, 0, -4)]
    assert engine.depth(0).last_trade == (100, 4)
    assert engine.indicative(0).qty == 0
    assert engine.next_timer_ns == 0
