"""One round: enter an order that rests, cancel it (pause), send an order that cannot rest (flatten).

What must hold:
- at most one order of the probe's rests at any time, and a new one is entered only when the one before is known to be gone;
- its client_order_id is noted before it is sent, so whatever happens in between (an answer that is lost, a cancel that fails, the
  end of this process) somebody later repeats the id: the venue then names the order that was made (409), and it is cancelled;
- success is what a desk would call one: the venue answered as its interface says, within the bound. A refusal is a failure: a desk
  that is refused cannot flatten.

Where the venue lists no test instrument no order rests: the first one is `ioc` too, and "too late" is the right answer to its cancel.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.flow.client import Answer
from engine.probe.model import Desk, Round, Target
from engine.probe.note import Note


class _Failed(Exception):
    def __init__(self, step: str, reason: str) -> None:
        super().__init__(step)
        self.step, self.reason = step, reason


class Rounds:
    """`new_id` gives a client_order_id that was never used; `clock` is monotonic."""

    def __init__(self, desk: Desk, target: Target, note: Note, new_id: Callable[[], str], clock: Callable[[], float]) -> None:
        self._desk, self._target, self._note, self._new_id, self._clock = desk, target, note, new_id, clock
        self._open_id = note.read()
        """Under this id an order may rest; "" when none does."""

    async def run(self) -> Round:
        """Never raises but when cancelled."""
        began_s = self._clock()
        try:
            await self._pause(await self._enter())
            self._expect("flatten", await self._desk.add(self._target.order(None, may_rest=False)), 201)
        except _Failed as failed:
            return Round(failed.step, failed.reason, self._clock() - began_s)
        return Round("", "", self._clock() - began_s)

    async def withdraw(self) -> bool:
        """Take back what may rest; True when nothing does. At most two bounded calls."""
        if not self._open_id:
            return True
        try:
            # `ioc`: should the first one never have arrived, this one does not rest either.
            await self._pause(await self._ask_id(may_rest=False))
        except _Failed:
            return False
        return True

    async def _enter(self) -> int:
        if not self._open_id:
            fresh = self._new_id()
            try:
                self._note.write(fresh)
            except OSError as error:
                raise _Failed("enter", f"the note cannot be written: {error.strerror}") from error
            self._open_id = fresh
        return await self._ask_id(may_rest=True)

    async def _ask_id(self, *, may_rest: bool) -> int:
        """The order that stands, or stood, under the open id."""
        answer = await self._desk.add(self._target.order(self._open_id, may_rest=may_rest))
        error = answer.body.get("error")
        known = error.get("order_id") if answer.status == 409 and isinstance(error, dict) else None
        order_id = known if known is not None else self._expect("enter", answer, 201).body.get("order_id")
        if isinstance(order_id, bool) or not isinstance(order_id, int):
            raise _Failed("enter", "the answer names no order")
        return order_id

    async def _pause(self, order_id: int) -> None:
        """Gone: cancelled now, or filled, cancelled or ended before."""
        answer = await self._desk.cancel(order_id)
        if _code(answer) != "too_late":
            self._expect("cancel", answer, 200)
        self._open_id = ""

    @staticmethod
    def _expect(step: str, answer: Answer, status: int) -> Answer:
        if answer.status != status or answer.wrong is not None:
            raise _Failed(step, answer.wrong or _code(answer) or f"status {answer.status}")
        return answer


def _code(answer: Answer) -> str:
    error = answer.body.get("error")
    return str(error.get("code", "")) if isinstance(error, dict) else ""
