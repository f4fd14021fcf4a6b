"""The keys file: who may read it, what is wrong with it, whose token it is."""

import hashlib

import pytest

from engine.config import VenueError
from engine.gateway.ratelimit import RateLimits, TokenBucket
from engine.keys import KeyRing, load_keys, new_key, parse_keys, save_keys
from engine.logs import format_line


def entry(key_id="a", **change):
    return {
        "id": key_id,
        "firm": 1,
        "sha256": hashlib.sha256(key_id.encode()).hexdigest(),
        "permissions": ["trade"],
        "rate_per_s": 5,
        "burst": 5,
        **change,
    }


def text(*rows):
    import yaml

    return yaml.safe_dump(list(rows))


def test_a_saved_key_is_found_by_its_token_only(tmp_path):
    path = tmp_path / "keys.yaml"
    token, made = new_key("desk", 7)
    save_keys(path, [made])
    ring = load_keys(path)
    assert ring.find(token) == made
    assert ring.find(token + "x") is None
    assert ring.find("x" * 10_000) is None
    assert ring.find("\ud800") is None
    assert token not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_open_to_others_is_refused_with_the_way_out(tmp_path, mode):
    path = tmp_path / "keys.yaml"
    save_keys(path, [new_key("desk", 7)[1]])
    path.chmod(mode)
    with pytest.raises(VenueError, match="open to others") as error:
        load_keys(path)
    assert f"chmod 600 {path}" in error.value.hint


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(VenueError, match="keys file"):
            load_keys(path)


@pytest.mark.parametrize(
    ("rows", "field"),
    [
        ([entry(firm=0)], "key 0: firm"),
        ([entry(), entry("b", firm="7")], "key 1: firm"),
        ([entry(sha256="abc")], "key 0: sha256"),
        ([entry(permissions=["fly"])], "key 0: permissions"),
        ([entry(permissions=[])], "key 0: permissions"),
        ([entry(permissions=[["trade"]])], "key 0: permissions"),
        ([entry(rate_per_s=0)], "key 0: rate_per_s"),
        ([entry(burst=True)], "key 0: burst"),
        ([entry(id="a b")], "key 0: id"),
        ([entry(colour=1)], "key 0: unknown field colour"),
        ([entry(), entry()], "id: two keys"),
        ([{"id": "a"}], "key 0: firm: missing"),
        (["a"], "key 0"),
        ([], "at least one"),
    ],
)
def test_a_bad_file_names_key_and_field(rows, field):
    with pytest.raises(VenueError, match=field):
        parse_keys(text(*rows), "keys.yaml")


def test_bad_yaml_names_the_line():
    with pytest.raises(VenueError, match=r"keys.yaml:2"):
        parse_keys("- id: a\n  firm: ]\n", "keys.yaml")


def test_an_empty_ring_finds_nobody():
    assert KeyRing([]).find("") is None


def test_a_bucket_gives_its_burst_then_its_rate():
    bucket = TokenBucket(rate_per_s=10, burst=3, now_s=0.0)
    assert [bucket.take(0.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert bucket.take(0.0) == pytest.approx(0.1)
    assert bucket.take(0.1) == 0.0
    assert bucket.take(0.1) > 0
    assert [bucket.take(100.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert bucket.take(100.0) > 0


def test_a_clock_that_steps_back_gives_nothing_away():
    bucket = TokenBucket(rate_per_s=1, burst=1, now_s=10.0)
    assert bucket.take(10.0) == 0.0
    assert bucket.take(5.0) > 0


def test_a_key_whose_rate_changed_gets_a_new_bucket():
    limits = RateLimits()
    _, slow = new_key("a", 1, rate_per_s=1, burst=1)
    _, fast = new_key("a", 1, rate_per_s=9, burst=9)
    assert limits.take(slow, 0.0) == 0.0
    assert limits.take(slow, 0.0) > 0
    assert limits.take(fast, 0.0) == 0.0
    limits.forget(keep=set())
    assert limits.take(slow, 0.0) == 0.0


def test_log_lines_withhold_what_smells_of_a_secret():
    line = format_line(0, "info", "x", {"api_token": "t0p", "Authorization": "Bearer t0p", "key": "desk"})
    assert "t0p" not in line
    assert '"key": "desk"' in line
    assert line.startswith('{"ts": "1970-01-01T00:00:00.000Z", "level": "info", "event": "x"')
