"""The matching engine in plain Python: the specification of the native one, and the oracle of its tests.

It is written to be obviously right, not fast: an order is one object in one list per price, what an order's firm has open is added up
when somebody asks, and every rule stands in one place. `engine._core.Engine` gives the same reports and the same `state_hash`;
tests/engine/test_lockstep.py holds the two together after every command.

What it does not do: no log, no clock, no threads, no floating point. Time is `ts_ns` of the commands, and never runs backwards.

**One command.** It takes the next seq_num. Every timer that is due by its time fires first, the earliest deadline first (then the lowest
instrument). Then the command itself. A refusal is a report and takes a seq_num too; only what is not well formed (a value without a
name, a firm above 65,535, a time below 0 or above 2^62, a cl_ord_id that is too long or not printable) leaves no trace but one
unnumbered report BAD_COMMAND.

**A new order** is refused for the first of these that holds: its firm used this cl_ord_id before (and the order is remembered); unknown
instrument; a stop with IOC or FOK; price or stop price out of range; quantity out of the instrument's range; the state does not take it
(CLOSED none; MARKET, IOC and FOK in CONTINUOUS only); the firm is killed; its token bucket is empty; larger than the firm's largest order;
priced against itself by more than the instrument's percentage of the last trade (fat finger); a MARKET order worth more than the cap at the
midpoint, a STOP at its stop price; the firm's position could pass its limit if everything of that side traded; no slot to rest in. Else it
is accepted: report NEW, and the next order id. What is refused after the token was taken has used the token.

**Matching** (CONTINUOUS only): the best price first, inside a price the oldest first, at the resting order's price. A MARKET order, and
a STOP that was triggered, goes no further than the collar around the midpoint. The walk ends where the limit ends, after 32,000 resting
orders, and where the next price lies outside the instrument's band. Two orders of one firm do not trade when the incoming one's firm
has a mode for it: the incoming order ends (CANCEL_NEWEST), the resting one is cancelled and the walk goes on (CANCEL_OLDEST), or both
lose the smaller of their quantities (DECREMENT). FOK first makes the same walk without changing anything, and is cancelled unless
that fills it without any quantity being decremented. What is left of another order rests at the tail of its price when it is a LIMIT or
STOP_LIMIT of DAY or GTC, was not stopped by one of these rules, and its own price lies inside the band; else it is CANCELLED, with the
reason COLLAR when it has no price of its own and the other side still holds orders that only the collar keeps from it.

**Stops** wait outside the book, oldest first inside a price. Whenever a trade, a new stop or the return to CONTINUOUS may have reached
one, the loop takes the buy stop with the lowest price at or below the highest trade of this step, else the sell stop with the highest
price at or above the lowest trade, and lets it act as an incoming order; until there is none left. A STOP that is worth more than the
market orders' cap at that moment is CANCELLED instead. A step is the command, or one timer.

**Cancel, reduce, amend** ask, in this order: was this order id ever given (UNKNOWN_ORDER), is it remembered (TOO_LATE), does it belong to
the sender (NOT_OWNER), is it live (TOO_LATE). A reduce keeps priority. An amend keeps it when only the quantity falls; else the
order leaves the book and comes in again under its old id, after the checks for rate, size, fat finger, cap (a STOP that gets worth
more) and position (an order that gets more to trade).

**Auctions.** Out of CONTINUOUS orders rest without matching. The uncross price is the price between the best sell and the best buy with the
largest volume, then the smallest imbalance, then the closest to the anchor (the last trade price, else the reference), then the lowest. An
instrument that becomes CONTINUOUS, or CLOSED out of an auction, trades that volume at that price, in price-time order on both sides;
protections play no part in it. What `indicative` shows is exactly what the uncross does.

**Protection (LULD).** With luld_bps and a reference price there is a band around the reference. An order whose walk is stopped by the band
puts the instrument into the limit state for limit_state_ns, unless it is a FOK, whose walk is only made when nothing stops it. A trade
ends the limit state (LIMIT_STATE 0); if the same order is then stopped by the band, a new one begins at that moment (LIMIT_STATE 1
alone). What no trade ended HALTS the instrument for halt_ns, and then it becomes CONTINUOUS again through an uncross. The reference is
the first trade when there was none, then every uncross price and what the `reference` command sets, and the last trade price at the
close. A walk looks at the band as it stands at each step, a FOK's at the band before its first trade.

**The day.** CLOSED expires DAY orders. Corporate actions change resting orders, positions and prices of a CLOSED instrument; a waiting
sell stop below the last price stays a tick or more below it, a buy stop above it above. end_of_day, when all are CLOSED, reports each
position's day (bought, sold, cash, maker and taker quantity), starts these figures at zero and forgets the orders that are done, with
their cl_ord_ids.

**Order inside an instrument** wherever all of its orders are gone through: buys best price first, sells likewise, buy stops lowest
first, sell stops highest first; inside a price the oldest first. Firms and instruments ascend.
"""

from engine.reference.engine import ReferenceEngine
from engine.reference.model import Digest, config_digest
from engine.reference.reply import make_reply

__all__ = ["Digest", "ReferenceEngine", "config_digest", "make_reply"]
