"""The same agent over every protocol that an inventory entry may name."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from keyweave_controller.control.actions import NodeEdit
from keyweave_controller.control.events import NodeLost, NodeRead, Notified, UsageReported
from keyweave_controller.settings import AgentSettings, CallDeskSettings, Protocol, SouthboundSettings
from keyweave_controller.southbound.diallers import Diallers
from keyweave_controller.southbound.fleet import Fleet
from keyweave_core.errors import Refused
from keyweave_core.model.ids import LinkId, NodeId, SaeId
from keyweave_core.model.link import Endpoint, Link, LinkStatus, LinkTuning, LinkType, VirtualSpec
from keyweave_core.model.notifications import ApplicationNew, LinkDown
from keyweave_core.netconf.tls.names import NameMap, authorities_of
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.retry import Backoff
from keyweave_core.runtime.tls import server_context
from keyweave_gnmi.server import GnmiServer
from keyweave_gnmi.settings import GnmiSettings
from keyweave_lab.pki import LabPki
from keyweave_yang.encode import encode_state
from keyweave_yang.waiting import encode_waiting

NODE_A = NodeId("0a000000-0000-4000-8000-000000000001")
NODE_B = NodeId("0b000000-0000-4000-8000-000000000002")
VIRT = LinkId("0e000000-0000-4000-8000-000000000005")
CLOCK = SystemClock()
QUICK = Backoff(first_s=0.02, most_s=0.1)
NAME = f"urn:uuid:{NODE_A}"
EDIT = NodeEdit(
    put_links=(
        Link(
            link_id=VIRT,
            type=LinkType.VIRT,
            local=Endpoint(node_id=NODE_A),
            remote=Endpoint(node_id=NODE_B),
            virtual=VirtualSpec(next_hops=(NODE_B,), bandwidth_bps=1000),
        ),
    )
)


@dataclass
class Place:
    """Where everything of one test is."""

    agent: Any
    southbound: SouthboundSettings
    pki: LabPki
    node: Any

    def names(self) -> NameMap:
        return NameMap((), authorities_of(self.pki.ca_path.read_bytes()))


@pytest.fixture
async def place(agent, southbound: SouthboundSettings, tmp_path: Path) -> Place:
    pki = LabPki(tmp_path / "pki", now=dt.datetime.now(dt.UTC))
    settings = replace(
        southbound,
        tls=pki.operator("controller"),
        calls_ssh=CallDeskSettings(listen_port=0),
        calls_tls=CallDeskSettings(listen_port=0),
    )
    return Place(agent, settings, pki, pki.node("a", NODE_A))


async def entry(place: Place, protocol: Protocol, closing: list[Any]) -> AgentSettings:
    """Serve the agent over the protocol, and the inventory entry that finds it."""
    server, users = place.agent.server, {"controller": frozenset({"controller"})}
    host_key = place.agent.host_key_path
    match protocol:
        case Protocol.NETCONF_SSH:
            return place.agent.settings
        case Protocol.NETCONF_TLS:
            port = await server.tls(server_context(place.node), place.names(), users).listen("127.0.0.1", 0)
            return AgentSettings(
                name="a", host="127.0.0.1", port=port, protocol=protocol, certificate_name=NAME
            )
        case Protocol.CALL_HOME_SSH:
            return AgentSettings(name="a", protocol=protocol, host_key=host_key)
        case Protocol.CALL_HOME_TLS:
            return AgentSettings(name="a", protocol=protocol, certificate_name=NAME)
        case Protocol.GNMI:
            settings = GnmiSettings(
                certificate=place.node.certificate,
                private_key=place.node.private_key,
                ca=place.node.ca,
                listen_port=0,
            )
            gnmi = GnmiServer(settings, server.system, groups=users)
            port = await gnmi.start()
            closing.append(gnmi.close)
            return AgentSettings(
                name="a", host="127.0.0.1", port=port, protocol=protocol, certificate_name="localhost"
            )


def call_home(place: Place, protocol: Protocol, diallers: Diallers) -> None:
    """Let the agent dial, where it is the agent that dials."""
    server = place.agent.server
    if protocol is Protocol.CALL_HOME_SSH:
        service = place.agent.ssh_service()
    elif protocol is Protocol.CALL_HOME_TLS:
        service = server.tls(server_context(place.node), place.names(), {"controller": frozenset()})
    else:
        return
    port = diallers.call_ports[protocol]
    server.call_home(service, "127.0.0.1", port, backoff=QUICK, uniform=lambda: 0.5)


@pytest.fixture
async def follow(place: Place, heard) -> AsyncIterator[Callable[[Protocol], Any]]:
    closing: list[Any] = []

    async def start(protocol: Protocol) -> Fleet:
        settings = await entry(place, protocol, closing)
        diallers = Diallers(place.southbound, [settings], CLOCK)
        await diallers.open()
        closing.append(diallers.close)
        call_home(place, protocol, diallers)
        fleet = Fleet(
            settings=place.southbound,
            agents=[settings],
            dialler=diallers.dial,
            clock=CLOCK,
            uniform=lambda: 0.5,
        )
        running = asyncio.ensure_future(fleet.run(heard))

        async def end() -> None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

        closing.append(end)
        return fleet

    yield start
    for close in reversed(closing):
        await close()


@pytest.mark.parametrize("protocol", list(Protocol))
async def test_every_protocol_does_the_whole_work(place: Place, follow, heard, protocol: Protocol) -> None:
    fleet = await follow(protocol)
    read = await heard.wait(NodeRead)
    assert read.node.node_id == NODE_A
    assert read.node.links[0].performance.skr_bps == 10_000
    assert read.node.consumers == ("sae-a",)
    assert (await heard.wait(UsageReported)).periods
    assert fleet.ways()["a"]
    session = fleet.sessions()["a"]
    assert abs(session.since - read.at) < 60
    if protocol is not Protocol.GNMI:
        assert session.session_id
        assert (session.host, bool(session.cipher)) == ("127.0.0.1", True)
    if protocol.over_ssh:
        assert session.post_quantum, "the default of both ends"

    await fleet.configure(NODE_A, EDIT)
    await fleet.configure(NODE_A, EDIT)
    (tree,) = [element for element in place.agent.applied[-1] if element.tag.endswith("qkd_node")]
    assert VIRT in [each.text for each in tree.iter("{*}qkdl_id")]
    await fleet.configure(NODE_A, NodeEdit(remove_links=(VIRT,)))
    (tree,) = [element for element in place.agent.applied[-1] if element.tag.endswith("qkd_node")]
    assert VIRT not in [each.text for each in tree.iter("{*}qkdl_id")]

    fibre = read.node.links[0].link_id
    tuning = LinkTuning(link_id=fibre, wavelength=36, channel_att_db=7.25)
    await fleet.configure(NODE_A, NodeEdit(tune_links=(tuning,)))
    (tree,) = [element for element in place.agent.applied[-1] if element.tag.endswith("qkd_node")]
    (link,) = [each for each in tree.iter("{*}qkd_link") if each.findtext("{*}qkdl_id") == fibre]
    assert (link.findtext("{*}phys_wavelength"), link.findtext("{*}phys_channel_att")) == ("36", "7.25")
    assert link.findtext("{*}qkdl_type", "").endswith("PHYS")  # and all that stood there

    place.agent.refusal = Refused("not today")
    with pytest.raises(Refused, match="not today"):
        await fleet.configure(NODE_A, EDIT)


@pytest.mark.parametrize("protocol", [each for each in Protocol if each is not Protocol.GNMI])
async def test_a_session_that_ends_comes_back(place: Place, follow, heard, protocol: Protocol) -> None:
    await follow(protocol)
    await heard.wait(NodeRead)
    for session in list(place.agent.server.facts()):
        found = place.agent.server.find(session.session_id)
        assert found is not None
        found.end("thrown out")
    await heard.wait(NodeLost)
    assert (await heard.wait(NodeRead, 2)).reconnected


async def test_a_gnmi_target_that_goes_and_comes_back(place: Place, heard) -> None:
    closing: list[Any] = []
    settings = await entry(place, Protocol.GNMI, closing)
    diallers = Diallers(place.southbound, [settings], CLOCK)
    fleet = Fleet(
        settings=place.southbound,
        agents=[settings],
        dialler=diallers.dial,
        clock=CLOCK,
        uniform=lambda: 0.5,
    )
    running = asyncio.ensure_future(fleet.run(heard))
    await heard.wait(NodeRead)
    await closing.pop()()
    assert (await heard.wait(NodeLost)).name == "a"
    again = GnmiServer(
        GnmiSettings(
            certificate=place.node.certificate,
            private_key=place.node.private_key,
            ca=place.node.ca,
            listen_port=settings.port,
        ),
        place.agent.server.system,
        groups={"controller": frozenset({"controller"})},
    )
    await again.start()
    assert (await heard.wait(NodeRead, 2)).reconnected
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await again.close()


async def test_what_happens_shows_in_the_data_over_gnmi(place: Place, follow, heard) -> None:
    asked = ApplicationNew(server_app_id=SaeId("sae-a"), client_app_ids=(SaeId("sae-b"),), priority=3)
    waiting: list[ApplicationNew] = []

    def state() -> list[Any]:
        tree = encode_state(place.agent.node)
        encode_waiting(tree, waiting)
        return [tree]

    place.agent.raw_state = state
    await follow(Protocol.GNMI)
    await heard.wait(NodeRead)
    await asyncio.sleep(0.3)  # the subscription has told how things are
    waiting.append(asked)
    told = await heard.wait(Notified)
    assert told.notification.server_app_id == "sae-a"
    assert told.notification.client_app_ids == ("sae-b",)
    assert told.notification.priority == 3
    assert told.notification.local_node_id == NODE_A
    place.agent.change_link(status=LinkStatus.PASSIVE)
    down = await heard.wait(Notified, lambda event: isinstance(event.notification, LinkDown))
    assert down.node_id == NODE_A
