"""One agent, its session and its events: against the product's own NETCONF server over real SSH."""

import asyncio
from dataclasses import replace

import pytest
from lxml import etree

from keyweave_controller.control.actions import NodeEdit
from keyweave_controller.control.events import (
    LinksMeasured,
    NodeLost,
    NodeRead,
    NodeRejected,
    Notified,
    UsageReported,
)
from keyweave_core.errors import PeerUnreachable, Refused, Unavailable
from keyweave_core.model.application import AppStatistics, RelayMethod
from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId
from keyweave_core.model.link import (
    Endpoint,
    KeyPool,
    Link,
    LinkPerformance,
    LinkStatus,
    LinkType,
    VirtualSpec,
)
from keyweave_core.model.notifications import ApplicationNew, ApplicationReport, Event, LinkDown
from keyweave_core.netconf.client.client import connect
from keyweave_core.runtime.clock import SystemClock
from keyweave_yang.encode import encode_state
from keyweave_yang.namespaces import etsi

NODE_A = NodeId("0a000000-0000-4000-8000-000000000001")
NODE_B = NodeId("0b000000-0000-4000-8000-000000000002")
LINK = LinkId("0c000000-0000-4000-8000-000000000003")
APP = AppId("0d000000-0000-4000-8000-000000000004")
VIRT = LinkId("0e000000-0000-4000-8000-000000000005")

EDIT = NodeEdit(
    put_links=(
        Link(
            link_id=VIRT,
            type=LinkType.VIRT,
            local=Endpoint(node_id=NODE_A),
            remote=Endpoint(node_id=NODE_B),
            virtual=VirtualSpec(next_hops=(NODE_B,), bandwidth_bps=1000),
            relay_method=RelayMethod.OTP,
        ),
    )
)


def written(agent) -> str:
    """The last configuration that was made real, as text."""
    return "".join(etree.tostring(element).decode() for element in agent.applied[-1])


async def test_an_agent_is_read_whole_and_its_usage_told(agent, run_fleet, heard):
    run_fleet(agent)
    read = await heard.wait(NodeRead)
    assert read.name == "a"
    assert read.reconnected
    assert read.node.node_id == NODE_A
    assert read.node.links[0].performance.skr_bps == 10_000
    assert read.node.links[0].pool == KeyPool(stored_bits=500_000, capacity_bits=1_000_000)
    assert read.node.consumers == ("sae-a",)
    usage = await heard.wait(UsageReported)
    assert [period.end_time for period in usage.periods] == ["2026-11-21T10:00:00Z"]


async def test_notifications_come_as_events_with_their_time(agent, run_fleet, heard):
    run_fleet(agent)
    await heard.wait(NodeRead)
    agent.publish(LinkDown(link_id=LINK, reason="dark"))
    event = await heard.wait(Notified)
    assert event.node_id == NODE_A
    assert event.notification == LinkDown(link_id=LINK, reason="dark")
    assert event.event_time.endswith("Z")


async def test_what_an_application_asked_before_we_came_is_heard_and_old_reports_are_not(
    agent, run_fleet, heard
):
    wish = ApplicationNew(server_app_id=SaeId("sae-a"), client_app_ids=(SaeId("sae-b"),))
    agent.publish(LinkDown(link_id=LINK, reason="long ago"))
    agent.publish(wish)
    run_fleet(agent)
    event = await heard.wait(Notified)
    assert event.notification.server_app_id == "sae-a"
    await asyncio.sleep(0.1)
    assert len(heard.of(Notified)) == 1  # the tree that was read says better how the link is


async def test_only_figures_that_moved_are_told(agent, run_fleet, heard):
    run_fleet(agent)
    await heard.wait(NodeRead)
    agent.change_link(performance=LinkPerformance(skr_bps=10_100, qber=0.02))
    await agent.polled()
    assert heard.of(LinksMeasured) == []
    agent.change_link(performance=LinkPerformance(skr_bps=5_000, qber=0.02))
    event = await heard.wait(LinksMeasured)
    assert event.links[0].performance.skr_bps == 5_000
    agent.change_link(status=LinkStatus.PASSIVE)
    event = await heard.wait(LinksMeasured, 2)
    assert event.links[0].status is LinkStatus.PASSIVE


async def test_new_periods_are_told_once(agent, run_fleet, heard):
    run_fleet(agent)
    await heard.wait(UsageReported)
    (app,) = agent.node.applications
    later = AppStatistics(end_time="2026-11-21T10:05:00Z", consumed_bits=512)
    agent.node = replace(agent.node, applications=(replace(app, statistics=(*app.statistics, later)),))
    event = await heard.wait(UsageReported, 2)
    assert [period.end_time for period in event.periods] == ["2026-11-21T10:05:00Z"]
    await agent.polled()
    assert len(heard.of(UsageReported)) == 2


async def test_the_last_periods_of_a_removed_application_are_told_once(agent, run_fleet, heard):
    run_fleet(agent)
    await heard.wait(UsageReported)
    (app,) = agent.node.applications
    last = AppStatistics(end_time="2026-11-21T10:00:42Z", consumed_bits=512)
    report = ApplicationReport(app_id=APP, last_periods=(*app.statistics, last))
    agent.publish(Event(application=report))
    event = await heard.wait(UsageReported, 2)
    assert (event.app_id, [period.consumed_bits for period in event.periods]) == (APP, [512])
    agent.publish(Event(application=report))
    await heard.wait(Notified, 2)
    assert len(heard.of(UsageReported)) == 2


async def test_an_edit_reaches_the_running_configuration(agent, run_fleet, heard):
    fleet = run_fleet(agent)
    await heard.wait(NodeRead)
    await fleet.configure(NODE_A, EDIT)
    assert VIRT in written(agent)
    assert "relay-method" in written(agent)
    await fleet.configure(NODE_A, EDIT)  # again, with the same effect
    await fleet.configure(NODE_A, NodeEdit(remove_links=(VIRT,)))
    assert VIRT not in written(agent)


async def test_what_the_agent_refuses_is_refused_with_its_words(agent, run_fleet, heard):
    fleet = run_fleet(agent)
    await heard.wait(NodeRead)
    agent.refusal = Refused("the shelf is full")
    with pytest.raises(Refused, match=r"agent a: .*the shelf is full"):
        await fleet.configure(NODE_A, EDIT)
    assert agent.applied == []


async def test_a_refused_application_is_told_by_our_own_operation(agent, run_fleet, heard):
    fleet = run_fleet(agent)
    await heard.wait(NodeRead)
    await fleet.refuse(NODE_A, SaeId("sae-a"), (SaeId("sae-b"),), ("no way",))
    await fleet.release(NODE_A, VIRT)
    calls = [etree.QName(call).localname for call in agent.calls]
    assert calls == ["refuse-application", "release-link"]
    assert VIRT in etree.tostring(agent.calls[1]).decode()


async def test_read_again_on_demand(agent, run_fleet, heard):
    fleet = run_fleet(agent)
    await heard.wait(NodeRead)
    await fleet.read(NODE_A)
    again = await heard.wait(NodeRead, 2)
    assert not again.reconnected


async def test_a_server_with_a_candidate_only_is_written_by_lock_and_commit(
    new_agent, run_fleet, heard, user_key
):
    agent = new_agent("c")
    agent.drop_capabilities = ("capability:writable-running",)
    await agent.start()
    fleet = run_fleet(agent)
    await heard.wait(NodeRead)
    await fleet.configure(NODE_A, EDIT)
    assert VIRT in written(agent)

    agent.refusal = Refused("not today")
    with pytest.raises(Refused, match="not today"):
        await fleet.configure(NODE_A, NodeEdit(remove_links=(VIRT,)))
    agent.refusal = None

    other = await connect(
        "127.0.0.1",
        agent.port,
        username="controller",
        host_key=agent.host_key_path.read_text(),
        key=user_key,
        clock=SystemClock(),
    )
    async with other:
        await other.lock("candidate")  # nothing of ours was left in it, or this would be refused
        with pytest.raises(Unavailable, match="lock-denied"):
            await fleet.configure(NODE_A, EDIT)
        await other.unlock("candidate")
    await fleet.configure(NODE_A, EDIT)


async def test_an_agent_without_our_module_gets_015_only(new_agent, run_fleet, heard):
    agent = new_agent("f")
    agent.drop_capabilities = ("urn:keyweave",)
    await agent.start()
    fleet = run_fleet(agent)
    await heard.wait(NodeRead)
    await fleet.configure(NODE_A, EDIT)
    assert "relay-method" not in written(agent)
    await fleet.refuse(NODE_A, SaeId("sae-a"), (), ("no way",))
    with pytest.raises(Refused, match="no operation release-link"):
        await fleet.release(NODE_A, VIRT)
    assert agent.calls == []


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        (("capability:writable-running", "capability:candidate"), "neither writable-running nor candidate"),
    ],
)
async def test_a_server_that_cannot_be_worked_with_is_lost_with_the_reason(
    new_agent, run_fleet, heard, missing, reason
):
    agent = new_agent("x")
    agent.drop_capabilities = missing
    await agent.start()
    run_fleet(agent)
    lost = await heard.wait(NodeLost)
    assert reason in lost.reason


async def test_loss_is_told_once_and_the_session_comes_back(agent, run_fleet, heard):
    fleet = run_fleet(agent)
    await heard.wait(NodeRead)
    await agent.stop()
    lost = await heard.wait(NodeLost)
    assert lost.name == "a"
    assert lost.reason
    with pytest.raises(PeerUnreachable, match="agent a is not connected"):
        await fleet.configure(NODE_A, EDIT)
    await asyncio.sleep(0.3)  # several attempts fail meanwhile
    assert len(heard.of(NodeLost)) == 1
    await agent.start()
    back = await heard.wait(NodeRead, 2)
    assert back.reconnected
    agent.publish(LinkDown(link_id=LINK))
    await heard.wait(Notified)  # subscribed again


async def test_an_agent_that_is_not_there_at_start_is_told_lost(new_agent, run_fleet, heard):
    agent = new_agent("late")
    await agent.start()
    await agent.stop()
    run_fleet(agent)
    lost = await heard.wait(NodeLost)
    assert lost.name == "late"
    await agent.start()
    assert (await heard.wait(NodeRead)).name == "late"


async def test_values_that_cannot_be_are_dropped_and_the_rest_is_used(agent, run_fleet, heard):
    def lie() -> list[etree._Element]:
        tree = encode_state(agent.node)
        for skr in tree.iter(etsi("skr")):
            skr.text = "1000000000000"
        for value in tree.iter(etsi("value")):
            value.text = "-1"
        return [tree]

    agent.raw_state = lie
    run_fleet(agent)
    read = await heard.wait(NodeRead)
    assert read.node.links[0].performance.skr_bps is None
    assert read.node.links[0].performance.qber is None
    assert read.node.links[0].pool is not None


async def test_a_node_that_another_agent_has_shown_is_rejected(agent, new_agent, run_fleet, heard):
    twin = new_agent("twin")
    await twin.start()
    fleet = run_fleet(agent, twin)
    rejected = await heard.wait(NodeRejected)
    assert f"node {NODE_A} is already shown by agent" in rejected.faults[0]
    read = await heard.wait(NodeRead)
    assert read.name != rejected.name
    await asyncio.sleep(0.3)  # it is read again and again, and told once
    assert len(heard.of(NodeRejected)) == 1
    await fleet.configure(NODE_A, EDIT)


async def test_sessions_do_not_pile_up_over_reconnections(agent, run_fleet, heard):
    run_fleet(agent)
    for round_ in range(1, 6):
        await heard.wait(NodeRead, round_)
        assert agent.server is not None
        for facts in list(agent.server.facts()):
            session = agent.server.find(facts.session_id)
            assert session is not None
            session.end("a test")
    await heard.wait(NodeRead, 6)
    assert len(agent.server.facts()) == 1
    assert len(asyncio.all_tasks()) < 25


async def test_whatever_is_written_on_an_agent_by_whomever_is_read_once(agent, run_fleet, heard):
    fleet = run_fleet(agent)
    await heard.wait(NodeRead)
    await fleet.configure(NODE_A, EDIT)
    put = await heard.wait(NodeRead, 2)
    assert not put.reconnected
    assert VIRT in {link.link_id for link in put.node.links}
    (entry,) = EDIT.put_links
    less = replace(entry, virtual=replace(entry.virtual, bandwidth_bps=1))
    await fleet.configure(NODE_A, NodeEdit(put_links=(less,)))  # the names stay: the audit finds it
    found = await heard.wait(NodeRead, 3)
    assert [link.virtual.bandwidth_bps for link in found.node.links if link.link_id == VIRT] == [1]
    await fleet.configure(NODE_A, NodeEdit(remove_links=(VIRT,)))
    taken = await heard.wait(NodeRead, 4)
    assert VIRT not in {link.link_id for link in taken.node.links}
    agent.change_link(status=LinkStatus.PASSIVE, performance=LinkPerformance(skr_bps=1))
    await asyncio.sleep(0.8)  # what is observed only is no edit
    assert len(heard.of(NodeRead)) == 4
