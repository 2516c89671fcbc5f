"""Whole agents on loopback, joined by real fibres and relay; the controller's part is done by hand."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from lxml import etree
from ncclient import manager
from tests.agents.row import (
    APP,
    PATH,
    Row,
    app_entry,
    fibre,
    join,
    key_pairs,
    link_entry,
    make_row,
    node_of,
    sae,
    until,
)

from keyweave_agents.keys.settings import KeySettings
from keyweave_core.errors import SchemaViolation
from keyweave_core.model.application import AppStatus
from keyweave_core.model.ids import AppId, LinkId, SaeId
from keyweave_core.model.link import LinkStatus, LinkType, VirtualSpec
from keyweave_core.model.notifications import Alarm, ApplicationNew, Event, LinkDown, Notification
from keyweave_core.netconf.protocol.rpc_errors import RpcError
from keyweave_yang.decode import decode_notification
from keyweave_yang.edits import edit_config, node_filter
from keyweave_yang.encode import encode_refusal


@pytest.fixture
async def grow(tmp_path: Path) -> AsyncIterator[Callable[[str], Awaitable[Row]]]:
    rows: list[Row] = []

    async def start(letters: str) -> Row:
        row = make_row(tmp_path, letters)
        rows.append(row)
        for site in row.sites.values():
            await site.start()
        return row

    yield start
    for row in rows:
        for site in row.sites.values():
            await site.end()


Grow = Callable[[str], Awaitable[Row]]


def of_etsi(content: etree._Element) -> list[Notification]:
    """The notification of GS QKD 015 in an envelope; none when it is of another module."""
    try:
        return [decode_notification(content)]
    except SchemaViolation:
        return []


async def test_keys_over_a_relay_from_the_first_request_to_both_ends(grow: Grow) -> None:
    row = await grow("abc")
    told: list[Notification] = []
    async with row.netconf("a") as client, row.application("a") as master:
        await client.create_subscription(on_notification=lambda each: told.extend(of_etsi(each.content)))
        began = time.monotonic()
        asking = asyncio.create_task(master.get(f"/{sae('c')}/enc_keys"))

        async def asked() -> bool:
            return any(isinstance(each, ApplicationNew) for each in told)

        await until(asked)
        (wanted,) = [each for each in told if isinstance(each, ApplicationNew)]
        assert wanted.server_app_id == sae("a")
        assert wanted.client_app_ids == (sae("c"),)
        assert wanted.local_node_id == node_of("a")
        assert wanted.qos.min_bandwidth_bps == 1_000
        await join(row, "abc")
        answer = await asking
        took_s = time.monotonic() - began
    assert answer.status_code == 200, answer.text
    assert took_s < 4, f"the first key took {took_s:.2f} s"
    pairs = await key_pairs(row, "a", "c", number=20)
    assert len({key_id for key_id, _ in pairs}) == 20
    assert {len(key) for _, key in pairs} == {32}

    ends = await row.node("a"), await row.node("c")
    for node in ends:
        (entry,) = node.applications
        assert (entry.app_id, entry.status) == (APP, AppStatus.ON)
        assert entry.creation_time is not None
    for letter in "abc":
        node = await row.node(letter)
        assert {link.status for link in node.links} == {LinkStatus.ACTIVE}
        for link in node.links:
            if link.type is LinkType.PHYS:
                assert link.pool is not None
                assert link.pool.stored_bits > 0
                assert link.pool.oldest_age_s is not None
                assert link.performance.skr_bps
                assert link.performance.qber is not None


async def test_keys_go_in_shares_over_the_links_that_a_controller_lists(grow: Grow) -> None:
    row = await grow("abc")
    await join(row, "abc")
    await key_pairs(row, "a", "c")
    second = LinkId("00000000-0000-4000-8000-000000000001")
    for letter in "abc":
        await row.write(letter, put_links=[replace(link_entry("abc", letter), link_id=second)])
    entries = {letter: app_entry("abc", letter) for letter in "ac"}
    (first,) = entries["a"].backing_link_ids
    for letter, backing in (("c", (first, second)), ("a", (second, first))):
        await row.write(letter, put_applications=[replace(entries[letter], backing_link_ids=backing)])
    wish = {"extension_optional": [{"keyweave_relay_link": True}], "number": 64}
    async with row.application("a") as master, row.application("c") as slave:

        async def shared() -> bool:
            answer = await master.post(f"/{sae('c')}/enc_keys", json=wish)
            keys = answer.json()["keys"]
            ids = {"key_IDs": [{"key_ID": key["key_ID"]} for key in keys]}
            same = (await slave.post(f"/{sae('a')}/dec_keys", json=ids)).json()["keys"]
            assert [key["key"] for key in same] == [key["key"] for key in keys]
            links = keys[-1]["key_extension"].get("keyweave_relay_links")
            return bool(links == sorted((first, second)))

        await until(shared)


async def test_both_ends_of_a_fibre_tell_the_same_link(grow: Grow) -> None:
    row = await grow("ab")
    left, right = await row.node("a"), await row.node("b")
    assert left.links[0].link_id == right.links[0].link_id == fibre("a", "b")
    assert (left.links[0].local, left.links[0].remote) == (right.links[0].remote, right.links[0].local)
    assert left.consumers == (sae("a"), sae("a2"))


async def test_what_cannot_be_is_refused_over_the_wire_and_changes_nothing(grow: Grow) -> None:
    row = await grow("ab")
    before = await row.node("a")
    wrong_hop = replace(link_entry("ab", "a"), virtual=VirtualSpec(next_hops=(node_of("z"),)))
    wrong_app = replace(app_entry("ab", "a"), server_app_id=SaeId("stranger"), backing_link_ids=())
    async with row.netconf("a") as client:
        for config, where in (
            (edit_config(put_links=[wrong_hop]), "virt_next_hop"),
            (edit_config(put_applications=[wrong_app]), "server_app_id"),
            (edit_config(remove_links=[fibre("a", "b")]), str(fibre("a", "b"))),
        ):
            with pytest.raises(RpcError) as caught:
                await client.edit_config("running", config)
            assert where in f"{caught.value.path} {caught.value}"
        other = edit_config()
        etree.SubElement(other, other.tag.replace("qkd_node", "qkdn_id")).text = str(uuid4())
        with pytest.raises(RpcError):
            await client.edit_config("running", other)
    after = await row.node("a")
    assert [link.link_id for link in after.links] == [link.link_id for link in before.links]
    assert after.applications == ()


async def test_a_refused_application_is_answered_at_once_with_the_reasons(grow: Grow) -> None:
    row = await grow("ab")
    async with row.netconf("a") as client, row.application("a") as master:
        asking = asyncio.create_task(master.get(f"/{sae('b')}/enc_keys"))
        await asyncio.sleep(0.2)
        await client.rpc(encode_refusal(sae("a"), (sae("b"),), ("link a-b lacks 500 bit/s",)))
        answer = await asyncio.wait_for(asking, 2)
    assert answer.status_code == 400
    assert "lacks 500 bit/s" in answer.text


async def test_keys_flow_on_while_the_controller_is_away_and_a_restarted_agent_knows_its_paths(
    grow: Grow,
) -> None:
    row = await grow("abc")
    await join(row, "abc")
    await key_pairs(row, "a", "c")  # no NETCONF session stands now
    for letter in "ba":
        await row[letter].end()
        await row[letter].start()
        await key_pairs(row, "a", "c", number=3)
    await row["c"].end()
    await row["c"].start()
    async with row.application("a") as master:
        # What C had stored went with its process, so what A had made ready for C is of no use any more.
        await master.get(f"/{sae('c')}/enc_keys", params={"number": KeySettings().buffer_keys})
    await key_pairs(row, "a", "c", number=3)


async def test_buffered_keys_outlive_the_relay_between(grow: Grow) -> None:
    row = await grow("abc")
    await join(row, "abc")

    async def filled() -> bool:
        async with row.application("a") as master:
            status = await master.get(f"/{sae('c')}/status")
        return bool(status.json()["stored_key_count"] >= 10)

    await until(filled)
    await row["b"].end()
    await key_pairs(row, "a", "c", number=10)
    node = await row.node("a")
    states = {link.link_id: link.status for link in node.links}
    assert states[PATH] is LinkStatus.PASSIVE

    async def noticed() -> bool:
        seen = {link.link_id: link.status for link in (await row.node("a")).links}
        return seen[fibre("a", "b")] is LinkStatus.PASSIVE

    await until(noticed)


async def test_a_link_is_switched_off_and_on_by_the_controller(grow: Grow) -> None:
    row = await grow("ab")
    (link,) = (await row.node("a")).links

    async def is_in(status: LinkStatus, letter: str) -> bool:
        return (await row.node(letter)).links[0].status is status

    async def stored() -> bool:
        pools = [(await row.node(letter)).links[0].pool for letter in "ab"]
        return all(pool is not None and pool.stored_bits > 0 for pool in pools)

    await until(stored)
    await row.write("a", put_links=[replace(link, enable=False)])
    await until(lambda: is_in(LinkStatus.PASSIVE, "a"))
    await until(lambda: is_in(LinkStatus.PASSIVE, "b"))
    await row.write("a", put_links=[replace(link, enable=True)])
    await until(lambda: is_in(LinkStatus.ACTIVE, "b"))


async def test_two_applications_of_one_site_share_keys_without_any_link(grow: Grow) -> None:
    row = await grow("ab")
    carol = row.applications["a2"]
    entry = replace(
        app_entry("ab", "a"),
        client_app_ids=(sae("a2"),),
        backing_link_ids=(),
        remote_node_id=node_of("a"),
    )
    await row.write("a", put_applications=[entry])
    async with row.application("a") as master, row.application("a", as_=carol) as slave:
        given = (await master.get(f"/{sae('a2')}/enc_keys")).json()["keys"]
        fetched = await slave.get(f"/{sae('a')}/dec_keys", params={"key_ID": given[0]["key_ID"]})
    assert fetched.json()["keys"] == given


async def test_a_controller_may_back_applications_of_both_directions_by_the_fibre_itself(grow: Grow) -> None:
    """The form of controllers that make no virtual link between neighbours."""
    row = await grow("ab")
    backed = {"backing_link_ids": (fibre("a", "b"),)}
    back = AppId("22222222-0000-4000-8000-000000000002")
    for letter in "ab":
        out = replace(app_entry("ab", letter), **backed)
        other = replace(app_entry("ba", letter), app_id=back, **backed)
        await row.write(letter, put_applications=[out, other])
    await key_pairs(row, "a", "b", number=3)
    await key_pairs(row, "b", "a", number=3)
    await until(lambda: usage_is_told(row))


async def usage_is_told(row: Row) -> bool:
    """Usage names the link that the configuration names, not the route derived from it."""
    node = await row.node("a")
    paths = {path.link_id for app in node.applications for each in app.statistics for path in each.paths}
    return paths == {fibre("a", "b")}


async def test_a_lost_fibre_is_told_by_both_ends_and_its_return_too(grow: Grow) -> None:
    row = await grow("abc")
    told: list[Notification] = []
    async with row.netconf("a") as client:
        await client.create_subscription(on_notification=lambda each: told.extend(of_etsi(each.content)))

        async def alarmed() -> bool:
            return any(isinstance(each, Alarm) for each in told)

        async def well() -> bool:
            return any(
                isinstance(each, Event) and each.link is not None and each.link.status is LinkStatus.ACTIVE
                for each in told
            )

        async def generating() -> bool:
            return (await row.node("a")).links[0].status is LinkStatus.ACTIVE

        await until(generating)
        await row["b"].end()
        await until(alarmed)
        kinds = [type(each) for each in told]
        assert kinds.count(LinkDown) == 1
        assert kinds.index(LinkDown) < kinds.index(Alarm)
        told.clear()
        await row["b"].start()
        await until(well)


async def test_what_was_read_may_be_written_back_whole(grow: Grow) -> None:
    """Many controllers change one leaf by writing the whole tree they have read."""
    row = await grow("ab")
    await join(row, "ab")
    async with row.netconf("a") as client:
        before = await client.get_config("running")
        await client.edit_config("running", before, default_operation="replace")
        assert [etree.tostring(each) for each in await client.get_config("running")] == [
            etree.tostring(each) for each in before
        ]
    await key_pairs(row, "a", "b")


async def test_taking_everything_away_ends_the_association(grow: Grow) -> None:
    row = await grow("ab")
    await join(row, "ab")
    await key_pairs(row, "a", "b")
    for letter in "ab":
        await row.write(letter, remove_links=[PATH], remove_applications=[APP])
    async with row.application("a") as master:
        status = (await master.get(f"/{sae('b')}/status")).json()
    assert status["stored_key_count"] == 0
    assert (await row.node("a")).applications == ()


@pytest.mark.interop
async def test_a_controller_made_with_ncclient_configures_an_agent(grow: Grow) -> None:
    row = await grow("ab")
    ready = row["a"].ready
    assert ready is not None

    def configure() -> str:
        with manager.connect(
            host="127.0.0.1",
            port=ready.netconf_port,
            username="controller",
            key_filename=str(row.controller.private_key),
            hostkey_verify=False,
            look_for_keys=False,
            allow_agent=False,
            timeout=10,
        ) as session:
            config = etree.Element("{urn:ietf:params:xml:ns:netconf:base:1.0}config")
            config.append(edit_config(put_links=[link_entry("ab", "a")]))
            session.edit_config(target="candidate", config=config)
            session.commit()
            return str(session.get(filter=("subtree", node_filter())).data_xml)

    text = await asyncio.to_thread(configure)
    assert PATH in text
    assert [link.link_id for link in (await row.node("a")).links] == [fibre("a", "b"), PATH]


async def test_an_address_that_is_taken_is_said_and_nothing_stays(tmp_path: Path) -> None:
    row = make_row(tmp_path, "ab")
    await row["a"].start()
    taken = row["a"].settings.keys.listen_port
    settings = row["b"].settings
    row["b"].settings = replace(settings, keys=replace(settings.keys, listen_port=taken))
    with pytest.raises(Exception, match=str(taken)):
        await row["b"].start()
    await row["a"].end()
    assert asyncio.all_tasks() == {asyncio.current_task()}
