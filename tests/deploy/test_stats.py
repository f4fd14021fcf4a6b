"""The two exact tests, against the same sums done with whole numbers."""

from __future__ import annotations

from fractions import Fraction
from math import comb, isclose

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.deploy.stats import binomial_tail, fisher_tail


def exact_binomial(k: int, n: int, p: Fraction) -> Fraction:
    return sum((comb(n, x) * p**x * (1 - p) ** (n - x) for x in range(k, n + 1)), Fraction(0))


def exact_fisher(k: int, n: int, other_k: int, other_n: int) -> Fraction:
    bad, total = k + other_k, n + other_n
    ways = sum(comb(bad, x) * comb(total - bad, n - x) for x in range(k, min(bad, n) + 1))
    return Fraction(ways, comb(total, n))


def close(figure: float, exact: Fraction) -> bool:
    return isclose(figure, float(exact), rel_tol=1e-8, abs_tol=1e-12)


counts = st.integers(0, 120).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
chances = st.integers(0, 1000).map(lambda x: Fraction(x, 1000))


@pytest.mark.parametrize(
    ("k", "n", "p"),
    [
        (0, 0, "0"),
        (0, 10, "1/100"),
        (1, 1, "1/100"),
        (1, 20, "1/100"),
        (5, 5, "1/100"),
        (2, 20, "1/100"),
        (10, 20, "1/2"),
        (20, 20, "0.999"),
    ],
)
def test_the_binomial_tail_at_the_counts_of_a_canary(k: int, n: int, p: str) -> None:
    assert close(binomial_tail(k, n, float(Fraction(p))), exact_binomial(k, n, Fraction(p)))


@settings(max_examples=300)
@given(counts, chances)
def test_the_binomial_tail_is_exact(count: tuple[int, int], p: Fraction) -> None:
    assert close(binomial_tail(*count, float(p)), exact_binomial(*count, p))


@given(counts, counts)
def test_fishers_tail_is_exact(one: tuple[int, int], other: tuple[int, int]) -> None:
    if one[1] + other[1]:
        assert close(fisher_tail(*one, *other), exact_fisher(*one, *other))


@pytest.mark.parametrize(("one", "other"), [((2, 20), (0, 1980)), ((3, 20), (10, 1980)), ((20, 20), (20, 20)), ((0, 9), (9, 9))])
def test_fishers_tail_at_the_counts_of_a_canary(one: tuple[int, int], other: tuple[int, int]) -> None:
    assert close(fisher_tail(*one, *other), exact_fisher(*one, *other))


def test_small_answers_keep_their_digits_at_large_counts() -> None:
    """1 - P(X < k) would have lost all of them."""
    assert close_relative(binomial_tail(60, 1_000, 0.01), exact_binomial(60, 1_000, Fraction(1, 100)))
    assert close_relative(fisher_tail(30, 300, 20, 3_000), exact_fisher(30, 300, 20, 3_000))


def close_relative(figure: float, exact: Fraction) -> bool:
    return 0 < exact < Fraction(1, 10**12) and isclose(figure, float(exact), rel_tol=1e-7)


@pytest.mark.parametrize("n", [10**6, 10**9])
def test_large_counts_neither_overflow_nor_leave_the_range(n: int) -> None:
    for k in (0, 1, n // 200, n // 100, n // 50, n):
        assert 0.0 <= binomial_tail(k, n, 0.01) <= 1.0
    assert binomial_tail(n // 50, n, 0.01) < 1e-12
    assert 0.0 <= fisher_tail(n // 1000, n // 10, n // 100, n) <= 1.0


@given(counts, chances)
def test_more_errors_are_never_less_telling(count: tuple[int, int], p: Fraction) -> None:
    k, n = count
    if k < n:
        assert binomial_tail(k + 1, n, float(p)) <= binomial_tail(k, n, float(p)) + 1e-12


@given(counts, chances, chances)
def test_the_tail_grows_with_the_chance(count: tuple[int, int], one: Fraction, other: Fraction) -> None:
    low, high = sorted((one, other))
    assert binomial_tail(*count, float(low)) <= binomial_tail(*count, float(high)) + 1e-12


@given(counts, counts)
def test_fishers_tail_is_a_chance_and_falls_with_more_errors(one: tuple[int, int], other: tuple[int, int]) -> None:
    figure = fisher_tail(*one, *other)
    assert 0.0 <= figure <= 1.0
    if one[0] < one[1]:
        assert fisher_tail(one[0] + 1, one[1], *other) <= figure + 1e-12


@pytest.mark.parametrize("wrong", [(-1, 5), (6, 5)])
def test_impossible_counts_are_a_bug_of_the_caller(wrong: tuple[int, int]) -> None:
    with pytest.raises(AssertionError):
        binomial_tail(*wrong, 0.5)
    with pytest.raises(AssertionError):
        fisher_tail(*wrong, 0, 1)
