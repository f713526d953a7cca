"""How many questions are under way follows what the endpoint bears."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.models.endpoint.rate_limit import AdaptiveConcurrencyLimiter, backoff, retry_after


def run(work):
    return asyncio.run(asyncio.wait_for(work, 20))


def test_it_grows_by_one_an_answer_until_the_first_complaint():
    async def work():
        limiter = AdaptiveConcurrencyLimiter(2, 10)
        for _ in range(12):
            tickets = [await limiter.acquire() for _ in range(int(limiter.limit))]
            for ticket in tickets:
                limiter.release(ticket, overloaded=False)
        return limiter

    limiter = run(work())
    assert int(limiter.limit) == 10


def test_one_complaint_halves_once_for_all_that_were_under_way():
    async def work():
        limiter = AdaptiveConcurrencyLimiter(16, 16)
        tickets = [await limiter.acquire() for _ in range(16)]
        for ticket in tickets:
            limiter.release(ticket, overloaded=True)
        first = limiter.limit
        later = await limiter.acquire()
        limiter.release(later, overloaded=True)
        return first, limiter.limit, limiter.decreases

    assert run(work()) == (8.0, 4.0, 2)


def test_after_a_complaint_it_grows_by_one_a_round():
    async def work():
        limiter = AdaptiveConcurrencyLimiter(8, 8)
        limiter.release(await limiter.acquire(), overloaded=True)
        assert limiter.limit == 4
        for _ in range(4):
            tickets = [await limiter.acquire() for _ in range(4)]
            limiter.release(tickets.pop(), overloaded=False)
            for ticket in tickets:
                limiter.release(ticket, overloaded=None)
        return limiter.limit

    assert 4.8 < run(work()) < 5.0


def test_an_idle_endpoint_does_not_grow():
    async def work():
        limiter = AdaptiveConcurrencyLimiter(8, 100)
        for _ in range(50):
            limiter.release(await limiter.acquire(), overloaded=False)
        return limiter.limit

    assert run(work()) == 8


def test_it_never_falls_below_one_and_nobody_waits_for_ever():
    async def work():
        limiter = AdaptiveConcurrencyLimiter(4, 4)
        for _ in range(10):
            limiter.release(await limiter.acquire(), overloaded=True)
        assert limiter.limit == 1
        order = []

        async def one(number):
            ticket = await limiter.acquire()
            order.append(number)
            await asyncio.sleep(0)
            limiter.release(ticket, overloaded=None)

        await asyncio.gather(*(one(number) for number in range(20)))
        return order, limiter.in_flight

    assert run(work()) == (list(range(20)), 0)


def test_who_is_cancelled_while_waiting_takes_no_place():
    async def work():
        limiter = AdaptiveConcurrencyLimiter(1, 1)
        ticket = await limiter.acquire()
        waiting = [asyncio.create_task(limiter.acquire()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        limiter.release(ticket, overloaded=None)
        waiting[1].cancel()  # it was given the place a moment ago
        second = await waiting[2]
        assert limiter.in_flight == 1
        limiter.release(second, overloaded=None)
        return limiter.in_flight

    assert run(work()) == 0


def test_a_pause_holds_everybody_back():
    async def work():
        limiter = AdaptiveConcurrencyLimiter(4, 4)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        limiter.pause(0.15)
        await asyncio.gather(*(limiter.acquire() for _ in range(4)))
        return loop.time() - begun

    assert run(work()) >= 0.15


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        (" 1.5 ", 1.5),
        ("-4", 0.0),
        ("Fri, 21 Nov 2026 12:00:30 GMT", 30.0),
        ("Fri, 21 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, seconds):
    assert retry_after(value, datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)) == seconds


@given(st.integers(1, 10_000), st.floats(0.01, 10))
def test_pauses_are_bounded_and_never_nothing(tries, first):
    whole = min(60.0, first * 2 ** min(tries - 1, 16))
    assert whole / 2 <= backoff(tries, first) <= whole <= 60


@given(st.lists(st.sampled_from([True, False, None]), max_size=200))
def test_the_limit_stays_between_one_and_the_most(outcomes):
    async def work():
        limiter = AdaptiveConcurrencyLimiter(3, 7)
        for outcome in outcomes:
            tickets = [await limiter.acquire() for _ in range(int(limiter.limit))]
            for ticket in tickets:
                limiter.release(ticket, overloaded=outcome)
            assert 1 <= limiter.limit <= 7
            assert limiter.in_flight == 0

    run(work())
