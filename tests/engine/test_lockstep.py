"""Command sequences that mix everything, through the reference and the native engine: same reports, same state after each command."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from engine.types import (
    Command,
    CommandKind,
    EngineConfig,
    ExecType,
    FirmLimits,
    InstrumentRules,
    RejectReason,
    SessionState,
    Side,
    StpMode,
)
from tests.engine.compare import as_python, explain, first_difference, shrink
from tests.engine.engines import Native, Reference
from tests.engine.flow import CONFIGS, Flow, WideFlow, sequences

SEEDS = range(20)
COMMANDS = 1_500
NEVER_IN_A_FLOW = {RejectReason.LOG_UNAVAILABLE, RejectReason.FILL_LIMIT}


def both(config):
    return lambda: (Reference(config), Native(config))


@settings(max_examples=300, deadline=None)
@given(sequences, st.sampled_from(CONFIGS))
def test_both_engines_give_the_same_reports_and_states_after_every_command(sequence, config):
    difference = first_difference(both(config)(), sequence, len(config.instruments))
    note(as_python(sequence))
    assert not difference, difference


@pytest.mark.parametrize("seed", SEEDS)
def test_both_engines_stay_together_over_days_of_trading(seed):
    config = CONFIGS[seed % len(CONFIGS)]
    difference = explain(both(config), config, Flow(config, seed).commands(COMMANDS))
    assert not difference, difference


@pytest.mark.parametrize("seed", range(4))
def test_both_engines_stay_together_at_prices_far_apart(seed):
    config = EngineConfig((InstrumentRules(), InstrumentRules(reference_ticks=2_500, luld_bps=9_000)), limit_state_ns=30, halt_ns=30)
    difference = explain(both(config), config, WideFlow(config, seed).commands(COMMANDS))
    assert not difference, difference


def test_the_days_of_trading_hold_everything_that_an_engine_can_report():
    seen: Counter[tuple[str, int]] = Counter()
    for seed in SEEDS:
        flow = Flow(CONFIGS[seed % len(CONFIGS)], seed)
        for _ in range(COMMANDS):
            command, reports = flow.next()
            seen["command", command.kind] += 1
            for report in reports:
                seen["exec_type", report.exec_type] += 1
                seen["reason", report.reason] += 1
                seen["liquidity", report.liquidity] += 1
                seen["state", report.value] += report.exec_type == ExecType.SESSION
    expected = [("command", kind) for kind in CommandKind]
    expected += [("exec_type", kind) for kind in ExecType]
    expected += [("reason", reason) for reason in RejectReason if reason not in NEVER_IN_A_FLOW]
    expected += [("liquidity", part) for part in (0, 1, 2, 3)] + [("state", state) for state in SessionState]
    assert [one for one in expected if seen[one] < 5] == []


@pytest.mark.parametrize("stp", [StpMode.NONE, StpMode.CANCEL_OLDEST])
def test_both_engines_end_a_walk_after_the_same_number_of_resting_orders(stp):
    """One walk meets 32,000 resting orders at most, whether it trades with them or cancels them."""
    config = EngineConfig((InstrumentRules(),), FirmLimits(stp=stp))
    resting = [Command(CommandKind.NEW_ORDER, side=Side.SELL, firm=1 + (n % 2), price_ticks=100 + n % 3, qty=1) for n in range(32_002)]
    takers = [
        Command(CommandKind.NEW_ORDER, side=Side.BUY, firm=1, tif=4, price_ticks=200, qty=32_001),
        Command(CommandKind.NEW_ORDER, side=Side.BUY, firm=1, price_ticks=200, qty=32_002),
    ]
    reference, native = both(config)()
    for command in resting:
        assert reference.apply(command) == native.apply(command)
    assert not first_difference((reference, native), takers, 1)
    assert reference.live_orders() == 2


class ForgetsPriority(Reference):
    """A maker goes to the tail of its queue after a partial fill, as in an engine that shipped this."""

    def apply(self, command):
        reports = self.engine.apply(command)
        live = self.engine._state.live
        for report in reports:
            if report.exec_type == ExecType.TRADE and report.order_id in live:
                order = live[report.order_id]
                self.engine._state.remove(order)
                self.engine._state.enter(order)
        return reports


def test_a_broken_engine_is_found_and_shown_with_a_few_commands_that_can_be_pasted():
    config = EngineConfig((InstrumentRules(),))
    difference = explain(lambda: (Reference(config), ForgetsPriority(config)), config, Flow(config, 1).commands(300))
    pasted = [line for line in difference.splitlines() if line.startswith("Command(")]
    assert 3 <= len(pasted) <= 4
    assert "differ" in difference


def test_shrinking_leaves_only_what_is_needed():
    """Also of what names orders by their id: the one that is cancelled here had another id before."""
    config = CONFIGS[0]
    flow = Flow(config, 3)
    flow.commands(200)
    order_id, firm = flow.engine.orders(0)[-1][:2]
    commands = [*Flow(config, 3).commands(200), Command(CommandKind.CANCEL, firm=firm, order_id=order_id)]

    def fails(few):
        engine = Reference(config)
        ends = [(command.kind, engine.apply(command)[-1].exec_type) for command in few]
        return ends[-1:] == [(CommandKind.CANCEL, ExecType.CANCELLED)]

    few = shrink(config, commands, fails)
    assert [command.kind for command in few] == [CommandKind.NEW_ORDER, CommandKind.CANCEL]
    assert few[1].order_id == 2 < order_id
