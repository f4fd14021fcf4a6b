"""engine.matching: numpy in and out, and the examples that show each face of the engine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import engine
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


def test_what_is_no_batch_of_commands_is_refused() -> None:
    engine = MatchingEngine(CONFIG)
    with pytest.raises(ValueError, match="COMMAND"):
        engine.submit(np.zeros(3, dtype=REPORT))
    with pytest.raises(ValueError, match="has no field prise_ticks"):
        commands(1, prise_ticks=3)
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
