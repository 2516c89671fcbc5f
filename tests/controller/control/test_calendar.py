"""Promises in time: no moment is ever promised twice, and the pool of a link with windows never runs dry."""

import json
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from keyweave_controller.control import admission, calendar
from keyweave_controller.control.actions import Alternative
from keyweave_controller.control.calendar import (
    Taken,
    expiries,
    fit_together,
    is_timed,
    next_time_that_fits,
    room_between,
)
from keyweave_controller.control.configuration import LinkFacts, Policy
from keyweave_controller.control.network import Network
from keyweave_controller.control.optical.windows import Window
from keyweave_controller.control.service import ServiceClass
from keyweave_controller.control.state import (
    Association,
    AssociationState,
    Booking,
    LinkEnd,
    LinkRecord,
    NetworkState,
    PathRecord,
    RequestRecord,
)
from keyweave_core.model.application import AppQos
from keyweave_core.model.link import KeyPool

END = 40  # of all drawn times; the laws are checked at every whole second until then
USABLE = 100
spans = st.lists(st.integers(0, END), min_size=2, max_size=2, unique=True).map(sorted)
rates = st.integers(0, 60)
bookings = st.lists(st.tuples(spans, rates), max_size=6)
reservations = st.lists(st.tuples(rates, st.none() | st.integers(1, END)), max_size=4)


def network(
    windows: tuple[Window, ...] | None = None, *, stored: int = 0, capacity: int = 0
) -> tuple[NetworkState, LinkRecord]:
    """One link from x to y that may promise `USABLE`, or makes key in windows into a pool."""
    end = LinkEnd(counted_pool=KeyPool(stored_bits=stored, capacity_bits=capacity))
    link = LinkRecord(link_id="l", a="x", b="y", skr_bps=USABLE, ends={"x": end})
    state = NetworkState(policy=Policy(usable_share=1.0), links={"l": link})
    if windows is not None:
        state.link_facts["l"] = LinkFacts(link="l", windows=windows)
    return state, link


def fill(link: LinkRecord, held: list, booked: list) -> dict[str, float | None]:
    """Promise these; when what was reserved ends."""
    for place, (rate, _) in enumerate(held):
        link.reserved_bps[f"v{place}"] = rate
    for place, ((start, end), rate) in enumerate(booked):
        app_id = f"a{place}"
        link.bookings[app_id] = Booking(app_id=app_id, rate_bps=rate, starts_at=start, ends_at=end)
    return {f"v{place}": end for place, (_, end) in enumerate(held)}


def promised(link: LinkRecord, ends: dict[str, float | None], moment: float) -> int:
    """By definition."""
    held = sum(rate for one, rate in link.reserved_bps.items() if (ends.get(one) or inf) > moment)
    booked = (one for one in link.bookings.values() if one.starts_at <= moment < one.ends_at)
    return held + sum(one.rate_bps for one in booked)


@given(reservations, bookings, spans)
def test_what_is_said_is_the_most_that_fits_at_every_moment(held: list, booked: list, span: list) -> None:
    state, link = network()
    ends = fill(link, held, booked)
    room = room_between(state, link, *span, at=0, expiry_of=ends.get)
    assert room == USABLE - max(promised(link, ends, moment + 0.5) for moment in range(*span))


@given(bookings, st.integers(0, 50))
def test_accepted_bookings_never_meet_above_the_rate(booked: list, held: int) -> None:
    state, link = network()
    link.reserved_bps["v"] = held
    for place, ((start, end), rate) in enumerate(booked):
        if room_between(state, link, start, end, at=0) >= rate:
            calendar.book(
                state, Booking(app_id=f"a{place}", rate_bps=rate, starts_at=start, ends_at=end), ["l"]
            )
    assert all(promised(link, {}, moment / 4) <= USABLE for moment in range(4 * END))


@given(reservations, bookings, spans, spans)
def test_unbooking_returns_what_booking_took(held: list, booked: list, span: list, own: list) -> None:
    state, link = network()
    ends = fill(link, held, booked)

    def room() -> int:
        return room_between(state, link, *span, at=0, expiry_of=ends.get)

    before, record = room(), dict(link.bookings)
    mine = Booking(app_id="mine", rate_bps=30, starts_at=own[0], ends_at=own[1])
    for _ in range(2):
        calendar.book(state, mine, ["l", "gone"])
    assert room() <= before
    assert room_between(state, link, *span, at=0, expiry_of=ends.get, without="mine") == before
    assert calendar.unbook(state, "mine") == ("l",)
    assert calendar.unbook(state, "mine") == ()
    assert (room(), link.bookings) == (before, record)


def test_a_link_without_times_is_the_ledger_of_now() -> None:
    state, link = network()
    link.reserved_bps.update(v1=30, v2=20)
    path = PathRecord(link_id="v2", nodes=("x", "y"), links=("l",), bandwidth_bps=20, hop_bps=20, since=0)
    for beside in ((), (path,)):
        room = room_between(state, link, 0, None, at=0, beside=beside)
        assert room == admission.available_bps(link, state.policy, beside)
    link.reserved_bps["v3"] = 90
    assert room_between(state, link, 0, None, at=0) == -40
    assert not is_timed(state, link)
    fill(link, [], [((5, 9), 10)])
    assert is_timed(state, link)
    assert room_between(state, link, 8, 8, at=0) == -50  # the moment itself
    assert room_between(state, link, 8, 9, at=9) == -40


def test_what_leaves_now_makes_no_room_for_later() -> None:
    state, link = network()
    link.reserved_bps["v"] = 60
    calendar.book(state, Booking(app_id="a", rate_bps=80, starts_at=20, ends_at=30), ["l"])
    leaving = [PathRecord(link_id="v", nodes=("x", "y"), links=("l",), bandwidth_bps=60, hop_bps=60, since=0)]

    def fits(rate: int, ends_at: float | None, *more: Taken) -> bool:
        taken = Taken(links=("l", "gone"), rate_bps=rate, ends_at=ends_at)
        return fit_together(state, [taken, *more], leaving, at=0, expiry_of=lambda _: 10)

    assert fits(100, 20)
    assert not fits(100, 21)
    assert fits(20, None)
    assert not fits(21, None)
    assert not fits(10, 5, Taken(links=("l",), rate_bps=11, ends_at=None))
    link.bookings.clear()
    assert fits(1_000, None)  # without times it is the ledger's affair


def test_a_snapshot_keeps_what_is_booked_and_what_was_offered() -> None:
    state, link = network()
    fill(link, [], [((5, 9), 10)])
    offered = (Alternative(rate_bps=5, starts_at=1.5, service_class=ServiceClass.BEST_EFFORT, note="n"),)
    state.requests["r"] = RequestRecord(reasons=("full",), alternatives=offered)
    plain = json.loads(json.dumps(Network(state).to_snapshot()))
    back = Network.from_snapshot(plain).state
    assert back.links["l"].bookings == link.bookings
    assert back.requests == state.requests


def test_what_expires_before_does_not_count() -> None:
    state, link = network()
    owner = Association(
        app_id="a",
        source="s",
        destination="d",
        source_node="x",
        destination_node="y",
        qos=AppQos(),
        priority=0,
        state=AssociationState.ACTIVE,
        requested_by="",
        created_at=0,
        changed_at=0,
        expires_at=20,
    )
    state.associations["a"] = owner
    link.reserved_bps.update(v1=30, v2=10)
    of = expiries(state, {"v1": "a"})
    assert (of("v1"), of("v2")) == (20, None)
    assert room_between(state, link, 10, 30, at=0, expiry_of=of) == 60
    assert room_between(state, link, 20, 30, at=0, expiry_of=of) == 90
    assert room_between(state, link, 10, 30, at=0) == 60


@given(reservations, bookings, st.integers(1, 60), st.integers(1, 15), st.integers(0, END))
def test_the_next_time_is_the_first(held: list, booked: list, rate: int, duration: int, after: int) -> None:
    state, link = network()
    ends = fill(link, held, booked)
    found = next_time_that_fits(state, [link], rate, duration, after, 2 * END, at=0, expiry_of=ends.get)
    fitting = (
        moment
        for moment in range(after, 2 * END)
        if room_between(state, link, moment, moment + duration, at=0, expiry_of=ends.get) >= rate
    )
    assert found == next(fitting, None)


@st.composite
def pools(draw: st.DrawFn) -> tuple[tuple[Window, ...], int, int]:
    """Windows that do not overlap, key stored, and how much can be."""
    edges = sorted(draw(st.sets(st.integers(-5, END), max_size=6)))
    pairs = zip(edges[::2], edges[1::2], strict=False)
    windows = tuple(Window(starts_at=a, ends_at=b, rate_bps=draw(rates)) for a, b in pairs)
    capacity = draw(st.integers(0, 2_000))
    return windows, draw(st.integers(0, capacity)), capacity


def lowest(windows: tuple[Window, ...], stored: int, capacity: int, loads: list) -> float:
    """The least that the pool ever holds, second by second."""
    level, least = float(stored), float(stored)
    for second in range(3 * END):
        level += sum(one.rate_bps for one in windows if one.starts_at <= second < one.ends_at)
        level -= sum(rate for rate, start, end in loads if start <= second < end)
        level, least = min(level, capacity), min(least, level)
    return least


@given(pools(), bookings, spans)
def test_a_pool_of_windows_never_runs_dry_and_is_used_to_the_last_bit(
    pool: tuple, booked: list, span: list
) -> None:
    windows, stored, capacity = pool
    state, link = network(windows, stored=stored, capacity=capacity)
    fill(link, [], booked)
    loads = [(rate, *times) for times, rate in booked]
    room = room_between(state, link, *span, at=0)
    if lowest(windows, stored, capacity, loads) < -1:
        assert room == 0  # what is promised cannot be kept as it is
    else:
        assert lowest(windows, stored, capacity, [*loads, (room, *span)]) >= -1
        assert lowest(windows, stored, capacity, [*loads, (room + 1, *span)]) < 0


@given(pools(), bookings, spans, st.integers(1, 10))
def test_a_longer_promise_has_no_more_room(pool: tuple, booked: list, span: list, more: int) -> None:
    windows, stored, capacity = pool
    for state, link in (network(), network(windows, stored=stored, capacity=capacity)):
        fill(link, [], booked)
        longer = room_between(state, link, span[0], span[1] + more, at=0)
        assert longer <= room_between(state, link, *span, at=0)


class TestWindows:
    PASSES = (Window(starts_at=10, ends_at=20, rate_bps=100), Window(starts_at=30, ends_at=40, rate_bps=100))

    def test_key_of_a_pass_serves_until_the_next(self) -> None:
        state, link = network(self.PASSES, capacity=10_000)
        assert is_timed(state, link)
        assert room_between(state, link, 10, 30, at=0) == 50  # 1 000 bits in 20 s
        assert room_between(state, link, 10, None, at=0) == 50  # as far as is known
        assert room_between(state, link, 5, 30, at=0) == 0  # nothing is stored before the first
        assert room_between(state, link, 40, None, at=0) == 0  # no pass is known from then on
        assert room_between(state, link, 50, 60, at=0) == 200  # what was saved up

    def test_the_pool_holds_no_more_than_it_can(self) -> None:
        state, link = network(self.PASSES, capacity=400)
        assert room_between(state, link, 20, 30, at=0) == 40
        state, link = network(self.PASSES, stored=300, capacity=400)
        assert room_between(state, link, 0, 10, at=0) == 30

    def test_a_booking_after_counts_before(self) -> None:
        state, link = network(self.PASSES, capacity=10_000)
        calendar.book(state, Booking(app_id="a", rate_bps=100, starts_at=40, ends_at=55), ["l"])
        assert room_between(state, link, 10, 40, at=0) == 16  # 500 of 2 000 bits are left

    def test_only_the_usable_share_counts(self) -> None:
        state, link = network(self.PASSES, capacity=10_000)
        state.policy = Policy(usable_share=0.5)
        assert room_between(state, link, 10, 20, at=0) == 50

    def test_no_windows_are_no_key(self) -> None:
        state, link = network((), stored=500, capacity=500)
        assert room_between(state, link, 0, None, at=0) == 0
        assert room_between(state, link, 0, 10, at=0) == 50

    def test_the_next_time(self) -> None:
        state, link = network(self.PASSES, capacity=10_000)
        assert next_time_that_fits(state, [link], 50, 20, 0, 100) == 10
        assert next_time_that_fits(state, [link], 200, 10, 0, 100) == 30
        assert next_time_that_fits(state, [link], 300, 10, 0, 100) is None
