"""Token buckets, one per API key. Time comes in as an argument; nothing here waits."""

from __future__ import annotations

from engine.keys import KeyEntry


class TokenBucket:
    """`burst` requests at once, `rate_per_s` in the long run."""

    def __init__(self, rate_per_s: int, burst: int, now_s: float) -> None:
        self.rate_per_s = rate_per_s
        self.burst = burst
        self._tokens = float(burst)
        self._at_s = now_s

    def take(self, now_s: float) -> float:
        """0.0 when the request may pass, else the seconds until one may."""
        elapsed_s = max(0.0, now_s - self._at_s)
        self._tokens = min(float(self.burst), self._tokens + elapsed_s * self.rate_per_s)
        self._at_s = now_s
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / self.rate_per_s


class RateLimits:
    """The buckets of the known keys: bounded by the keys file, because only a key that was found gets one."""

    def __init__(self) -> None:
        self._buckets: dict[str, TokenBucket] = {}

    def take(self, key: KeyEntry, now_s: float) -> float:
        bucket = self._buckets.get(key.id)
        if bucket is None or bucket.rate_per_s != key.rate_per_s or bucket.burst != key.burst:
            bucket = self._buckets[key.id] = TokenBucket(key.rate_per_s, key.burst, now_s)
        return bucket.take(now_s)

    def forget(self, keep: set[str]) -> None:
        """Drop the buckets of keys that the file no longer has."""
        self._buckets = {key_id: bucket for key_id, bucket in self._buckets.items() if key_id in keep}
