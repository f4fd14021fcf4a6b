"""The dead man's hand: when it takes the canary's weight away, and when it leaves it alone."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from ops.conventions import Pool
from ops.deploy import guardian, journal
from ops.errors import StoreCorrupt, Unavailable
from ops.ports import Roles, Split

QUARTER = Fraction(1, 4)


def expose(world: Any, *, ttl_s: float | None = 8.0) -> None:
    """A canary with a quarter of the users, as a `deploy` leaves it that is not there any more (or with a living lease)."""
    world.cluster.start(Pool.GREEN, "1.1.0", 2)
    world.clock.sleep(2.0)
    started = {"version": "1.1.0", "stable_version": "1.0.0", "stable_pool": "blue"}
    world.store.append("release-1", journal.STARTED, started, world.clock.wall_s())
    if ttl_s is not None:
        world.lease.take("release-1", ttl_s)
    world.traffic.meddle(Split(Pool.BLUE, QUARTER))
    world.diary.effects.clear()


def test_a_living_lease_is_left_alone(world: Any) -> None:
    expose(world)
    world.clock.sleep(7.9)
    assert world.guard() == ""
    assert (world.share, world.diary.told()) == (QUARTER, [])


def test_a_lease_that_ran_out_takes_the_weight_and_is_recorded(world: Any) -> None:
    expose(world)
    world.clock.sleep(8.0)
    assert "lease ran out" in world.guard()
    assert world.share == 0
    assert world.diary.told() == ["weight green 0", f"journal {journal.GUARDIAN}", f"journal {journal.WEIGHT_APPLIED}"]
    told = world.events(journal.GUARDIAN)[0]
    assert (told.stream, told.data["share_before"]) == ("release-1", 0.25)


def test_it_acts_once(world: Any) -> None:
    expose(world)
    world.clock.sleep(9.0)
    world.guard()
    assert world.guard() == ""
    assert len(world.events(journal.GUARDIAN)) == 1


def test_weight_without_any_lease_is_taken(world: Any) -> None:
    expose(world, ttl_s=None)
    assert "nobody holds a lease" in world.guard()
    assert world.share == 0
    assert world.events(journal.GUARDIAN)[0].stream == "release-1"


def test_weight_that_belongs_to_no_release_is_recorded_for_the_venue(world: Any) -> None:
    world.cluster.start(Pool.GREEN, "1.1.0", 2)
    world.traffic.meddle(Split(Pool.BLUE, QUARTER))
    assert world.guard()
    assert world.events(journal.GUARDIAN)[0].stream == journal.VENUE


def test_a_canary_without_a_process_is_taken_off_even_under_a_lease(world: Any) -> None:
    expose(world)
    world.cluster.die(Pool.GREEN)
    assert "none of its processes runs" in world.guard()
    assert world.share == 0


def test_one_living_process_is_enough_under_a_lease(world: Any) -> None:
    expose(world)
    world.cluster.die(Pool.GREEN, 1)
    assert world.guard() == ""


def test_users_are_not_sent_to_a_stable_pool_that_is_empty(world: Any) -> None:
    expose(world, ttl_s=None)
    world.cluster.die(Pool.BLUE)
    assert world.guard() == ""
    assert world.share == QUARTER
    assert "act by hand" in world.observer.said[-1]


def test_with_both_pools_empty_the_weight_goes_back(world: Any) -> None:
    expose(world)
    world.cluster.die(Pool.BLUE)
    world.cluster.die(Pool.GREEN)
    assert world.guard()
    assert world.share == 0


def test_no_weight_is_nothing_to_do(world: Any) -> None:
    assert world.guard() == ""
    assert world.diary.told() == []


def test_a_promotion_between_its_looks_is_not_taken_for_a_canary(world: Any) -> None:
    """Roles are written before the lease is released: who sees it released reads the new roles."""
    expose(world)
    world.traffic.meddle(Split(Pool.BLUE, Fraction(1)))
    seen = world.lease.current

    def promoted_after_this_look() -> Any:
        lease = seen()
        world.roles.roles = Roles(Pool.GREEN, {Pool.GREEN: "1.1.0", Pool.BLUE: "1.0.0"})
        world.lease.release(1)
        return lease

    world.lease.current = promoted_after_this_look
    assert world.guard() == ""
    assert world.guard() == ""
    assert world.share == 1


def test_it_is_the_lease_that_is_read_first(world: Any) -> None:
    """The other way round, roles of before and a lease of after a promotion would look like an orphan."""
    expose(world)
    world.traffic.meddle(Split(Pool.BLUE, Fraction(1)))
    read = world.roles.read

    def promoted_after_this_read() -> Roles:
        roles: Roles = read()
        world.roles.roles = Roles(Pool.GREEN, {Pool.GREEN: "1.1.0", Pool.BLUE: "1.0.0"})
        world.lease.release(1)
        return roles

    world.roles.read = promoted_after_this_read
    assert world.guard() == ""
    assert world.share == 1


@pytest.mark.parametrize("broken", ["full", "corrupt"])
def test_a_journal_of_no_use_does_not_keep_the_weight(world: Any, broken: str) -> None:
    expose(world, ttl_s=None)

    def corrupt(*_args: object) -> Any:
        raise StoreCorrupt("the chain breaks at event 1")

    if broken == "full":
        world.store.full = True
    else:
        world.store.events = corrupt
    assert world.guard()
    assert world.share == 0
    assert "not recorded" in world.observer.said[-1]


def test_a_splitter_that_is_away_is_no_look(world: Any) -> None:
    expose(world, ttl_s=None)
    world.traffic.away = True
    with pytest.raises(Unavailable):
        world.guard()


@pytest.mark.parametrize("error", [Unavailable("away"), StoreCorrupt("broken")])
def test_the_watch_outlives_outages_and_tells_them_once(world: Any, error: Exception) -> None:
    expose(world, ttl_s=None)
    looks = []
    read = world.roles.read

    def read_or_fail() -> Roles:
        looks.append(1)
        if len(looks) <= 20:
            raise error
        roles: Roles = read()
        return roles

    world.roles.read = read_or_fail
    guardian.watch(world.process(), world.observer.say, lambda: len(looks) > 25)
    assert world.share == 0
    assert sum("cannot look" in said for said in world.observer.said) == 1


def test_users_of_a_dead_deploy_are_exposed_no_longer_than_its_lease_and_a_look(world: Any, names: Any) -> None:
    def die(effect: Any, done: bool) -> None:
        if str(effect) == "weight green 1/4" and done:
            raise names.death

    world.diary.interrupt = die
    with pytest.raises(names.death):
        world.deploy()
    world.end_process()
    died_s = world.clock.monotonic_s()
    guardian.watch(world.process(), world.observer.say, lambda: world.share == 0)
    assert world.clock.monotonic_s() - died_s <= world.pipeline.lease_s + 2 * guardian.PERIOD_S


def test_a_switch_back_that_begins_while_it_looks_is_not_undone(world: Any) -> None:
    """It read "no lease", then `opsctl rollback` took one and moved the users: acting on the older look would have put them back."""
    world.cluster.start(Pool.GREEN, "1.1.0", 2)
    world.clock.sleep(2.0)
    looked = world.traffic.read

    def meanwhile() -> Any:
        world.traffic.read = looked
        world.lease.take(journal.VENUE, 10.0)
        world.traffic.meddle(Split(Pool.GREEN, Fraction(0)))
        return looked()

    world.traffic.read = meanwhile
    assert world.guard() == ""
    assert world.traffic.share(Pool.GREEN) == 1
