"""What an order flow sends, and what comes out of it. Frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

REQUEST_TIMEOUT_S = 6.0
"""Past the gateway's own bound of 5 s, so that its "outcome unknown" is heard before this gives up."""
MAX_IN_FLIGHT = 256


@dataclass(frozen=True, slots=True)
class Add:
    """A new order. Prices are decimal texts, None where the type has none; `rests` says whether a cancel may name it later."""

    symbol: str
    side: str
    ord_type: str
    price: str | None
    qty: int
    time_in_force: str | None = None
    client_order_id: str | None = None
    rests: bool = True
    stop_price: str | None = None


@dataclass(frozen=True, slots=True)
class CancelOf:
    """Cancel what the `index`-th intent of this flow added. `symbol`: what to look at when that order is not known (yet)."""

    index: int
    symbol: str


@dataclass(frozen=True, slots=True)
class Look:
    """Read the order book."""

    symbol: str


@dataclass(frozen=True, slots=True)
class AmendOf:
    """Give what the `index`-th intent added another price, another total quantity, or both. `symbol`: as for CancelOf."""

    index: int
    symbol: str
    price: str | None = None
    order_qty: int | None = None


Intent = Add | CancelOf | AmendOf | Look


@dataclass(frozen=True, slots=True)
class FlowSettings:
    """`rate_per_s` requests on an open-loop schedule, until `duration_s`, `count` or the source's end, whichever is first.

    `token` is the API key. It has no place in a repr.
    """

    url: str
    token: str = field(repr=False)
    rate_per_s: float = 400.0
    duration_s: float | None = None
    count: int | None = None
    max_in_flight: int = MAX_IN_FLIGHT
    timeout_s: float = REQUEST_TIMEOUT_S


@dataclass(frozen=True, slots=True)
class FlowResult:
    """Totals of a run, or of a run so far. Latencies are milliseconds from the scheduled arrival to the whole answer.

    `wrong` counts by kind: http_5xx, connection, timeout, invalid_body. Refusals that the venue owes its members (an order
    already filled, a rate limit) are answers, not wrong ones; `by_status` shows them.
    """

    requests: int
    seconds: float
    orders_acked: int
    by_status: Mapping[int, int]
    wrong: Mapping[str, int]
    by_version: Mapping[str, int]
    by_gateway: Mapping[str, int]
    wrong_by_version: Mapping[str, int]
    latency_ms_p50: float
    latency_ms_p99: float
    latency_ms_max: float

    @property
    def wrong_answers(self) -> int:
        return sum(self.wrong.values())

    def as_dict(self) -> dict[str, object]:
        """Plain data for --output json; the keys are part of the interface."""
        return {
            "requests": self.requests,
            "seconds": round(self.seconds, 3),
            "orders_acked": self.orders_acked,
            "by_status": {str(status): count for status, count in sorted(self.by_status.items())},
            "wrong_answers": self.wrong_answers,
            "wrong": dict(sorted(self.wrong.items())),
            "by_version": dict(sorted(self.by_version.items())),
            "by_gateway": dict(sorted(self.by_gateway.items())),
            "wrong_by_version": dict(sorted(self.wrong_by_version.items())),
            "latency_ms": {"p50": self.latency_ms_p50, "p99": self.latency_ms_p99, "max": self.latency_ms_max},
        }
