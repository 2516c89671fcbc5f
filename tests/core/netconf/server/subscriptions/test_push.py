"""YANG-push (RFC 8641) over whole sessions, time by hand."""

from dataclasses import replace

import pytest
from lxml import etree
from tests.core.netconf.server.subscriptions.conftest import (
    SN,
    TINY,
    YP,
    Subscriber,
    establish,
    event,
    push,
    state,
)

from keyweave_core.netconf.protocol.rpc_errors import BASE
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.runtime.clock import date_and_time

S, P, T = f"{{{SN}}}", f"{{{YP}}}", f"{{{TINY}}}"
ON_CHANGE = "<yp:on-change/>"
QUIET = "<yp:on-change><yp:sync-on-start>false</yp:sync-on-start></yp:on-change>"
APP = "ietf-yang-push:"


def subtree(inner: str) -> str:
    return f'<yp:datastore-subtree-filter><node xmlns="{TINY}">{inner}</node></yp:datastore-subtree-filter>'


def edits(update: etree._Element) -> list[tuple[str, str]]:
    assert update.tag == f"{P}push-change-update"
    return [(edit.findtext(f"{P}operation"), edit.findtext(f"{P}target")) for edit in update.iter(f"{P}edit")]


def facts(inner: str) -> str:
    return f'<node xmlns="{TINY}">{inner}</node>'


async def test_running_on_change_is_told_whole_and_then_by_its_changes(peer, another) -> None:
    number = await peer.subscribe(push("running", ON_CHANGE))
    assert await peer.news() == ["push-update"]
    contents = peer.last[0].find(f"{P}datastore-contents")
    assert peer.last[0].findtext(f"{P}id") == str(number)
    assert contents[0].findtext(f"{T}id") == "n"
    other = another()
    await other.settle()
    await other.edit("<version>1</version>")
    await other.edit("<version>2</version><links><link nc:operation='delete'><id>1</id></link></links>")
    assert await peer.news() == ["push-change-update", "push-change-update"]
    assert edits(peer.last[0]) == [("create", "/tiny:node/version")]
    assert ("replace", "/tiny:node/version") in edits(peer.last[1])
    value = next(peer.last[0].iter(f"{P}value"))
    assert (value[0].tag, value[0].text) == (f"{T}version", "1")
    ids = [update.findtext(f".//{P}patch-id") for update in peer.last]
    assert len(set(ids)) == 2
    assert peer.order[0] == "reply"


async def test_a_filter_hides_changes_elsewhere(peer) -> None:
    await peer.subscribe(push("running", QUIET, subtree("<version/>")))
    xpath = f'<yp:datastore-xpath-filter xmlns:t="{TINY}">/t:node/t:caps</yp:datastore-xpath-filter>'
    await peer.subscribe(push("running", QUIET, xpath))
    await peer.edit("<version>6</version><caps><stats>0</stats></caps>")
    await peer.news()
    await peer.edit("<tag>x</tag>")
    assert await peer.news() == []
    await peer.edit("<version>7</version><caps><stats>1</stats></caps>")
    assert await peer.news() == ["push-change-update"] * 2
    assert sorted(edits(update)[0][1] for update in peer.last) == [
        "/tiny:node/caps/stats",
        "/tiny:node/version",
    ]


async def test_state_is_noticed_by_polling_by_events_and_by_hints(peer, server, device, clock) -> None:
    await peer.subscribe(push("operational", ON_CHANGE))
    assert await peer.news() == ["push-update"]
    device.facts = facts("<status>UP</status>")
    await clock.advance(2)
    assert await peer.news() == ["push-change-update"]
    assert edits(peer.last[0]) == [("create", "/tiny:node/status")]
    device.facts = facts("<status>DOWN</status>")
    server.publish(event("down"))
    await clock.advance(0.06)
    assert await peer.news() == ["push-change-update"]
    await clock.advance(0.06)
    device.facts = facts("<status>UP</status>")
    server.touch()
    await clock.advance(0.06)
    assert edits((await peer.news(), peer.last)[1][0]) == [("replace", "/tiny:node/status")]
    await peer.edit("<version>1</version>")
    await clock.advance(0.06)
    assert await peer.news() == ["push-change-update"]


async def test_without_a_watcher_the_device_is_left_alone(peer, server, device, clock) -> None:
    number = await peer.subscribe(push("operational", ON_CHANGE))
    await clock.advance(3)
    assert device.states > 2
    await peer.ok(state(number))
    asked = device.states
    server.publish(event("e"))
    await clock.advance(10)
    assert device.states == asked
    assert server.observer.latest("operational") is None


async def test_a_burst_costs_one_look_at_the_device(peer, server, device, clock) -> None:
    await peer.subscribe(push("operational", ON_CHANGE))
    await clock.advance(0.2)
    asked = device.states
    for _ in range(500):
        server.publish(event("e"))
    await clock.advance(0.01)
    for _ in range(500):
        server.publish(event("e"))
    await clock.advance(0.04)
    assert device.states - asked <= 2


async def test_periodic_updates_keep_their_period(peer, device, clock) -> None:
    await peer.subscribe(push("operational", "<yp:periodic><yp:period>100</yp:period></yp:periodic>"))
    assert await peer.news() == ["push-update"]
    for n in range(1, 4):
        device.facts = facts(f"<status>{n}</status>")
        await clock.advance(1)
        assert await peer.news() == ["push-update"]
        assert next(peer.last[0].iter(f"{T}status")).text == str(n)
    await clock.advance(5)
    assert await peer.news() == ["push-update"] * 5


async def test_an_anchor_time_settles_the_moments(peer, clock) -> None:
    start = clock.now()
    anchor = date_and_time(start - 7)
    trigger = (
        f"<yp:periodic><yp:period>1000</yp:period><yp:anchor-time>{anchor}</yp:anchor-time></yp:periodic>"
    )
    await peer.subscribe(push("running", trigger))
    assert await peer.news() == []
    await clock.advance(24)
    assert await peer.news() == ["push-update"] * 3
    assert peer.times[-3:] == [date_and_time(start + after) for after in (3, 13, 23)]


async def test_dampening_keeps_updates_apart_and_loses_no_outcome(peer, clock) -> None:
    trigger = (
        "<yp:on-change><yp:dampening-period>500</yp:dampening-period>"
        "<yp:sync-on-start>false</yp:sync-on-start></yp:on-change>"
    )
    await peer.subscribe(push("running", trigger))
    for n in range(4):
        await peer.edit(f"<version>{n}</version>")
    assert await peer.news() == ["push-change-update"]
    await clock.advance(4.9)
    assert await peer.news() == []
    await clock.advance(0.2)
    assert await peer.news() == ["push-change-update"]
    assert next(peer.last[0].iter(f"{T}version")).text == "3"
    await clock.advance(20)
    assert await peer.news() == []


async def test_excluded_changes_are_not_told(peer) -> None:
    trigger = (
        "<yp:on-change><yp:sync-on-start>false</yp:sync-on-start>"
        "<yp:excluded-change>create</yp:excluded-change><yp:excluded-change>delete</yp:excluded-change>"
        "</yp:on-change>"
    )
    await peer.subscribe(push("running", trigger))
    await peer.edit("<version>1</version>")
    assert await peer.news() == []
    await peer.edit("<version>2</version><tag>a</tag>")
    await peer.news()
    assert sorted(edits(peer.last[0])) == [("insert", "/tiny:node/tag=a"), ("replace", "/tiny:node/version")]


async def test_resync_sends_everything_anew(peer, another) -> None:
    number = await peer.subscribe(push("running", ON_CHANGE))
    await peer.edit("<version>1</version>")
    assert await peer.news() == ["push-update", "push-change-update"]
    await peer.ok(state(number, "resync-subscription", YP))
    assert await peer.news() == ["push-update"]
    assert next(peer.last[0].iter(f"{T}version")).text == "1"
    other = another()
    await other.settle()
    error = await other.error(state(number, "resync-subscription", YP))
    assert (error.tag, error.app_tag) == ("invalid-value", f"{APP}no-such-subscription-resync")
    quiet = await peer.subscribe(push("running", QUIET))
    error = await peer.error(state(quiet, "resync-subscription", YP))
    assert (error.tag, error.app_tag) == ("operation-not-supported", f"{APP}on-change-sync-unsupported")


async def test_a_modification_begins_with_everything(peer, clock) -> None:
    number = await peer.subscribe(push("running", ON_CHANGE))
    await peer.news()
    more = subtree("<version/>").replace("-filter>", f'-filter xmlns:yp="{YP}">', 1)
    await peer.ok(state(number, "modify-subscription", more=more))
    assert await peer.news() == ["subscription-modified", "push-update"]
    assert peer.last[0].find(f"{P}on-change/{P}sync-on-start").text == "true"
    await peer.edit("<tag>x</tag>")
    await peer.edit("<version>1</version>")
    assert await peer.news() == ["push-change-update"]
    more = f'<yp:periodic xmlns:yp="{YP}"><yp:period>200</yp:period></yp:periodic>'
    await peer.ok(state(number, "modify-subscription", more=more))
    assert await peer.news() == ["subscription-modified", "push-update"]
    await peer.edit("<version>2</version>")
    assert await peer.news() == []
    await clock.advance(2.1)
    assert await peer.news() == ["push-update"]
    stop = f"<stop-time>{date_and_time(clock.now() + 1)}</stop-time>"
    await peer.ok(state(number, "modify-subscription", more=stop))
    await clock.advance(5)
    assert await peer.news() == ["subscription-modified", "push-update", "subscription-completed"]


@pytest.mark.parametrize(
    ("inner", "tag", "app_tag", "hint"),
    [
        (push("candidate", ON_CHANGE), "invalid-value", f"{APP}datastore-not-subscribable", None),
        ("<yp:datastore>running</yp:datastore><yp:on-change/>", "invalid-value", None, None),
        (push("running", ""), "data-missing", "missing-choice", None),
        (
            push("running", "<yp:periodic><yp:period>2</yp:period></yp:periodic>"),
            "invalid-value",
            f"{APP}period-unsupported",
            ("period-hint", "10"),
        ),
        (push("running", "<yp:periodic/>"), "missing-element", None, None),
        (push("running", "<yp:periodic><yp:period>x</yp:period></yp:periodic>"), "invalid-value", None, None),
        (
            push("running", "<yp:periodic><yp:period>100</yp:period></yp:periodic><yp:on-change/>"),
            "bad-element",
            None,
            None,
        ),
        (
            push("running", "<yp:on-change><yp:sync-on-start>1</yp:sync-on-start></yp:on-change>"),
            "invalid-value",
            None,
            None,
        ),
        (
            push("running", "<yp:on-change><yp:excluded-change>x</yp:excluded-change></yp:on-change>"),
            "invalid-value",
            None,
            None,
        ),
        (
            push(
                "running",
                ON_CHANGE,
                '<yp:datastore-subtree-filter><x xmlns="urn:x"/></yp:datastore-subtree-filter>',
            ),
            "operation-failed",
            f"{APP}unchanging-selection",
            None,
        ),
        (
            push("running", ON_CHANGE, "<yp:datastore-xpath-filter>1 + 1</yp:datastore-xpath-filter>"),
            "invalid-value",
            "ietf-subscribed-notifications:filter-unsupported",
            ("filter-failure-hint", ""),
        ),
        (
            push("running", ON_CHANGE, "<yp:selection-filter-ref>x</yp:selection-filter-ref>"),
            "invalid-value",
            "ietf-subscribed-notifications:filter-unsupported",
            None,
        ),
        (
            push("running", f"{ON_CHANGE}<encoding>encode-json</encoding>"),
            "invalid-value",
            "ietf-subscribed-notifications:encoding-unsupported",
            None,
        ),
    ],
)
async def test_what_cannot_be_had_is_refused(peer, inner, tag, app_tag, hint) -> None:
    reply = await peer.rpc(establish(inner))
    error = reply.find(f"{{{BASE}}}rpc-error")
    assert error.findtext(f"{{{BASE}}}error-tag") == tag
    assert error.findtext(f"{{{BASE}}}error-app-tag") == app_tag
    if hint is not None:
        found = error.find(f".//{P}establish-subscription-datastore-error-info/{P}{hint[0]}")
        assert hint[1] in found.text
    assert len(peer.server.system.own_state[f"{S}subscriptions"]()) == 0


async def test_what_is_too_big_is_refused_and_later_suspended(peer, clock) -> None:
    big = "".join(f"<tag>{n}{'x' * 100}</tag>" for n in range(40))
    number = await peer.subscribe(push("running", ON_CHANGE))
    await peer.edit(big)
    assert await peer.news() == ["push-update", "subscription-suspended"]
    assert peer.last[1].findtext(f"{S}reason") == "yp:update-too-big"
    error = await peer.error(establish(push("running", ON_CHANGE)))
    assert (error.tag, error.app_tag) == ("too-big", f"{APP}sync-too-big")
    error = await peer.error(
        establish(push("running", "<yp:periodic><yp:period>100</yp:period></yp:periodic>"))
    )
    assert error.app_tag == f"{APP}update-too-big"
    error = await peer.error(state(number, "resync-subscription", YP))
    assert error.app_tag == f"{APP}sync-too-big"
    await peer.edit("".join(f"<tag nc:operation='delete'>{n}{'x' * 100}</tag>" for n in range(39)))
    assert await peer.news() == ["subscription-resumed", "push-change-update"]
    assert [operation for operation, _ in edits(peer.last[1])] == ["insert"]


async def test_who_does_not_read_gets_the_outcome_and_not_the_queue(peer, another, clock) -> None:
    await peer.subscribe(push("running", QUIET))
    await peer.subscribe(push("running", "<yp:periodic><yp:period>100</yp:period></yp:periodic>"))
    await peer.news()
    other = another()
    await other.settle()
    peer.session.pause_writing()
    for n in range(30):
        await other.edit(f"<version>{n}</version>")
        await clock.advance(1)
    assert await peer.news() == ["subscription-suspended"]
    peer.session.resume_writing()
    assert sorted(await peer.news()) == ["push-change-update", "push-update", "subscription-resumed"]
    (change,) = (update for update in peer.last if update.tag == f"{P}push-change-update")
    assert next(change.iter(f"{T}version")).text == "29"


async def test_state_that_cannot_be_read_makes_an_incomplete_update(peer, device, clock) -> None:
    await peer.subscribe(push("operational", "<yp:periodic><yp:period>100</yp:period></yp:periodic>"))
    await peer.subscribe(push("operational", QUIET))
    await peer.news()
    device.facts = "<not xml"
    await clock.advance(1)
    assert await peer.news() == ["push-update"]
    assert peer.last[0].find(f"{P}incomplete-update") is not None
    device.facts = ""
    await clock.advance(1)
    assert await peer.news() == ["push-update"]
    assert peer.last[0].find(f"{P}incomplete-update") is None


async def test_a_value_that_is_none_suspends_until_it_is_one_again(peer, server, device, clock) -> None:
    def rate(value: str) -> str:
        return facts(f"<links><link><id>1</id><rate>{value}</rate></link></links>")

    device.facts = rate("1")
    await peer.subscribe(push("operational", QUIET))
    for value in ("odd", "7"):
        device.facts = rate(value)
        server.touch()
        await clock.advance(0.2)
    assert await peer.news() == ["subscription-suspended", "subscription-resumed", "push-change-update"]
    assert next(peer.last[2].iter(f"{T}rate")).text == "7"


async def test_a_watcher_that_fails_does_not_blind_the_others(server, device, clock) -> None:
    seen = []

    def broken(_scene: object) -> None:
        raise ZeroDivisionError("defect")

    stop = [server.observer.follow("operational", broken), server.observer.follow("operational", seen.append)]
    for status in ("UP", "DOWN"):
        device.facts = facts(f"<status>{status}</status>")
        await clock.advance(1.5)
    assert len(seen) == 2
    for each in stop:
        each()


class Blinkers:
    """Access control that hides `version` from some, and everything from nobody."""

    def __init__(self) -> None:
        self.hidden_from: set[str] = set()

    def check_operation(self, user, operation) -> None:
        del user, operation

    def readable(self, user, elements):
        if user.name not in self.hidden_from:
            return elements
        seen = [etree.fromstring(etree.tostring(element)) for element in elements]
        for element in seen:
            for hidden in element.findall(f"{T}version"):
                element.remove(hidden)
        return seen

    def check_changes(self, user, before, after) -> None:
        del user, before, after

    check_lockout = check_changes

    def state(self):
        return []

    def may_receive(self, user, notification) -> bool:
        del user, notification
        return True

    def configured(self, running) -> None:
        del running


async def test_only_what_a_user_may_read_is_pushed(xml, tiny, device, clock, new_transport, hello) -> None:
    access = Blinkers()
    access.hidden_from.add("tester")
    running = list(xml("<node><id>n</id><version>1</version></node>"))
    server = NetconfServer(tiny, device, running, clock=clock, access=access)
    peer = Subscriber(server, new_transport(), hello)
    await peer.settle()
    await peer.subscribe(push("running", ON_CHANGE))
    await peer.subscribe(push("operational", ON_CHANGE))
    await peer.edit("<version>2</version>")
    await clock.advance(2)
    assert await peer.news() == ["push-update", "push-update"]
    assert not any(list(update.iter(f"{T}version")) for update in peer.last)
    access.hidden_from.clear()
    await peer.edit("<tag>x</tag>")
    await clock.advance(2)
    assert await peer.news() == ["push-change-update"] * 2
    assert ("create", "/tiny:node/version") in edits(peer.last[0])
    await server.close()


async def test_many_with_one_filter_share_the_work(server, another, device, clock) -> None:
    server._limits = replace(server._limits, max_sessions=100)
    peers = [another() for _ in range(6)]
    for peer in peers:
        await peer.settle()
        await peer.subscribe(push("operational", QUIET, subtree("<status/>")))
    asked = device.states
    device.facts = facts("<status>UP</status>")
    server.touch()
    await clock.advance(0.1)
    assert device.states - asked <= 2
    updates = set()
    for peer in peers:
        assert await peer.news() == ["push-change-update"]
        updates.add(edits(peer.last[0])[0])
    assert updates == {("create", "/tiny:node")} or updates == {("create", "/tiny:node/status")}
