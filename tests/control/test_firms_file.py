"""firms.yaml: what each firm may do, what it takes over from the default, and each mistake named by its firm and field."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import VenueError
from engine.firms import FIELDS, FirmsFile, load_firms, parse_firms
from engine.types import FirmLimits, StpMode

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["decrement", "none"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*FIELDS, "default", "firms"]) | st.integers(), inner, max_size=4)
    ),
    max_leaves=15,
)


def test_a_firm_takes_over_what_it_does_not_name():
    text = """
default: {max_order_quantity: 100, position_limit: 5000, order_rate: 10, burst: 30, self_trade_prevention: cancel_newest}
firms:
  9: {}
  7: {max_order_quantity: 50, self_trade_prevention: none}
"""
    file = parse_firms(text, "f.yaml")
    assert file.default == FirmLimits(100, 5000, 10, 30, StpMode.CANCEL_NEWEST)
    assert list(file.firms.items()) == [(7, FirmLimits(50, 5000, 10, 30, StpMode.NONE)), (9, file.default)]


def test_a_file_of_nothing_limits_nothing():
    assert parse_firms("{}", "f.yaml") == FirmsFile(FirmLimits(), {})


def test_a_burst_that_is_not_named_is_twice_the_rate():
    assert parse_firms("firms: {7: {order_rate: 10}}", "f.yaml").firms[7] == FirmLimits(rate_per_s=10, burst=20)
    assert parse_firms("firms: {7: {order_rate: 10000000}}", "f.yaml").firms[7].burst == 10**7
    assert parse_firms("default: {order_rate: 5}\nfirms: {7: {order_rate: 0}}", "f.yaml").firms[7] == FirmLimits()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "expected a mapping"),
        ("limits: {}", "unknown field 'limits'"),
        ("firms: []", "firms: expected a mapping"),
        ("firms: {seven: {}}", "expected firm numbers"),
        ("firms: {65536: {}}", "expected firm numbers"),
        ("firms: {true: {}}", "expected firm numbers"),
        ("firms: {7: 5}", "firm 7: expected a mapping"),
        ("firms: {7: {colour: red}}", "firm 7: unknown field 'colour'"),
        ("firms: {7: {max_order_quantity: -1}}", "firm 7: max_order_quantity: "),
        ("firms: {7: {max_order_quantity: 1000000001}}", "firm 7: max_order_quantity: "),
        ("firms: {7: {position_limit: 1000000000000001}}", "firm 7: position_limit: "),
        ("firms: {7: {order_rate: 10000001}}", "firm 7: order_rate: "),
        ("firms: {7: {order_rate: 1.5}}", "firm 7: order_rate: "),
        ("firms: {7: {order_rate: 5, burst: 0}}", "firm 7: burst: "),
        ("firms: {7: {burst: 5}}", "firm 7: burst: "),
        ("default: {self_trade_prevention: all}", "default: self_trade_prevention: "),
        ("default: {self_trade_prevention: 1}", "default: self_trade_prevention: "),
        ("firms: {", "not valid YAML"),
    ],
)
def test_a_mistake_names_file_firm_and_field(text, says):
    with pytest.raises(VenueError) as error:
        parse_firms(text, "f.yaml")
    assert error.value.message.startswith("f.yaml")
    assert says in error.value.message


@given(json_values)
def test_no_value_makes_the_parser_raise_anything_else(value):
    import yaml

    try:
        assert isinstance(parse_firms(yaml.safe_dump(value), "f.yaml"), FirmsFile)
    except VenueError as error:
        assert len(error.message) < 1000


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(VenueError, match="limits file"):
        load_firms(tmp_path / "none.yaml")
