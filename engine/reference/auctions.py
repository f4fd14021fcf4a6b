"""Call auctions (E5), the states of an instrument, and the timers of the limit state and the halt (E7)."""

from __future__ import annotations

from engine.reference.matching import run_stops
from engine.reference.model import Book, State
from engine.types import ExecType, Indicative, Liquidity, SessionState, Side, TimeInForce

AUCTIONS = (SessionState.OPENING_AUCTION, SessionState.CLOSING_AUCTION)


def indicative(book: Book) -> Indicative:
    """What an uncross would do now: largest volume, then smallest imbalance, then closest to the anchor, then lowest price."""
    bid, ask = book.best_price(Side.BUY), book.best_price(Side.SELL)
    if bid is None or ask is None or bid < ask:
        return Indicative()
    anchor = book.anchor()
    limits = {*book.sides[Side.BUY], *book.sides[Side.SELL]}
    beside = {price + step for price in limits for step in (-1, 1)}  # between two limits every price does the same
    prices = limits | beside | ({anchor} if anchor is not None else set())
    candidates = [_at(book, price) for price in sorted(prices) if ask <= price <= bid]
    return min(
        candidates,
        key=lambda at: (-at.qty, abs(at.imbalance), 0 if anchor is None else abs(at.price_ticks - anchor), at.price_ticks),
    )


def _at(book: Book, price: int) -> Indicative:
    buys = sum(order.leaves_qty for level, orders in book.sides[Side.BUY].items() if level >= price for order in orders)
    sells = sum(order.leaves_qty for level, orders in book.sides[Side.SELL].items() if level <= price for order in orders)
    return Indicative(price, min(buys, sells), buys - sells)


def _uncross(state: State, book: Book, price: int, volume: int) -> None:
    """Trades `volume` at one price, the best buy with the best sell. No protection plays a part in it."""
    while volume:
        buy, sell = next(book.resting(Side.BUY)), next(book.resting(Side.SELL))
        volume -= min(buy.leaves_qty, sell.leaves_qty)
        state.trade(book, price, (buy, Liquidity.AUCTION), (sell, Liquidity.AUCTION))
        book.reference_ticks = price


def change_state(state: State, instrument: int, new: SessionState) -> None:
    """One instrument goes from one state to another: its timer ends, it uncrosses, expires DAY orders, triggers stops, as `new` asks."""
    book = state.books[instrument]
    old, book.state = book.state, new
    book.clear_timers()
    uncrosses = new == SessionState.CONTINUOUS or (new == SessionState.CLOSED and old in AUCTIONS)
    auction = indicative(book) if uncrosses else Indicative()
    state.report(ExecType.SESSION, instrument=instrument, value=new, limit=old, last_px_ticks=auction.price_ticks, last_qty=auction.qty)
    _uncross(state, book, auction.price_ticks, auction.qty)
    if new == SessionState.CLOSED:
        if book.last_trade:
            book.reference_ticks = book.last_trade[0]
        for order in book.orders():
            if order.tif == TimeInForce.DAY:
                state.end(order, ExecType.EXPIRED)
    if new == SessionState.CONTINUOUS:
        run_stops(state, book)


def next_timer(state: State) -> tuple[int, int] | None:
    """(deadline, instrument) of the timer that fires next."""
    timers = [(*book.timer(), instrument) for instrument, book in enumerate(state.books)]
    return min(((deadline, instrument) for kind, deadline, instrument in timers if kind), default=None)


def fire_timers(state: State) -> None:
    """Every timer that is due, each as a step of its own at its own time, until none is."""
    while (due := next_timer(state)) and due[0] <= state.now_ns:
        deadline, instrument = due
        start_step(state, deadline)
        book = state.books[instrument]
        if book.limit_state_until is None:
            change_state(state, instrument, SessionState.CONTINUOUS)
        else:
            book.clear_timers()
            book.state = SessionState.HALTED
            book.halted_until = deadline + state.config.halt_ns
            state.report(ExecType.SESSION, instrument=instrument, value=SessionState.HALTED, limit=SessionState.CONTINUOUS)
    start_step(state, state.now_ns)


def start_step(state: State, step_ns: int) -> None:
    """New deadlines count from `step_ns`; stops look at the trades from here on."""
    state.step_ns = step_ns
    for book in state.books:
        book.step_low = book.step_high = None
