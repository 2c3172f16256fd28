"""Turns, timers and backoff of the delaying queue, without a running clock."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from typing_extensions import override

from taskruns.operator.workqueue import DelayingQueue, RateLimiter


def backlog(cap: float = 300.0) -> DelayingQueue[str]:
    return DelayingQueue(RateLimiter(first=1.0, factor=2.0, cap=cap))


def taken(queue: DelayingQueue[str]) -> list[str]:
    keys = []
    while (key := queue.take()) is not None:
        keys.append(key)
    return keys


def test_keys_are_processed_in_the_order_of_their_requests() -> None:
    queue = backlog()
    for key in "abacb":
        queue.add(key)
    assert queue.depth == 3
    assert taken(queue) == ["a", "b", "c"]
    assert (queue.depth, queue.busy) == (0, 3)


def test_a_key_is_processed_serially_and_no_request_is_lost() -> None:
    queue = backlog()
    queue.add("a")
    assert queue.take() == "a"
    queue.add("a")
    queue.add("a")
    assert queue.take() is None
    queue.done("a", None)
    assert taken(queue) == ["a"]


def test_a_key_that_is_requested_again_is_queued_behind_others() -> None:
    queue = backlog()
    queue.add("a")
    queue.take()
    queue.add("b")
    queue.add("a")
    queue.done("a", None)
    assert taken(queue) == ["b", "a"]


def test_a_key_that_is_added_for_later_is_enqueued_then() -> None:
    queue = backlog()
    queue.add_at("a", 50.0)
    queue.add_at("a", 60.0)
    assert queue.take() is None
    assert queue.advance(49.9) == 50.0
    queue.advance(50.0)
    assert taken(queue) == ["a"]
    assert queue.advance(100.0) is None


def test_a_key_that_is_processed_before_is_not_enqueued_later() -> None:
    queue = backlog()
    queue.add_at("a", 50.0)
    queue.add("a")
    queue.take()
    queue.done("a", None)
    assert queue.advance(100.0) is None
    assert queue.depth == 0


@pytest.mark.parametrize(("wake_at", "at"), [(None, 50.0), (40.0, 40.0), (60.0, 50.0)])
def test_a_key_in_progress_can_be_added_for_later(wake_at: float | None, at: float) -> None:
    queue = backlog()
    queue.add("a")
    queue.take()
    queue.add_at("a", 50.0)
    queue.add_at("a", 70.0)
    queue.done("a", wake_at)
    assert queue.advance(0.0) == at


def test_a_key_in_backoff_is_not_enqueued_earlier() -> None:
    queue = backlog()
    queue.add("a")
    queue.take()
    queue.add_at("a", 5.0)
    queue.fail("a", 10.0)
    queue.add_at("a", 10.5)
    assert queue.advance(10.9) == 11.0


def test_a_key_is_requeued_at_its_time() -> None:
    queue = backlog()
    queue.add("a")
    queue.take()
    queue.done("a", 50.0)
    assert queue.advance(49.9) == 50.0
    assert queue.take() is None
    assert queue.advance(50.0) is None
    assert taken(queue) == ["a"]


def test_a_new_time_replaces_the_old_one() -> None:
    queue = backlog()
    for at in (50.0, 20.0, 90.0):
        queue.add("a")
        queue.take()
        queue.done("a", at)
    assert queue.advance(89.0) == 90.0
    assert (queue.depth, queue.sleeping) == (0, 1)


def test_no_time_removes_the_timer() -> None:
    queue = backlog()
    for at in (50.0, None):
        queue.add("a")
        queue.take()
        queue.done("a", at)
    assert queue.advance(1000.0) is None
    assert (queue.depth, queue.sleeping) == (0, 0)


def test_an_event_does_not_wait_for_the_timer() -> None:
    queue = backlog()
    queue.add("a")
    queue.take()
    queue.done("a", 50.0)
    queue.add("a")
    assert taken(queue) == ["a"]


def test_failures_back_off_exponentially_up_to_a_cap() -> None:
    queue = backlog(cap=8.0)
    queue.add("a")
    now, delays = 0.0, []
    for _ in range(6):
        assert queue.take() == "a"
        delays.append(queue.fail("a", now))
        now += delays[-1]
        queue.advance(now)
    assert delays == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


def test_events_do_not_shorten_a_backoff() -> None:
    queue = backlog()
    queue.add("a")
    queue.take()
    queue.fail("a", 0.0)
    queue.add("a")
    assert queue.take() is None
    queue.advance(1.0)
    assert taken(queue) == ["a"]


def test_a_success_resets_the_backoff() -> None:
    queue = backlog()
    queue.add("a")
    queue.take()
    queue.fail("a", 0.0)
    queue.advance(1.0)
    queue.take()
    queue.done("a", None)
    assert queue.failures("a") == 0
    queue.add("a")
    queue.take()
    assert queue.fail("a", 10.0) == 1.0


def test_a_requested_delay_is_honoured() -> None:
    queue = backlog()
    queue.add("a")
    queue.take()
    assert queue.fail("a", 0.0, at_least=30.0) == 30.0
    assert queue.advance(29.0) == 30.0


def test_a_backoff_can_be_limited_but_not_below_the_requested_delay() -> None:
    queue = backlog()
    for failure, expected in ((1, 1.0), (2, 2.0), (3, 3.0), (4, 3.0)):
        queue.add("a")
        queue.take()
        assert queue.fail("a", 0.0, at_most=3.0) == expected, failure
        queue.advance(1e6)
    queue.take()
    assert queue.fail("a", 0.0, at_least=9.0, at_most=3.0) == 9.0


def test_delays_have_jitter_and_never_overflow() -> None:
    backoff = RateLimiter(first=1.0, factor=2.0, cap=10.0, spread=lambda: 0.5)
    assert backoff.delay(1) == 1.5
    assert backoff.delay(10**6) == 15.0


@pytest.mark.parametrize("rounds", [10_000])
def test_replaced_timers_do_not_pile_up(rounds: int) -> None:
    queue = backlog()
    for number in range(rounds):
        queue.add("a")
        queue.take()
        queue.done("a", 1e6 + number)
    assert queue.heap_size < 200


def test_lanes_take_turns() -> None:
    queue: DelayingQueue[str] = DelayingQueue(RateLimiter(), lambda key: key[0])
    for key in ("a1", "a2", "a3", "b1", "c1", "b2"):
        queue.add(key)
    assert taken(queue) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_a_lane_is_limited_until_one_of_its_keys_is_done() -> None:
    queue: DelayingQueue[str] = DelayingQueue(RateLimiter(), lambda key: key[0], at_once=2)
    for key in ("a1", "a2", "a3", "a4", "b1"):
        queue.add(key)
    assert taken(queue) == ["a1", "b1", "a2"]
    queue.done("a1", None)
    assert taken(queue) == ["a3"]
    queue.fail("a2", 0.0)
    assert taken(queue) == ["a4"]


class AnyUse(RuleBasedStateMachine):
    """In any order of calls, a key has one place and no request for it is lost."""

    keys = st.sampled_from("abcd")

    def __init__(self) -> None:
        super().__init__()
        self.queue = backlog()
        self.busy: list[str] = []
        self.requested: set[str] = set()
        self.now = 0.0

    @rule(key=keys)
    def request(self, key: str) -> None:
        self.queue.add(key)
        self.requested.add(key)

    @rule()
    def take(self) -> None:
        key = self.queue.take()
        if key is not None:
            assert key not in self.busy
            self.busy.append(key)
            self.requested.discard(key)

    @rule(delay=st.none() | st.floats(0, 100))
    def succeed(self, delay: float | None) -> None:
        if self.busy:
            self.queue.done(self.busy.pop(0), None if delay is None else self.now + delay)

    @rule()
    def fail(self) -> None:
        if self.busy:
            self.queue.fail(self.busy.pop(0), self.now)

    @rule(seconds=st.floats(0, 400))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.queue.advance(self.now)

    @invariant()
    def counts_agree(self) -> None:
        assert self.queue.busy == len(self.busy)

    @override
    def teardown(self) -> None:
        for key in self.busy:
            self.queue.done(key, None)
        self.queue.advance(self.now + 1e6)
        assert self.requested <= set(taken(self.queue))


TestAnyUse = AnyUse.TestCase
