"""Exact tests on counts: the right ones for a 1 % canary, where a round sees tens of requests and no normal curve fits.

Both are one-sided and answer "how likely is a count this bad, if the canary were no worse?". Small answers convict. They are summed
term by term with log-gamma, so that thousands of requests neither overflow nor cost more than microseconds a term.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, lgamma, log


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def binomial_tail(k: int, n: int, p: float) -> float:
    """P(X >= k) of n tries with chance p each. k, n >= 0, 0 <= p <= 1."""
    assert 0 <= k <= n, (k, n)
    if k == 0:
        return 1.0
    if p <= 0.0:
        return 0.0
    if p >= 1.0:
        return 1.0
    log_p, log_q = log(p), log(1.0 - p)

    def term(x: int) -> float:
        return exp(_log_choose(n, x) + x * log_p + (n - x) * log_q)

    # From the side that is away from the middle, so that small answers stay exact and the terms die out soon.
    if k > n * p:
        return min(1.0, _sum_falling(term, range(k, n + 1)))
    return max(0.0, 1.0 - _sum_falling(term, range(k - 1, -1, -1)))


def _sum_falling(term: Callable[[int], float], points: range) -> float:
    """Sum of terms that fall along `points`; stops where they no longer count."""
    total = 0.0
    for x in points:
        value = term(x)
        total += value
        if value <= total * 1e-15:  # equal: the first term is too small for a float, and the others are smaller
            break
    return total


def fisher_tail(k: int, n: int, other_k: int, other_n: int) -> float:
    """Fisher's exact test: P(at least k of the k + other_k bad ones fall on this side's n of all n + other_n), both sides being alike."""
    assert 0 <= k <= n, (k, n)
    assert 0 <= other_k <= other_n, (other_k, other_n)
    bad, total = k + other_k, n + other_n
    if bad == 0 or n == 0 or k <= max(0, bad - other_n):
        return 1.0
    whole = _log_choose(total, n)
    high = min(bad, n)

    def term(x: int) -> float:
        return exp(_log_choose(bad, x) + _log_choose(total - bad, n - x) - whole)

    if k * total <= bad * n:
        low = max(0, bad - other_n)
        return max(0.0, 1.0 - _sum_falling(term, range(k - 1, low - 1, -1)))
    return min(1.0, _sum_falling(term, range(k, high + 1)))
