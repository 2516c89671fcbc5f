"""RFC 5277: subscriptions, replay, stop times, slow readers."""

import pytest
from lxml import etree

from keyweave_core.netconf.data.selection import SubtreeSelection
from keyweave_core.netconf.protocol.messages import notification_bytes, parse_xml, read_notification
from keyweave_core.netconf.server.events.event_log import EventLog
from keyweave_core.netconf.server.events.outlet import Outlet
from keyweave_core.netconf.server.events.stream import EventStream, Subscription, Verdict, matcher
from keyweave_core.runtime.clock import ManualClock, date_and_time

START = 1_700_000_000.0


def event(name: str, inner: str = "") -> etree._Element:
    return parse_xml(f'<{name} xmlns="urn:e">{inner}</{name}>'.encode())


def subtree(filters: list[etree._Element]) -> Verdict:
    return matcher(SubtreeSelection(filters, max_cost=1000, max_elements=10))


class Reader:
    """A subscriber that can stop reading after some messages, and its manner."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.room = 10_000
        self.dropped = ""
        self.tolerant = False  # told of a loss instead of dropped
        self.over = 0
        self.outlet = Outlet(self.write, self.drop)

    def write(self, message: bytes) -> None:
        self.got.append(etree.QName(read_notification(parse_xml(message)).content).localname)
        self.room -= 1
        if self.room <= 0:
            self.outlet.pause()

    def drop(self, reason: str) -> None:
        self.dropped = reason

    def read_on(self, room: int) -> None:
        self.room = room
        self.outlet.resume()

    def replayed(self) -> bytes:
        return b"<replayComplete/>"

    def completed(self) -> bytes:
        return b"<notificationComplete/>"

    def ended(self) -> None:
        self.over += 1

    def lost(self) -> bool:
        if self.tolerant:
            self.outlet.send(notification_bytes("now", b"<suspended/>"))
        else:
            self.drop("too slow")
        return self.tolerant

    def found_again(self) -> None:
        self.outlet.send(notification_bytes("now", b"<resumed/>"))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def stream(clock: ManualClock) -> EventStream:
    return EventStream(clock=clock, max_events=10, max_bytes=10_000)


def subscribe(stream: EventStream, clock: ManualClock, reader: Reader, **more) -> Subscription:
    subscription = Subscription(stream.log, clock=clock, outlet=reader.outlet, manner=reader, **more)
    reader.outlet.attach(subscription)
    stream.add(subscription)
    return subscription


def test_live_events_only_without_a_start_time(stream, clock) -> None:
    reader = Reader()
    stream.publish(event("before"))
    subscription = subscribe(stream, clock, reader)
    stream.publish(event("one"))
    stream.publish(event("two"))
    stream.remove(subscription)
    stream.publish(event("after"))
    assert reader.got == ["one", "two"]


def test_replay_is_complete_before_anything_live(stream, clock) -> None:
    reader = Reader()
    for age, name in ((30, "old"), (20, "late"), (10, "later")):
        stream.publish(event(name), START - age)
    subscribe(stream, clock, reader, start_s=START - 20)
    stream.publish(event("live"))
    assert reader.got == ["late", "later", "replayComplete", "live"]


async def test_the_stop_time_ends_the_subscription(stream, clock) -> None:
    reader = Reader()
    stream.publish(event("old"), START - 5)
    subscription = subscribe(stream, clock, reader, start_s=START - 10, stop_s=START + 10)
    stream.publish(event("live"))
    assert reader.got == ["old", "replayComplete", "live"]
    await clock.advance(10)
    stream.publish(event("at the end"[:2]), START + 11)
    assert reader.got == ["old", "replayComplete", "live", "notificationComplete"]
    assert subscription.done
    assert reader.over == 1


async def test_a_stop_time_in_the_past_is_replay_only(stream, clock) -> None:
    reader = Reader()
    for age, name in ((30, "a"), (20, "b"), (10, "c")):
        stream.publish(event(name), START - age)
    subscribe(stream, clock, reader, start_s=START - 30, stop_s=START - 15)
    assert reader.got == ["a", "b", "replayComplete", "notificationComplete"]


def test_a_filter_picks_whole_notifications_by_what_is_in_them(stream, clock) -> None:
    by_name, by_value = Reader(), Reader()
    subscribe(stream, clock, by_name, matches=subtree([event("down")]))
    subscribe(
        stream,
        clock,
        by_value,
        matches=subtree([event("down", "<link>1</link>"), event("up")]),
        start_s=START - 9,
    )
    for name, link in (("down", 1), ("down", 2), ("up", 1)):
        stream.publish(event(name, f"<link>{link}</link><why>w</why>"))
    assert by_name.got == ["down", "down"]
    assert by_value.got == ["replayComplete", "down", "up"]


def test_a_reader_that_pauses_misses_nothing_within_the_log(stream, clock) -> None:
    reader = Reader()
    reader.room = 2
    subscribe(stream, clock, reader)
    for n in range(8):
        stream.publish(event(f"e{n}"))
    assert reader.got == ["e0", "e1"]
    reader.read_on(100)
    assert reader.got == [f"e{n}" for n in range(8)]


def test_a_reader_slower_than_the_log_is_dropped_and_others_are_not(stream, clock) -> None:
    slow, quick = Reader(), Reader()
    slow.room = 1
    subscribe(stream, clock, slow)
    subscribe(stream, clock, quick)
    for n in range(30):
        stream.publish(event(f"e{n}"))
    assert "slow" in slow.dropped
    assert slow.got == ["e0"]
    assert (len(quick.got), quick.dropped) == (30, "")


def test_a_reader_that_can_be_told_of_a_loss_goes_on_behind_it(stream, clock) -> None:
    slow = Reader()
    slow.room, slow.tolerant = 1, True
    subscription = subscribe(stream, clock, slow)
    for n in range(30):
        stream.publish(event(f"e{n}"))
    assert slow.got == ["e0", "suspended"]
    slow.read_on(100)
    assert slow.got == ["e0", "suspended", "resumed", *(f"e{n}" for n in range(20, 30))]
    assert (subscription.done, subscription.sent, slow.dropped) == (False, 11, "")


def test_what_access_control_hides_is_not_sent_but_counted(stream, clock) -> None:
    reader = Reader()
    subscription = subscribe(stream, clock, reader, permits=lambda content: content.tag != "{urn:e}secret")
    for name in ("open", "secret", "open"):
        stream.publish(event(name))
    assert reader.got == ["open", "open"]
    assert (subscription.sent, subscription.excluded) == (2, 1)


def test_events_logged_late_with_an_older_time_are_not_replayed(stream, clock) -> None:
    reader = Reader()
    for age, name in ((10, "new"), (30, "old"), (5, "newer")):
        stream.publish(event(name), START - age)
    subscribe(stream, clock, reader, start_s=START - 20)
    assert reader.got == ["new", "newer", "replayComplete"]


async def test_the_stop_time_can_be_moved(stream, clock) -> None:
    reader = Reader()
    subscription = subscribe(stream, clock, reader, stop_s=START + 10)
    subscription.set_stop(START + 20)
    await clock.advance(15)
    assert reader.got == []
    subscription.set_stop(START + 16)
    await clock.advance(2)
    assert reader.got == ["notificationComplete"]
    await clock.advance(20)
    assert reader.over == 1


def test_the_state_tells_when_the_log_has_dropped_events(stream, clock) -> None:
    ns = "{urn:ietf:params:xml:ns:netmod:notification}"
    assert stream.describe().find(f".//{ns}replayLogAgedTime") is None
    for n in range(12):
        stream.publish(event("e"), START + n)
    assert stream.describe().findtext(f".//{ns}replayLogAgedTime") == date_and_time(START + 1)
    assert stream.describe().findtext(f".//{ns}replayLogCreationTime") == date_and_time(START)


def test_the_log_is_bounded_by_count_and_bytes() -> None:
    log = EventLog(max_events=3, max_bytes=1000, created_s=0)
    for n in range(10):
        log.append(b"x" * 20, float(n))
    assert (log.first_number, log.next_number, log.aged_s) == (7, 10, 6.0)
    log.append(b"y" * 850, 10.0)
    assert log.first_number == 10
    log.append(b"z" * 5000, 11.0)
    assert (log.first_number, log.next_number) == (11, 12)
    assert log.number_at(0) == 11
    assert log.number_at(99) == 12


async def test_a_timer_that_wakes_early_does_not_lose_the_stop_time() -> None:
    class Hasty(ManualClock):
        """Wakes sleepers a little early, as a loop does that counts in milliseconds."""

        async def sleep(self, duration_s: float) -> None:
            await super().sleep(max(0.0, duration_s - 0.002) if duration_s > 0.002 else duration_s)

    clock = Hasty(START)
    written: list[bytes] = []
    outlet = Outlet(written.append, lambda _reason: None)
    stream = EventStream(clock=clock, max_events=10, max_bytes=10_000)
    subscription = Subscription(
        stream.log, clock=clock, outlet=outlet, manner=Quiet(), stop_s=START + 1.0, start_s=START
    )
    stream.add(subscription)
    await clock.advance(1.5)
    assert subscription.done
    assert b"complete" in written[-1]


class Quiet:
    """The least manner."""

    def replayed(self) -> bytes:
        return b"<replayed/>"

    def completed(self) -> bytes:
        return b"<complete/>"

    def ended(self) -> None:
        """Nothing to do."""

    def lost(self) -> bool:
        return False

    def found_again(self) -> None:
        """Nothing to tell."""
