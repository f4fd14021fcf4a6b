"""LOBSTER files through REST: every book true, the first difference named, and an instrument that must be empty."""

import asyncio
import dataclasses
import os
from pathlib import Path
from random import Random

import pytest

from engine.config import VenueError
from engine.flow import FlowSettings
from engine.flow.replay import load_recording, orderbook_path, replay
from engine.flow.sample import write_sample

SAMPLES = Path(os.environ.get("LOBSTER_DIR") or Path(__file__).parents[3] / "shared" / "data" / "lobster")
REAL = next(iter(sorted(SAMPLES.glob("*_message_*.csv"))), None)
"""The public sample is not part of this project; $LOBSTER_DIR, or a folder beside the checkout, may hold it."""


@pytest.fixture
def recording(tmp_path):
    return load_recording(*write_sample(tmp_path / "sample", "AAPL", 150, Random(7)))


async def replayed(url, keys, recording, symbol="AAPL"):
    return await asyncio.to_thread(replay, FlowSettings(url, keys.token["desk"]), symbol, recording)


async def test_every_book_of_a_sample_is_true(url, keys, recording):
    result = await replayed(url, keys, recording)
    assert (result.summary, result.difference) == ("150 of 150 books true", None)


async def test_the_first_difference_ends_the_replay_and_is_named(url, keys, recording):
    book = recording.books[99]
    wrong = dataclasses.replace(book, bids=((book.bids[0][0], book.bids[0][1] + 7), *book.bids[1:]))
    altered = dataclasses.replace(recording, books=[*recording.books[:99], wrong, *recording.books[100:]])
    result = await replayed(url, keys, altered)
    assert result.books_true == 99
    assert result.difference.startswith("first difference after message 100: bid level 1: the file has ")


async def test_the_instrument_must_be_empty_at_first(url, keys, recording):
    await replayed(url, keys, recording)
    with pytest.raises(VenueError, match="not empty"):
        await replayed(url, keys, recording)
    assert (await replayed(url, keys, recording, "MSFT")).difference is None


async def test_a_rate_limit_is_waited_out(url, keys, gateway, tmp_path):
    keys.add("steady", firm=9, rate_per_s=30, burst=20)
    gateway._watch.poll()
    few = load_recording(*write_sample(tmp_path / "few", "AAPL", 2, Random(7)))
    result = await asyncio.to_thread(replay, FlowSettings(url, keys.token["steady"], timeout_s=5), "AAPL", few)
    assert result.difference is None


def test_file_names_pair_up_by_convention(tmp_path):
    assert orderbook_path(Path("x/AAPL_a_message_10.csv")) == Path("x/AAPL_a_orderbook_10.csv")
    with pytest.raises(VenueError, match="no order book file"):
        orderbook_path(tmp_path / "aapl.csv")


def test_bad_files_name_file_and_line(tmp_path):
    messages, books = write_sample(tmp_path, "AAPL", 5, Random(7))
    messages.write_text(messages.read_text() + "nonsense\n")
    with pytest.raises(VenueError, match="line 6"):
        load_recording(messages, books)
    messages.write_text("")
    books.write_text("")
    with pytest.raises(VenueError, match="no messages"):
        load_recording(messages, books)


def test_one_seed_is_one_sample(tmp_path):
    first = [path.read_text() for path in write_sample(tmp_path / "a", "AAPL", 50, Random(7))]
    assert first == [path.read_text() for path in write_sample(tmp_path / "b", "AAPL", 50, Random(7))]


@pytest.mark.skipif(REAL is None, reason="no LOBSTER sample on this machine")
async def test_the_real_exchanges_books_come_out_true(url, keys):
    recording = load_recording(REAL, orderbook_path(REAL))
    result = await replayed(url, keys, recording)
    assert (result.difference, result.books_true) == (None, result.books)
