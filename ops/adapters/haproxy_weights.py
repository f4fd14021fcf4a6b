"""Shares of traffic as HAProxy weights, exactly.

A share c/(c+s) is made of whole weights from 1 to 256, one per server, so the canary's sum c lies in m..256m for m canary
servers and the stable pool's in n..256n. The share p/q in lowest terms needs c = kp and s = k(q-p) for a whole k; the
smallest k that gives every server at least 1 gives the shortest round, hence the smoothest mixing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from ops.errors import Refused

MAX_WEIGHT = 256


@dataclass(frozen=True, slots=True)
class Weights:
    """One weight per server, in the pool's order; weights of one pool differ by at most one."""

    stable: tuple[int, ...]
    canary: tuple[int, ...]


def weights_for(share: Fraction, stable: int, canary: int) -> Weights:
    """Weights of `stable` and `canary` servers whose sums give the canary exactly `share`.

    Raises Refused, naming the nearest and the smallest share that can be had, when there are none.
    """
    assert 0 <= share <= 1, f"share {share} is outside 0..1"
    if share == 0:
        _need(stable, share, "stable")
        return Weights((1,) * stable, (0,) * canary)
    if share == 1:
        _need(canary, share, "canary")
        return Weights((0,) * stable, (1,) * canary)
    _need(stable, share, "stable")
    _need(canary, share, "canary")
    p, rest = share.numerator, share.denominator - share.numerator
    k = max(-(-canary // p), -(-stable // rest))
    if k * p > MAX_WEIGHT * canary or k * rest > MAX_WEIGHT * stable:
        raise _unreachable(share, stable, canary)
    return Weights(spread(k * rest, stable), spread(k * p, canary))


def spread(total: int, servers: int) -> tuple[int, ...]:
    """`total` over `servers`, as evenly as whole numbers allow, the larger ones first."""
    each, more = divmod(total, servers)
    return tuple(each + (index < more) for index in range(servers))


def smallest_share(stable: int, canary: int) -> Fraction:
    return Fraction(canary, canary + MAX_WEIGHT * stable)


def nearest_share(share: Fraction, stable: int, canary: int) -> Fraction:
    """The reachable share nearest to `share`; of two equally near, the smaller."""
    return min(_candidates(share, stable, canary), key=lambda found: (abs(found - share), found))


def _candidates(share: Fraction, stable: int, canary: int) -> Iterator[Fraction]:
    low, high = stable, MAX_WEIGHT * stable
    for mine in range(canary, MAX_WEIGHT * canary + 1):
        exact = mine * (1 - share) / share
        for others in (exact.__floor__(), exact.__ceil__()):
            yield Fraction(mine, mine + min(max(others, low), high))


def _need(servers: int, share: Fraction, pool: str) -> None:
    if servers < 1:
        raise Refused(f"a share of {percent(share)} needs at least one {pool} gateway", hint="see `opsctl status`")


def _unreachable(share: Fraction, stable: int, canary: int) -> Refused:
    nearest, smallest = nearest_share(share, stable, canary), smallest_share(stable, canary)
    shape = f"{stable} stable and {canary} canary gateways"
    return Refused(
        f"a canary share of {percent(share)} cannot be had exactly with {shape}: HAProxy's weights end at {MAX_WEIGHT}",
        hint=f"the nearest share is {percent(nearest)} ({nearest}), the smallest {percent(smallest)} ({smallest})",
    )


def percent(share: Fraction) -> str:
    return f"{float(share * 100):.4g}%"
