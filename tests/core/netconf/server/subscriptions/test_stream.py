"""Dynamic subscriptions to the event stream over NETCONF (RFC 8639, RFC 8640), to a raw client."""

import pytest
from lxml import etree
from tests.core.netconf.server.subscriptions.conftest import (
    NTF,
    SN,
    YP,
    establish,
    event,
    push,
    state,
)

from keyweave_core.netconf.protocol.rpc_errors import BASE
from keyweave_core.runtime.clock import date_and_time

S = f"{{{SN}}}"
STREAM = "<stream>NETCONF</stream>"
APP = "ietf-subscribed-notifications:"


async def test_two_subscriptions_on_one_session_each_get_what_they_asked_for(peer, server) -> None:
    first = await peer.subscribe(STREAM)
    second = await peer.subscribe(
        f'{STREAM}<stream-subtree-filter><down xmlns="urn:e"/></stream-subtree-filter>'
    )
    assert second == first + 1
    server.publish(event("up"))
    server.publish(event("down"))
    assert sorted(await peer.news()) == ["down", "down", "up"]
    await peer.ok(state(first))
    server.publish(event("up"))
    server.publish(event("down"))
    assert await peer.news() == ["down"]


async def test_an_xpath_filter_is_a_condition(peer, server) -> None:
    await peer.subscribe(
        f'{STREAM}<stream-xpath-filter xmlns:e="urn:e">/e:down/e:link = 2</stream-xpath-filter>'
    )
    for link in (1, 2, 3):
        server.publish(event("down", f"<link>{link}</link>"))
    assert await peer.news() == ["down"]
    assert peer.last[0][0].text == "2"


async def test_replay_comes_after_the_reply_and_says_where_it_begins(peer, server, clock) -> None:
    created = clock.now()
    await clock.advance(100)
    server.publish(event("old"))
    await clock.advance(10)
    early = date_and_time(created - 500)
    reply = await peer.rpc(establish(f"{STREAM}<replay-start-time>{early}</replay-start-time>"))
    assert reply.findtext(f"{S}replay-start-time-revision") == date_and_time(created)
    server.publish(event("new"))
    names = await peer.news()
    assert names[-3:] == ["old", "replay-completed", "new"]
    assert peer.last[-2].findtext(f"{S}id") == reply.findtext(f"{S}id")
    assert peer.order.index("reply") < peer.order.index("old")


async def test_it_ends_at_its_stop_time(peer, server, clock) -> None:
    stop = date_and_time(clock.now() + 10)
    number = await peer.subscribe(f"{STREAM}<stop-time>{stop}</stop-time>")
    server.publish(event("one"))
    await clock.advance(11)
    server.publish(event("two"))
    assert await peer.news() == ["one", "subscription-completed"]
    assert (await peer.error(state(number))).app_tag == f"{APP}no-such-subscription"


async def test_a_modification_takes_hold_behind_its_reply(peer, server) -> None:
    number = await peer.subscribe(STREAM)
    more = '<stream-subtree-filter><down xmlns="urn:e"/></stream-subtree-filter>'
    await peer.ok(state(number, "modify-subscription", more=more))
    server.publish(event("up"))
    server.publish(event("down"))
    assert await peer.news() == ["subscription-modified", "down"]
    modified = peer.last[0]
    assert [etree.QName(child).localname for child in modified] == [
        "id",
        "stream",
        "stream-subtree-filter",
        "encoding",
    ]
    assert peer.order[-3:] == ["reply", "subscription-modified", "down"]


async def test_killing_tells_the_subscriber(peer, another) -> None:
    number = await peer.subscribe(STREAM)
    other = another()
    await other.settle()
    assert (await other.error(state(number))).app_tag == f"{APP}no-such-subscription"
    await other.ok(state(number, "kill-subscription"))
    assert (await peer.news())[-1] == "subscription-terminated"
    assert peer.last[-1].findtext(f"{S}reason") == "no-such-subscription"
    assert (await other.error(state(number, "kill-subscription"))).app_tag == f"{APP}no-such-subscription"


async def test_the_two_ways_to_subscribe_exclude_each_other_on_a_session(peer, another) -> None:
    old = f'<create-subscription xmlns="{NTF}"/>'
    number = await peer.subscribe(STREAM)
    assert (await peer.error(old)).tag == "operation-not-supported"
    await peer.ok(state(number))
    await peer.ok(old)
    assert (await peer.error(old)).tag == "in-use"
    assert (await peer.error(establish(STREAM))).tag == "operation-not-supported"
    other = another()
    await other.settle()
    assert await other.subscribe(STREAM) > number


@pytest.mark.parametrize(
    ("inner", "tag", "app_tag", "bad"),
    [
        ("", "data-missing", "missing-choice", None),
        ("<stream>SNOW</stream>", "invalid-value", None, "stream"),
        (f"{STREAM}<moon/>", "unknown-element", None, "moon"),
        (f"{STREAM}<dscp>1</dscp>", "unknown-element", None, "dscp"),
        (f"{STREAM}{STREAM}", "bad-element", None, "stream"),
        (f"{STREAM}<encoding>encode-json</encoding>", "invalid-value", f"{APP}encoding-unsupported", None),
        (
            f"{STREAM}<replay-start-time>2999-01-01T00:00:00Z</replay-start-time>",
            "invalid-value",
            None,
            "replay-start-time",
        ),
        (f"{STREAM}<stop-time>2000-01-01T00:00:00Z</stop-time>", "invalid-value", None, "stop-time"),
        (
            (
                f"{STREAM}<replay-start-time>2020-01-01T00:00:00Z</replay-start-time>"
                f"<stop-time>2019-01-01T00:00:00Z</stop-time>"
            ),
            "invalid-value",
            None,
            "stop-time",
        ),
        (
            f"{STREAM}<stream-xpath-filter>///</stream-xpath-filter>",
            "invalid-value",
            f"{APP}filter-unsupported",
            None,
        ),
        (
            f"{STREAM}<stream-filter-name>mine</stream-filter-name>",
            "invalid-value",
            f"{APP}filter-unsupported",
            None,
        ),
        (
            f"{STREAM}<stream-subtree-filter/><stream-xpath-filter>/a</stream-xpath-filter>",
            "bad-element",
            None,
            "stream-xpath-filter",
        ),
        (f"{STREAM}<yp:on-change/>", "bad-element", None, "on-change"),
        (
            push("running", "<yp:on-change/>", "<replay-start-time>2020-01-01T00:00:00Z</replay-start-time>"),
            "operation-not-supported",
            f"{APP}replay-unsupported",
            None,
        ),
        (push("running", "<yp:on-change/>", STREAM), "bad-element", None, "stream"),
    ],
)
async def test_what_cannot_be_had_is_refused(peer, inner, tag, app_tag, bad) -> None:
    error = await peer.error(establish(inner))
    assert (error.tag, error.app_tag) == (tag, app_tag)
    if bad is not None:
        assert (f"{{{BASE}}}bad-element", bad) in error.info
    assert await peer.news() == []


async def test_a_bad_filter_is_explained_in_a_structure_of_the_standard(peer) -> None:
    reply = await peer.rpc(establish(f"{STREAM}<stream-xpath-filter>///</stream-xpath-filter>"))
    structure = reply.find(f".//{S}establish-subscription-stream-error-info")
    assert structure.findtext(f"{S}filter-failure-hint")
    assert structure.find(f"{S}reason") is None


@pytest.mark.parametrize(
    ("operation", "app_tag"),
    [
        (state(99), f"{APP}no-such-subscription"),
        (state(99, "modify-subscription"), f"{APP}no-such-subscription"),
        (state(99, "kill-subscription"), f"{APP}no-such-subscription"),
        (state(99, "resync-subscription", YP), "ietf-yang-push:no-such-subscription-resync"),
        (state(99, "delete-subscription", more="<x/>"), None),
        (f'<delete-subscription xmlns="{SN}"/>', None),
        (f'<delete-subscription xmlns="{SN}"><id>-1</id></delete-subscription>', None),
    ],
)
async def test_what_names_no_subscription_is_refused(peer, operation, app_tag) -> None:
    assert (await peer.error(operation)).app_tag == app_tag


async def test_subscriptions_are_bounded_by_session_and_in_all(peer, another) -> None:
    for _ in range(4):
        await peer.subscribe(STREAM)
    error = await peer.error(establish(STREAM))
    assert (error.tag, error.app_tag) == ("resource-denied", f"{APP}insufficient-resources")
    other = another()
    await other.settle()
    for _ in range(2):
        await other.subscribe(STREAM)
    assert (await other.error(establish(STREAM))).app_tag == f"{APP}insufficient-resources"
    peer.session.end("a test")
    assert await other.subscribe(STREAM) > 0


async def test_a_slow_reader_is_told_what_it_missed_and_keeps_its_session(peer, server) -> None:
    number = await peer.subscribe(STREAM)
    peer.session.pause_writing()
    for n in range(50):
        server.publish(event(f"e{n}"))
    assert await peer.news() == ["subscription-suspended"]
    assert peer.last[0].findtext(f"{S}reason") == "unsupportable-volume"
    assert await state_of(peer, number) == "suspended"
    peer.session.resume_writing()
    names = await peer.news()
    assert names[0] == "subscription-resumed"
    assert names[1:] == [f"e{n}" for n in range(30, 50)]
    assert await state_of(peer, number) == "active"


async def test_a_subscription_that_stays_suspended_is_terminated(peer, server, clock) -> None:
    number = await peer.subscribe(STREAM)
    peer.session.pause_writing()
    for n in range(50):
        server.publish(event(f"e{n}"))
    await clock.advance(61)
    assert await peer.news() == ["subscription-suspended", "subscription-terminated"]
    assert peer.last[1].findtext(f"{S}reason") == "suspension-timeout"
    peer.session.resume_writing()
    assert (await peer.error(state(number))).app_tag == f"{APP}no-such-subscription"


async def state_of(peer, number: int) -> str | None:
    for found in peer.server.system.own_state[f"{S}subscriptions"]():
        if found.findtext(f"{S}id") == str(number):
            return found.findtext(f"{S}receivers/{S}receiver/{S}state")
    return None


async def test_streams_and_subscriptions_are_state(peer, server) -> None:
    number = await peer.subscribe(
        f'{STREAM}<stream-subtree-filter><down xmlns="urn:e"/></stream-subtree-filter>'
    )
    server.publish(event("down"))
    server.publish(event("up"))
    reply = await peer.rpc(
        f'<get><filter><subscriptions xmlns="{SN}"/><streams xmlns="{SN}"/></filter></get>'
    )
    streams, subscriptions = reply[0]
    assert streams.findtext(f"{S}stream/{S}name") == "NETCONF"
    assert streams.find(f"{S}stream/{S}replay-support") is not None
    (entry,) = subscriptions
    assert entry.findtext(f"{S}id") == str(number)
    assert entry.findtext(f"{S}stream") == "NETCONF"
    assert entry.find(f"{S}stream-subtree-filter")[0].tag == "{urn:e}down"
    receiver = entry.find(f"{S}receivers/{S}receiver")
    assert [child.text for child in receiver][1:] == ["1", "1", "active"]
    wanted = f"<subscription><id>{number}</id><encoding/></subscription>"
    by_id = f'<subscriptions xmlns="{SN}">{wanted}</subscriptions>'
    reply = await peer.rpc(f"<get><filter>{by_id}</filter></get>")
    assert [child.text for child in reply[0][0][0]] == [str(number), "encode-xml"]


async def test_the_end_of_a_session_ends_its_subscriptions(peer, another) -> None:
    await peer.subscribe(STREAM)
    await peer.subscribe(push("operational", "<yp:on-change/>"))
    other = another()
    await other.settle()
    peer.session.connection_lost(None)
    reply = await other.rpc(f'<get><filter><subscriptions xmlns="{SN}"/></filter></get>')
    assert len(reply[0]) == 0 or len(reply[0][0]) == 0
