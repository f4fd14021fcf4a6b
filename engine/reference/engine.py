"""The engine itself: one command after the other, and what can be asked in between."""

from __future__ import annotations

from engine.reference import controls, orders
from engine.reference.auctions import fire_timers, indicative, next_timer
from engine.reference.model import Digest, State, check_config, config_digest
from engine.reference.reply import make_reply
from engine.reference.risk import well_formed
from engine.types import (
    Command,
    CommandKind,
    Depth,
    EngineConfig,
    ExecType,
    Indicative,
    OrdStatus,
    RejectReason,
    Reply,
    Report,
    SessionState,
    Side,
)

ORDER_COMMANDS = {
    CommandKind.NEW_ORDER: orders.new_order,
    CommandKind.CANCEL: orders.cancel,
    CommandKind.REDUCE: orders.reduce,
    CommandKind.AMEND: orders.amend,
}
CONTROLS = {
    CommandKind.SESSION: controls.session,
    CommandKind.TIMER: controls.timer,
    CommandKind.KILL: controls.kill,
    CommandKind.LIMITS: controls.limits,
    CommandKind.MASS_CANCEL: controls.mass_cancel,
    CommandKind.CORPORATE_ACTION: controls.corporate_action,
    CommandKind.END_OF_DAY: controls.end_of_day,
    CommandKind.REFERENCE: controls.reference,
}


class ReferenceEngine:
    """One partition of the venue. Gives the same reports and hashes as `engine._core.Engine`; the rules: `engine.reference`."""

    def __init__(self, config: EngineConfig) -> None:
        """Raises ValueError on a configuration that makes no sense."""
        check_config(config)
        self._state = State(config)

    def apply(self, command: Command) -> list[Report]:
        """Applies one command under the next seq_num. A refusal is a report too."""
        state = self._state
        if not well_formed(command):
            return [Report(exec_type=ExecType.REJECTED, ord_status=OrdStatus.REJECTED, reason=RejectReason.BAD_COMMAND)]
        state.seq_num += 1
        state.now_ns = max(state.now_ns, command.ts_ns)
        state.reports = []
        fire_timers(state)
        kind = CommandKind(command.kind)
        if kind in ORDER_COMMANDS:
            ORDER_COMMANDS[kind](state, command)
        else:
            controls.answer(state, command, CONTROLS[kind](state, command))
        return state.reports

    def reply(self, command: Command) -> Reply:
        """Applies one command; returns what its sender is told."""
        return make_reply(command, self.apply(command))

    def depth(self, instrument: int, levels: int) -> Depth:
        """The best levels of each side; empty for an unknown instrument."""
        state = self._state
        if not 0 <= instrument < len(state.books):
            return Depth(state.seq_num, (), (), None)
        book = state.books[instrument]
        return Depth(
            state.seq_num,
            tuple(book.levels(Side.BUY, levels)),
            tuple(book.levels(Side.SELL, levels)),
            book.last_trade,
            SessionState(book.state),
            book.limit_state_until is not None,
            indicative(book),
        )

    def indicative(self, instrument: int) -> Indicative:
        """What an uncross would do now; zeros for an unknown instrument."""
        books = self._state.books
        return indicative(books[instrument]) if 0 <= instrument < len(books) else Indicative()

    def next_timer_ns(self) -> int:
        """When the earliest timer is due; 0: none runs. Somebody must send a command with that time or a later one."""
        due = next_timer(self._state)
        return due[0] if due else 0

    def orders(self, instrument: int) -> list[tuple[int, ...]]:
        """(order_id, firm, instrument, side, ord_type, tif, untriggered, price, stop price, leaves, cum, cum_notional) of every live order
        in the order in which all rules go through them."""
        books = self._state.books
        if not 0 <= instrument < len(books):
            return []
        return [
            (order.order_id, order.firm, instrument, order.side, order.ord_type, order.tif, order.untriggered, *order.words()[5:])
            for order in books[instrument].orders()
        ]

    def positions(self) -> list[tuple[int, ...]]:
        """(firm, instrument, net, open_buy, open_sell, bought, sold, cash, maker_qty, taker_qty), ascending."""
        return self._state.positions()

    def last_seq_num(self) -> int:
        """The last command that was well formed; 0 before the first."""
        return self._state.seq_num

    def live_orders(self) -> int:
        """Resting orders and waiting stops."""
        return len(self._state.live)

    def trades(self) -> int:
        """Executions since the start."""
        return self._state.trade_count

    def config_digest(self) -> int:
        """What a log of this engine is bound to."""
        return config_digest(self._state.config)

    def state_hash(self) -> int:
        """Covers everything that a later report can depend on: two engines with the same hash answer every further command alike."""
        state, digest = self._state, Digest()
        digest.word(config_digest(state.config), state.seq_num, state.accepted_count, state.trade_count)
        digest.word(state.exec_id, state.now_ns, state.accepted_digest.value)
        for book in state.books:
            digest.word(book.state, book.reference_ticks, *(book.last_trade or (0, 0)), *book.timer())
            for side in Side:
                for price, qty in book.levels(side, len(book.sides[side])):
                    digest.word(price, qty)
                    for order in book.sides[side][price]:
                        digest.word(*order.words())
            for order in book.orders():
                if order.untriggered:
                    digest.word(*order.words())
        for firm_id, firm in sorted(state.firms.items()):
            digest.word(firm_id, *firm.limits.as_tuple(), firm.killed, firm.tokens, firm.last_ns)
        for row in state.positions():
            digest.word(*row)
        return digest.value
