"""The longest files go first, so that no worker is left alone with one at the end."""

from __future__ import annotations

import pytest

LONGEST = (
    "engine/test_native.py",
    "e2e/test_slo.py",
    "e2e/test_slo_core.py",
    "slo/test_zones_year.py",
    "test_house.py",
    "e2e/test_parts.py",
    "e2e/test_slo_routing.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Their order is of no other account: every test stands by itself."""

    def rank(item: pytest.Item) -> int:
        return next((place for place, name in enumerate(LONGEST) if item.path.as_posix().endswith(f"tests/{name}")), len(LONGEST))

    items.sort(key=rank)
