"""The instruments' guards, from YAML to what the core is told: exact, bounded, and each mistake named by its field."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import VenueError, default_instruments_path, in_ticks, load_instruments, parse_instruments
from engine.instruments import engine_config, instruments_digest
from engine.types import FirmLimits, SessionState, StpMode

PLAIN = '- {symbol: A, tick_size: "0.01", max_quantity: 1000%s}'
GUARDS = {
    "reference_price": ("150.10", "reference_ticks", 15010),
    "price_band": ("5%", "luld_bps", 500),
    "market_collar": ("0.25%", "collar_bps", 25),
    "market_notional_cap": ("1000000", "market_notional_cap", 100_000_000),
    "fat_finger": ("200%", "fat_finger_pct", 200),
    "initial_state": ("pre_open", "initial_state", SessionState.PRE_OPEN),
}


def parsed(**fields):
    return parse_instruments(PLAIN % "".join(f", {name}: {value}" for name, value in fields.items()), "i.yaml")[0]


def quoted(**fields):
    return parsed(**{name: f'"{value}"' for name, value in fields.items()})


@pytest.mark.parametrize("name", GUARDS)
def test_a_guard_that_is_named_is_on_and_the_others_stay_off(name):
    text, attribute, value = GUARDS[name]
    one = quoted(**{name: text})
    assert getattr(one, attribute) == value
    for other, (_, field, _) in GUARDS.items():
        if other not in (name, "initial_state"):
            assert getattr(one, field) == 0
    assert (one.initial_state is SessionState.CONTINUOUS) == (name != "initial_state")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("reference_price", ["0", '"0"', '"150.105"', '"-1"', '"10000000.01"', '"1e3"', '"x"', '""', "150.10", "null", "[]", '" 1"']),
        ("price_band", ["5", '"0%"', '"100%"', '"5.001%"', '"-5%"', '"5"', "null", "true", '"% 5"', '"99999999999%"']),
        ("market_collar", ["0.05", '"0%"', '"100%"', "{}"]),
        ("market_notional_cap", ["1000000", '"0"', '"0.001"', '"99999999999999999999"', '"1_000"']),
        ("fat_finger", ["200", '"100%"', '"100.5%"', '"200.5%"', '"10001%"']),
        ("initial_state", ["open", "2", "CONTINUOUS", "null"]),
    ],
)
def test_a_value_that_is_no_guard_is_refused_by_file_place_and_field(name, values):
    for value in values:
        with pytest.raises(VenueError, match=rf"^i\.yaml: instrument 0: {name}: ") as error:
            parsed(**{name: value})
        assert error.value.exit_code == 2


def test_an_unknown_field_is_named():
    with pytest.raises(VenueError, match="unknown field lot_size"):
        parsed(lot_size=100)


@given(st.integers(1, 9999))
def test_every_percentage_of_two_decimals_is_read_exactly(bps):
    assert quoted(price_band=f"{bps // 100}.{bps % 100:02d}%").luld_bps == bps


@given(st.integers(1, 10**9), st.sampled_from(["0.01", "0.05", "1", "0.00000001", "2.5", "1E+1"]))
def test_money_is_counted_in_ticks_without_rounding(ticks, tick):
    assert in_ticks(ticks * Decimal(tick), Decimal(tick)) == ticks
    assert in_ticks(ticks * Decimal(tick) + Decimal(tick) / 3, Decimal(tick)) is None


@given(st.text(max_size=12))
def test_no_text_in_a_guard_makes_the_parser_raise_anything_else(text):
    for name in GUARDS:
        try:
            parse_instruments(PLAIN % f", {name}: '{text.replace(chr(39), chr(39) * 2)}'", "i.yaml")
        except VenueError as error:
            assert "i.yaml" in error.message


def test_the_digest_covers_every_guard():
    digests = {instruments_digest([quoted(**{name: text})]) for name, (text, _, _) in GUARDS.items()}
    assert len(digests | {instruments_digest([parsed()])}) == len(GUARDS) + 1


def test_the_core_is_told_every_field_in_its_place():
    one = quoted(**{name: text for name, (text, _, _) in GUARDS.items()})
    limits = FirmLimits(1000, 5000, 10, 20, StpMode.DECREMENT)
    config = engine_config([one], limits, partitions=4, partition=2)
    assert config == ([(1000, 15010, 500, 25, 100_000_000, 200, 0)], (1000, 5000, 10, 20, 3), 1 << 24, 15 * 10**9, 300 * 10**9, 4, 2)


def test_without_guards_and_limits_nothing_is_limited():
    assert engine_config([parsed()])[:2] == ([(1000, 0, 0, 0, 0, 0, 2)], (0, 0, 0, 0, 0))


def test_the_packaged_shares_have_a_collar_a_cap_and_a_wide_fat_finger_but_no_band():
    """Order flows of different seeds trade them up to 7.5 times apart; a band around the first trade would halt them."""
    for one in load_instruments(default_instruments_path()):
        assert (one.collar_bps, one.market_notional_cap, one.fat_finger_pct) == (500, 100_000_000, 1000)
        assert (one.luld_bps, one.reference_ticks, one.initial_state) == (0, 0, SessionState.CONTINUOUS)
