"""Shares as weights: exact, even, small, or refused with the nearest that can be had."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.adapters.haproxy_weights import MAX_WEIGHT, nearest_share, smallest_share, spread, weights_for
from ops.errors import Refused

SHARES = st.fractions(min_value=0, max_value=1, max_denominator=2000)
SERVERS = st.integers(min_value=1, max_value=16)


def reachable_slowly(share: Fraction, stable: int, canary: int) -> set[int]:
    """The obvious twin: every pair of sums that gives the share."""
    return {
        mine + others
        for mine in range(canary, MAX_WEIGHT * canary + 1)
        if (others := mine * (1 - share) / share).denominator == 1 and stable <= others <= MAX_WEIGHT * stable
    }


@given(SHARES, SERVERS, SERVERS)
def test_a_share_is_exact_or_refused(share: Fraction, stable: int, canary: int) -> None:
    try:
        weights = weights_for(share, stable, canary)
    except Refused:
        assert 0 < share < 1
        assert not reachable_slowly(share, stable, canary)
        return
    assert len(weights.stable) == stable
    assert len(weights.canary) == canary
    assert Fraction(sum(weights.canary), sum(weights.canary) + sum(weights.stable)) == share
    for pool in (weights.stable, weights.canary):
        assert max(pool) - min(pool) <= 1
        assert 0 <= min(pool) <= max(pool) <= MAX_WEIGHT
    if 0 < share < 1:
        assert min(weights.stable + weights.canary) > 0, "every server takes part"
        assert sum(weights.stable + weights.canary) == min(reachable_slowly(share, stable, canary))


@given(st.fractions(min_value=Fraction(1, 5000), max_value=Fraction(4999, 5000)), st.integers(1, 4), st.integers(1, 4))
def test_the_nearest_share_can_be_had_and_none_is_nearer(share: Fraction, stable: int, canary: int) -> None:
    nearest = nearest_share(share, stable, canary)
    weights_for(nearest, stable, canary)
    assert smallest_share(stable, canary) <= nearest
    for mine in (canary, 17 * canary, MAX_WEIGHT * canary):
        for others in (stable, 33 * stable, MAX_WEIGHT * stable):
            assert abs(nearest - share) <= abs(Fraction(mine, mine + others) - share)


@given(st.integers(0, 5000), SERVERS)
def test_a_total_is_spread_evenly(total: int, servers: int) -> None:
    weights = spread(total, servers)
    assert sum(weights) == total
    assert max(weights) - min(weights) <= 1


@pytest.mark.parametrize(
    ("share", "stable", "canary", "expected_stable", "expected_canary"),
    [
        (Fraction(1, 1000), 4, 1, (250, 250, 250, 249), (1,)),
        (Fraction(1, 100), 4, 1, (25, 25, 25, 24), (1,)),
        (Fraction(5, 100), 4, 1, (5, 5, 5, 4), (1,)),
        (Fraction(1, 4), 4, 2, (2, 2, 1, 1), (1, 1)),
        (Fraction(1, 2), 4, 2, (1, 1, 1, 1), (2, 2)),
        (Fraction(0), 4, 2, (1, 1, 1, 1), (0, 0)),
        (Fraction(1), 4, 4, (0, 0, 0, 0), (1, 1, 1, 1)),
    ],
)
def test_the_shares_of_a_release(
    share: Fraction, stable: int, canary: int, expected_stable: tuple[int, ...], expected_canary: tuple[int, ...]
) -> None:
    weights = weights_for(share, stable, canary)
    assert (weights.stable, weights.canary) == (expected_stable, expected_canary)


def test_a_tenth_of_a_percent_with_two_stable_gateways_is_refused_with_the_nearest() -> None:
    with pytest.raises(Refused) as refused:
        weights_for(Fraction(1, 1000), 2, 1)
    assert "0.1%" in refused.value.message
    assert "0.1949% (1/513)" in refused.value.hint


def test_a_share_without_canary_processes_is_refused() -> None:
    with pytest.raises(Refused, match="at least one canary"):
        weights_for(Fraction(1, 100), 4, 0)
