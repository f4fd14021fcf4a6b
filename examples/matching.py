"""A matching engine in 30 lines: two firms, a batch of orders, what came of it. Run: .venv/bin/python examples/matching.py"""

import numpy as np

from engine.matching import MatchingEngine, commands
from engine.types import CommandKind, EngineConfig, ExecType, InstrumentRules, OrdType, Side, TimeInForce

engine = MatchingEngine(EngineConfig(instruments=(InstrumentRules(max_qty=10_000),)))

# Firm 1 rests three sells; firm 2 buys 250 at up to 10.02, at once or not at all.
sells = commands(
    3, kind=CommandKind.NEW_ORDER, side=Side.SELL, ord_type=OrdType.LIMIT, firm=1, qty=100, price_ticks=[1001, 1002, 1003],
    ts_ns=np.arange(3),
)  # fmt: skip
buy = commands(
    1, cl_ord_ids=["desk-7"], kind=CommandKind.NEW_ORDER, side=Side.BUY, ord_type=OrdType.LIMIT, tif=TimeInForce.IOC, firm=2, qty=250,
    price_ticks=1002, ts_ns=3,
)  # fmt: skip
reports = engine.submit(np.concatenate([sells, buy]))

for report in reports[reports["exec_type"] == ExecType.TRADE]:
    print(f"order {report['order_id']}: {report['last_qty']} at {report['last_px_ticks'] / 100:.2f}, {report['leaves_qty']} left")
print(f"book: {engine.depth(0).asks}, state {engine.state_hash():016x}")

again = MatchingEngine(engine.config, saved=engine.save())
assert again.state_hash() == engine.state_hash()
