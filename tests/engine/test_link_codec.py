"""The link's frames: what goes in comes out, however the bytes are cut; what is not a frame is refused, and nothing crashes."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import _core
from engine.types import ALL_INSTRUMENTS

u8, u32, u64 = st.integers(0, 2**8 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
i64 = st.integers(-(2**63), 2**63 - 1)
texts = st.text(max_size=60).filter(lambda value: len(value.encode()) <= 255)
fills = st.lists(st.tuples(u64, i64, i64, u64), max_size=5)
levels = st.lists(st.tuples(i64, i64), max_size=5)

frames = st.one_of(
    st.tuples(st.just("hello"), texts, u64, texts),
    st.tuples(st.just("welcome"), u64, u64, u64),
    st.tuples(st.just("new_order"), u64, u32, u32, u8, u8, u8, i64, i64, texts, i64),
    st.tuples(st.just("cancel"), u64, u32, u64),
    st.tuples(st.just("reduce"), u64, u32, u64, i64),
    st.tuples(st.just("amend"), u64, u32, u64, i64, i64, i64, u32),
    st.tuples(st.just("control"), u64, u8, u32, u32, i64, i64, i64, u64, u8, u8),
    st.tuples(st.just("depth_request"), u64, u32, u32),
    st.tuples(st.just("reply"), u64, u64, u64, u8, u8, i64, i64, i64, fills, i64, i64),
    st.tuples(
        *(st.just("depth"), u64, u64, levels, levels, st.one_of(st.none(), st.tuples(i64, i64))),
        *(u8, st.booleans(), st.tuples(i64, i64, i64)),
    ),
    st.tuples(st.just("logon"), u64, texts),
)


def encode(frame):
    return getattr(_core, f"encode_{frame[0]}")(*frame[1:])


def framed(payload):
    return struct.pack("<II", len(payload) + 4, _core.crc32c(payload)) + payload


@settings(deadline=None)
@given(st.lists(frames, max_size=6), st.lists(st.integers(1, 40), min_size=1, max_size=10))
def test_frames_come_out_as_they_went_in_however_the_bytes_are_cut(sent, cuts):
    data = b"".join(encode(frame) for frame in sent)
    decoder, received, at, turn = _core.FrameDecoder(), [], 0, 0
    while at < len(data):
        size = cuts[turn % len(cuts)]
        received += decoder.feed(data[at : at + size])
        at, turn = at + size, turn + 1
    assert received == sent


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_or_waited_on_and_never_crash(data):
    with contextlib.suppress(_core.LinkError):
        _core.FrameDecoder().feed(data)


@settings(max_examples=500, deadline=None)
@given(st.integers(0, 13), st.binary(max_size=120))
def test_arbitrary_payloads_under_a_right_crc_never_crash(kind, payload):
    with contextlib.suppress(_core.LinkError):
        _core.FrameDecoder().feed(framed(bytes([kind]) + payload))


@settings(max_examples=200, deadline=None)
@given(frames, st.data())
def test_a_flipped_bit_is_noticed(frame, data):
    good = encode(frame)
    at = data.draw(st.integers(4, len(good) - 1))
    bad = bytearray(good)
    bad[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(_core.LinkError):
        _core.FrameDecoder().feed(bytes(bad))


@settings(deadline=None)
@given(frames, st.data())
def test_a_truncated_frame_is_waited_for(frame, data):
    whole = encode(frame)
    cut = data.draw(st.integers(0, len(whole) - 1))
    decoder = _core.FrameDecoder()
    assert decoder.feed(whole[:cut]) == []
    assert decoder.feed(whole[cut:]) == [frame]


@pytest.mark.parametrize("length", [_core.FRAME_MAX + 1, 2**32 - 1, 0, 4])
def test_a_length_out_of_bounds_is_refused_at_once(length):
    with pytest.raises(_core.LinkError):
        _core.FrameDecoder().feed(struct.pack("<II", length, 0))


def test_a_count_larger_than_the_frame_is_refused_without_reserving_for_it():
    payload = bytearray(_core.encode_reply(1, 1, 1, 0, 0, 1, 0, 1, [])[8:])
    payload[-4:] = b"\xff\xff\xff\xff"  # how many fills there are
    with pytest.raises(_core.LinkError):
        _core.FrameDecoder().feed(framed(bytes(payload)))


def test_bytes_left_over_in_a_frame_are_refused():
    with pytest.raises(_core.LinkError):
        _core.FrameDecoder().feed(framed(_core.encode_cancel(1, 1, 1)[8:] + b"\0"))


def test_a_text_that_is_not_utf8_is_refused():
    payload = _core.encode_logon(1, "ab")[8:]
    with pytest.raises(_core.LinkError):
        _core.FrameDecoder().feed(framed(payload[:-2] + b"\xff\xfe"))


def test_a_decoder_stays_closed_after_a_bad_frame():
    decoder = _core.FrameDecoder()
    with pytest.raises(_core.LinkError):
        decoder.feed(struct.pack("<II", 0, 0))
    with pytest.raises(_core.LinkError):
        decoder.feed(_core.encode_cancel(1, 1, 1))


def test_a_reply_with_the_most_fills_a_command_can_have_fits_one_frame():
    fills = [(i, 10**12, 1, i) for i in range(32_000)]
    frame = _core.encode_reply(1, 1, 1, 2, 0, 32_000, 32_000, 0, fills)
    assert len(frame) <= _core.FRAME_MAX + 4
    assert _core.FrameDecoder().feed(frame)[0][9] == fills


def test_what_does_not_fit_a_frame_is_refused_when_it_is_made():
    with pytest.raises(_core.LinkError):
        _core.encode_logon(1, "x" * 256)
    with pytest.raises(_core.LinkError):
        _core.encode_reply(1, 1, 1, 2, 0, 1, 1, 0, [(1, 1, 1, 1)] * 40_000)


def test_a_link_key_of_256_bytes_fits_a_hello_and_a_longer_one_is_refused_at_both_ends():
    hello = _core.encode_hello("gateway", 1, "k" * 256)
    assert _core.FrameDecoder().feed(hello) == [("hello", "gateway", 1, "k" * 256)]
    with pytest.raises(_core.LinkError):
        _core.encode_hello("gateway", 1, "k" * 257)
    payload = hello[8:].replace(struct.pack("<H", 256) + b"k", struct.pack("<H", 257) + b"kk")
    with pytest.raises(_core.LinkError):
        _core.FrameDecoder().feed(framed(payload))


def test_the_crc_is_the_castagnoli_one():
    assert _core.crc32c(b"123456789") == 0xE3069283
    assert _core.crc32c(b"") == 0


def test_what_is_left_out_is_zero_and_continuous():
    frames = _core.encode_new_order(1, 1, 0, 1, 2, 0, 100, 1, "a") + _core.encode_reply(1, 1, 1, 0, 0, 1, 0, 1, [])
    order, reply, depth = _core.FrameDecoder().feed(frames + _core.encode_depth(1, 1, [], [], None))
    assert order[-1] == 0
    assert reply[-2:] == (0, 0)
    assert depth[-3:] == (2, 0, (0, 0, 0))


def test_an_amendment_that_names_no_instrument_means_none():
    assert _core.FrameDecoder().feed(_core.encode_amend(1, 2, 3, 4, 5, 6)) == [("amend", 1, 2, 3, 4, 5, 6, ALL_INSTRUMENTS)]


def test_a_limit_state_is_yes_or_no():
    payload = bytearray(_core.encode_depth(1, 1, [], [], None, 2, True)[8:])
    assert payload[-25] == 1
    payload[-25] = 2
    with pytest.raises(_core.LinkError):
        _core.FrameDecoder().feed(framed(bytes(payload)))
