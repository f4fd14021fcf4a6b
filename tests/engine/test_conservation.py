"""Whatever is sent, nothing appears and nothing vanishes: quantities, positions and cash, after every single command, on both engines."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from engine.types import ExecType, Liquidity, OrdStatus, SessionState, Side
from tests.engine.engines import KINDS, make_engine
from tests.engine.flow import CONFIGS, Flow

COMMANDS = 600
DONE = (OrdStatus.FILLED, OrdStatus.CANCELLED, OrdStatus.EXPIRED, OrdStatus.REJECTED)


@pytest.fixture(params=[(kind, seed) for kind in KINDS for seed in range(6)], ids=lambda param: f"{param[0]}-{param[1]}")
def run(request):
    """(engine, reports of each command), one command after the other; no corporate actions, which change positions."""
    kind, seed = request.param
    config = CONFIGS[seed % len(CONFIGS)]
    flow = Flow(config, seed, splits=False)
    engine = make_engine(kind, config)
    return config, engine, (engine.apply(flow.next()[0]) for _ in range(COMMANDS))


def instruments(config):
    return range(len(config.instruments))


def test_what_one_firm_gains_the_others_lose(run):
    _, engine, steps = run
    moved = 0
    for _ in steps:
        sums = defaultdict(lambda: [0] * 4)
        for _, instrument, net, _, _, bought, sold, cash, _, _ in engine.positions():
            sums[instrument] = [total + part for total, part in zip(sums[instrument], (net, bought, -sold, cash), strict=True)]
            moved += bought + sold
        assert all((net, bought + sold, cash) == (0, 0, 0) for net, bought, sold, cash in sums.values())
    assert moved > 0


def test_positions_are_the_sums_of_the_reported_fills(run):
    _, engine, steps = run
    cells = defaultdict(lambda: [0] * 6)
    for reports in steps:
        for report in reports:
            cell = cells[report.firm, report.instrument]
            if report.exec_type == ExecType.TRADE:
                qty, buys = report.last_qty, report.side == Side.BUY
                cell[0] += qty if buys else -qty
                cell[1 if buys else 2] += qty
                cell[3] += -qty * report.last_px_ticks if buys else qty * report.last_px_ticks
                cell[4] += qty if report.liquidity == Liquidity.MAKER else 0
                cell[5] += qty if report.liquidity == Liquidity.TAKER else 0
            elif report.exec_type == ExecType.SETTLEMENT:
                told = [report.leaves_qty, report.order_qty, report.cum_qty, report.cum_notional, report.value, report.limit]
                assert (told, report.last_qty) == (cell, cell[1] - cell[2])
                cell[1:] = [0] * 5
        for firm, instrument, net, _, _, *day in engine.positions():
            assert cells[firm, instrument] == [net, *day]


def test_every_trade_has_two_sides_of_the_same_price_and_quantity(run):
    config, engine, steps = run
    trade_ids = []
    for reports in steps:
        trades = [report for report in reports if report.exec_type == ExecType.TRADE]
        for one, two in zip(trades[::2], trades[1::2], strict=True):
            assert (one.trade_id, one.last_px_ticks, one.last_qty) == (two.trade_id, two.last_px_ticks, two.last_qty)
            assert (one.contra_order_id, two.contra_order_id) == (two.order_id, one.order_id)
            assert {one.side, two.side} == set(Side)
            assert one.last_qty > 0
            assert sorted((one.liquidity, two.liquidity)) in ([Liquidity.MAKER, Liquidity.TAKER], [Liquidity.AUCTION, Liquidity.AUCTION])
            trade_ids.append(one.trade_id)
        assert len(trade_ids) == engine.trades()
    assert trade_ids == [n * config.partitions + config.partition + 1 for n in range(len(trade_ids))]
    assert trade_ids


def test_an_orders_reports_add_up_from_its_acceptance_to_its_end(run):
    config, engine, steps = run
    last, filled, notional = {}, Counter(), Counter()
    exec_id = 0
    for reports in steps:
        for report in reports:
            if report.exec_id:
                exec_id += 1
                assert (report.exec_id, report.seq_num) == (exec_id, engine.last_seq_num())
            if report.exec_type in (ExecType.REJECTED, ExecType.CANCEL_REJECTED) or not report.order_id:
                continue
            before = last.get(report.order_id)
            assert (before is None) == (report.exec_type == ExecType.NEW)
            assert before is None or before.ord_status not in DONE, "a report of an order that was done"
            if report.exec_type == ExecType.TRADE:
                filled[report.order_id] += report.last_qty
                notional[report.order_id] += report.last_qty * report.last_px_ticks
                assert report.leaves_qty == before.leaves_qty - report.last_qty
            assert (report.cum_qty, report.cum_notional) == (filled[report.order_id], notional[report.order_id])
            if report.ord_status in DONE:
                assert report.leaves_qty == 0
                assert (report.ord_status == OrdStatus.FILLED) == (
                    report.cum_qty == report.order_qty != 0 and report.exec_type == ExecType.TRADE
                )
            else:
                assert report.order_qty == report.cum_qty + report.leaves_qty
                assert report.ord_status == (OrdStatus.PARTIALLY_FILLED if report.cum_qty else OrdStatus.NEW)
            last[report.order_id] = report
        told = {
            order_id: (report.leaves_qty, report.cum_qty, report.cum_notional) for order_id, report in last.items() if report.leaves_qty
        }
        resting = {row[0]: row[-3:] for instrument in instruments(config) for row in engine.orders(instrument)}
        assert told == resting
        assert len(resting) == engine.live_orders()


def test_levels_and_open_quantities_are_the_sums_of_their_orders(run):
    config, engine, steps = run
    for _ in steps:
        opened = Counter()
        for instrument in instruments(config):
            levels = {Side.BUY: Counter(), Side.SELL: Counter()}
            for _, firm, _, side, _, _, untriggered, price, _, leaves, _, _ in engine.orders(instrument):
                opened[firm, instrument, side] += leaves
                if not untriggered:
                    levels[side][price] += leaves
            bids, asks, *_ = engine.depth(instrument, 1_000)
            assert (bids, asks) == (sorted(levels[Side.BUY].items(), reverse=True), sorted(levels[Side.SELL].items()))
        for firm, instrument, _, open_buy, open_sell, *_ in engine.positions():
            assert (open_buy, open_sell) == (opened.pop((firm, instrument, 1), 0), opened.pop((firm, instrument, 2), 0))
        assert not opened


def test_no_book_is_crossed_in_continuous_trading_and_no_waiting_stop_was_reached_by_the_last_trade(run):
    config, engine, steps = run
    for _ in steps:
        for instrument in instruments(config):
            bids, asks, last_trade, state, _, indicative = engine.depth(instrument, 1)
            if state != SessionState.CONTINUOUS:
                continue
            assert not bids or not asks or bids[0][0] < asks[0][0]
            assert tuple(indicative) == (0, 0, 0)
            for row in engine.orders(instrument) if last_trade else ():
                assert not row[6] or (row[8] > last_trade[0] if row[3] == Side.BUY else row[8] < last_trade[0])


def test_nobody_has_more_than_a_limit_allows_when_every_open_order_of_a_side_trades(run):
    """Limits may be lowered below what a firm has; so this looks at firms whose limit never changed."""
    config, engine, steps = run
    most = config.default_limits.position_limit
    changed = set()
    for reports in steps:
        changed |= {report.firm for report in reports if report.exec_type == ExecType.CONTROL}
        for firm, _, net, open_buy, open_sell, *_ in engine.positions():
            assert not most or firm in changed or (net + open_buy <= most and open_sell - net <= most)
    assert engine.last_seq_num() > COMMANDS // 2
