"""The node behind its NETCONF server, with a key manager and modules that only keep what they are told."""

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from lxml import etree

from keyweave_agents.control.netconf_endpoint import NodeEndpoint
from keyweave_agents.control.saved import SavedConfiguration
from keyweave_agents.control.settings import NodeSettings
from keyweave_agents.control.tree import initial_configuration
from keyweave_agents.keys.plan import KeyEvent, KeyPlan, KeyState
from keyweave_agents.quantum.module_settings import ModuleSettings
from keyweave_agents.quantum.observed import ModuleState
from keyweave_core.errors import InvalidInput, Refused, SchemaViolation
from keyweave_core.model.application import Application, AppQos, AppType
from keyweave_core.model.ids import AppId, InterfaceId, LinkId, NodeId, SaeId
from keyweave_core.model.link import InterfaceStatus, KeyPool, Link, LinkStatus, LinkType, VirtualSpec
from keyweave_core.model.node import Node, NodeStatus
from keyweave_core.netconf.protocol.rpc_errors import RpcError
from keyweave_core.netconf.server.access import User
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.netconf.server.stores.datastores import Editor, Store
from keyweave_core.runtime.clock import ManualClock
from keyweave_yang.decode import decode_configuration
from keyweave_yang.encode import encode_configuration, encode_refusal
from keyweave_yang.releases import encode_release
from keyweave_yang.schema import load_schema

ME = NodeId("aaaaaaaa-0000-4000-8000-000000000000")
FAR = NodeId("bbbbbbbb-0000-4000-8000-000000000000")
FIBRE = LinkId("11111111-0000-4000-8000-000000000001")
PATH = LinkId("11111111-0000-4000-8000-000000000002")
APP = AppId("22222222-0000-4000-8000-000000000001")
ALICE, BOB = SaeId("alice"), SaeId("bob")

OWN = initial_configuration(
    NodeSettings(node_id=ME, location_id="room 1", state_dir=Path("unused")),
    [
        ModuleSettings(
            interface_id=InterfaceId(1),
            link_id=FIBRE,
            remote_node_id=FAR,
            remote_interface_id=InterfaceId(2),
            role="transmitter",
            profile="bb84-t12-1ghz",
            distance_km=12.34567,
            loss_db=2.46913,
            listen="127.0.0.1:0",
        )
    ],
    [ALICE],
    version="1",
)
WRITTEN = replace(
    OWN,
    links=(
        *OWN.links,
        Link(
            link_id=PATH,
            type=LinkType.VIRT,
            requested_status=LinkStatus.ACTIVE,
            virtual=VirtualSpec(next_hops=(FAR,), bandwidth_bps=2_000),
        ),
    ),
    applications=(
        Application(
            app_id=APP,
            type=AppType.CLIENT,
            server_app_id=ALICE,
            client_app_ids=(BOB,),
            backing_link_ids=(PATH,),
            local_node_id=ME,
            remote_node_id=FAR,
            qos=AppQos(min_bandwidth_bps=2_000),
        ),
    ),
)


@dataclass
class Keys:
    """Keeps the plan; says what it is told to say."""

    plans: list[KeyPlan] = field(default_factory=list)
    refusals: list[tuple[SaeId, tuple[SaeId, ...], tuple[str, ...]]] = field(default_factory=list)
    events: asyncio.Queue[KeyEvent] = field(default_factory=asyncio.Queue)
    refuses: bool = False
    state: KeyState = field(
        default_factory=lambda: KeyState(
            pools={FIBRE: KeyPool(stored_bits=900, capacity_bits=1_000)},
            consumption_bps={},
            associations={},
            active_routes=frozenset({PATH}),
            peers_up=frozenset({FAR}),
        )
    )

    def configure(self, plan: KeyPlan) -> None:
        if self.refuses and plan.routes:
            raise InvalidInput("a plan that contradicts itself")
        self.plans.append(plan)

    def refuse(self, server: SaeId, clients: tuple[SaeId, ...], reasons: tuple[str, ...]) -> None:
        self.refusals.append((server, clients, reasons))

    def snapshot(self) -> KeyState:
        return self.state

    async def next_event(self) -> KeyEvent:
        return await self.events.get()


@dataclass
class Module:
    """A module that is as it is set."""

    seen: ModuleState = field(
        default_factory=lambda: ModuleState(
            link_id=FIBRE,
            interface_status=InterfaceStatus.ENABLED,
            enabled=True,
            connected=True,
            generating=True,
            skr_bps=10_000,
            qber=0.02,
            snr_db=None,
            loss_db=2.5,
            excess_noise=0.0,
            generated_bits=500_000,
            discarded_bits=0,
            cause=None,
            reason="",
        )
    )
    enabled: bool = True
    wavelength: int | None = None
    released: int = 0

    def state(self) -> ModuleState:
        return self.seen

    def enable(self, wanted: bool) -> None:
        self.enabled = wanted

    def tune(self, wavelength: int) -> None:
        self.wavelength = wavelength

    def release(self) -> None:
        self.released += 1


@dataclass
class Bench:
    """One endpoint and what is around it."""

    folder: Path
    keys: Keys = field(default_factory=Keys)
    module: Module = field(default_factory=Module)
    clock: ManualClock = field(default_factory=ManualClock)
    own: Node = OWN

    def endpoint(self) -> NodeEndpoint:
        return NodeEndpoint(
            self.own,
            keys=self.keys,
            modules={FIBRE: self.module},
            saved=SavedConfiguration(self.folder),
            schema=load_schema("agent"),
            clock=self.clock,
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(folder=tmp_path / "state")


def xml(node: Node) -> list[etree._Element]:
    return [encode_configuration(node)]


async def test_it_starts_with_the_facts_and_its_first_configuration_is_valid(bench: Bench) -> None:
    running = bench.endpoint().start()
    load_schema("agent").validate(running)
    assert decode_configuration(running).links[0].link_id == FIBRE
    assert bench.keys.plans == [KeyPlan()]


async def test_a_commit_becomes_a_plan_and_only_what_is_kept_a_file(bench: Bench) -> None:
    endpoint = bench.endpoint()
    before = endpoint.start()
    await endpoint.apply(before, xml(WRITTEN), "operator")
    assert not bench.folder.exists()
    await endpoint.keep(xml(WRITTEN))
    plan = bench.keys.plans[-1]
    assert [route.link_id for route in plan.routes] == [PATH]
    assert [each.app_id for each in plan.associations] == [APP]
    assert (bench.folder / "running.json").exists()


async def test_a_refused_commit_changes_nothing(bench: Bench) -> None:
    endpoint = bench.endpoint()
    before = endpoint.start()
    with pytest.raises(SchemaViolation, match="consumer"):
        await endpoint.apply(before, xml(replace(WRITTEN, consumers=())), "operator")
    assert bench.keys.plans == [KeyPlan()]
    assert endpoint.running.applications == ()
    assert not bench.folder.exists()


async def test_what_cannot_be_made_real_is_undone(bench: Bench) -> None:
    endpoint = bench.endpoint()
    before = endpoint.start()
    bench.keys.refuses = True
    off = replace(WRITTEN, links=(replace(WRITTEN.links[0], enable=False), *WRITTEN.links[1:]))
    with pytest.raises(Refused):
        await endpoint.apply(before, xml(off), "operator")
    assert bench.keys.plans[-1] == KeyPlan()
    assert bench.module.enabled
    assert endpoint.running.applications == ()


async def test_a_commit_that_the_disk_does_not_take_is_undone(bench: Bench) -> None:
    endpoint = bench.endpoint()
    server = NetconfServer(
        load_schema("agent"), endpoint, endpoint.start(), clock=bench.clock, keeper=endpoint
    )
    bench.folder.write_text("in the way", encoding="utf-8")
    config = etree.Element("config")
    config.extend(xml(WRITTEN))
    with pytest.raises(RpcError, match="not kept"):
        await server.system.datastores.edit(Editor(1, User("tester")), Store.RUNNING, config)
    assert endpoint.running.applications == ()
    assert bench.keys.plans[-1] == KeyPlan()
    assert decode_configuration(server.running()).applications == ()


async def test_a_link_is_switched_off_and_on(bench: Bench) -> None:
    endpoint = bench.endpoint()
    before = endpoint.start()
    off = replace(OWN, links=(replace(OWN.links[0], requested_status=LinkStatus.OFF),))
    await endpoint.apply(before, xml(off), "operator")
    assert not bench.module.enabled
    await endpoint.apply(xml(off), before, "operator")
    assert bench.module.enabled


async def test_a_written_wavelength_is_told_to_the_module_now_and_after_a_restart(bench: Bench) -> None:
    bench.own = replace(
        OWN,
        interfaces=tuple(replace(one, wavelength_range="30-36") for one in OWN.interfaces),
        links=(replace(OWN.links[0], physical=replace(OWN.links[0].physical, wavelength=34)),),
    )
    endpoint = bench.endpoint()
    before = endpoint.start()
    assert bench.module.wavelength == 34
    tuned = replace(
        bench.own, links=(replace(OWN.links[0], physical=replace(OWN.links[0].physical, wavelength=31)),)
    )
    await endpoint.apply(before, xml(tuned), "operator")
    assert bench.module.wavelength == 31
    await endpoint.keep(xml(tuned))
    again = replace(bench, keys=Keys(), module=Module())
    again.endpoint().start()
    assert again.module.wavelength == 31


async def test_a_restarted_node_knows_its_paths_and_when_they_were_made(bench: Bench) -> None:
    first = bench.endpoint()
    await first.apply(first.start(), xml(WRITTEN), "operator")
    await first.keep(xml(WRITTEN))
    made = first.node().applications[0].creation_time
    await bench.clock.advance(3600)
    again = replace(bench, keys=Keys(), module=Module())
    second = again.endpoint()
    running = second.start()
    assert decode_configuration(running) == decode_configuration(xml(WRITTEN))
    assert [route.link_id for route in again.keys.plans[-1].routes] == [PATH]
    assert second.node().applications[0].creation_time == made


async def test_location_and_version_written_are_kept_and_the_version_observed_is_ours(
    bench: Bench,
) -> None:
    first = bench.endpoint()
    written = replace(WRITTEN, location_id="attic", version="mine")
    await first.apply(first.start(), xml(written), "operator")
    await first.keep(xml(written))
    assert first.node().location_id == "attic"
    assert first.node().version == "1"
    (state,) = await first.state()
    assert state.findtext("{*}qkdn_version") == "1"
    updated = replace(bench, own=replace(OWN, version="2", location_id="room 2"))
    second = updated.endpoint()
    running = decode_configuration(second.start())
    assert (running.location_id, running.version) == ("attic", "mine")
    assert second.node().version == "2"


async def test_settings_win_over_what_was_saved(bench: Bench) -> None:
    first = bench.endpoint()
    await first.apply(first.start(), xml(WRITTEN), "operator")
    await first.keep(xml(WRITTEN))
    moved = replace(bench, own=replace(OWN, location_id="room 2", consumers=()))
    running = decode_configuration(moved.endpoint().start())
    assert running.location_id == "room 2"
    assert running.applications == ()  # its application is served no more


async def test_what_the_key_manager_of_today_does_not_take_is_left_out(bench: Bench) -> None:
    first = bench.endpoint()
    await first.apply(first.start(), xml(WRITTEN), "operator")
    await first.keep(xml(WRITTEN))
    changed = replace(bench, keys=Keys(refuses=True))
    assert decode_configuration(changed.endpoint().start()).applications == ()
    assert changed.keys.plans[-1].associations == ()


@pytest.mark.parametrize(
    "content",
    [b"\x00", b'{"configuration": "<qkd_node", "created": {}}', b'{"configuration": "", "created": {}}'],
)
async def test_a_corrupt_file_means_a_fresh_start(bench: Bench, content: bytes) -> None:
    bench.folder.mkdir()
    (bench.folder / "running.json").write_bytes(content)
    endpoint = bench.endpoint()
    assert decode_configuration(endpoint.start()).applications == ()
    await endpoint.apply([], xml(WRITTEN), "operator")
    await endpoint.keep(xml(WRITTEN))
    assert decode_configuration(bench.endpoint().start()).applications != ()
    await endpoint.keep(None)
    assert decode_configuration(bench.endpoint().start()).applications == ()


async def test_state_is_valid_and_holds_what_is_observed(bench: Bench) -> None:
    endpoint = bench.endpoint()
    await endpoint.apply(endpoint.start(), xml(WRITTEN), "operator")
    (state,) = await endpoint.state()
    load_schema("agent").validate_state([state])
    text = etree.tostring(state, encoding="unicode")
    for word in ("OPERATING", "ACTIVE", "<skr>10000</skr>", "stored-bits", "creation_time", "<value>2"):
        assert word in text, word
    assert "qkdn_location_id" not in text
    seen = endpoint.node()
    assert seen.status is NodeStatus.OPERATING
    assert [link.status for link in seen.links] == [LinkStatus.ACTIVE, LinkStatus.ACTIVE]


async def test_release_link_reaches_the_module(bench: Bench) -> None:
    endpoint = bench.endpoint()
    endpoint.start()
    await endpoint.call(encode_release(FIBRE), "operator")
    assert bench.module.released == 1
    with pytest.raises(SchemaViolation, match="no module on link"):
        await endpoint.call(encode_release(PATH), "operator")
    with pytest.raises(SchemaViolation):
        await endpoint.call(encode_release(LinkId("none")), "operator")
    assert bench.module.released == 1


async def test_refuse_application_reaches_the_key_manager(bench: Bench) -> None:
    endpoint = bench.endpoint()
    await endpoint.call(encode_refusal(ALICE, (BOB,), ("no path", "no key")), "controller")
    assert bench.keys.refusals == [(ALICE, (BOB,), ("no path", "no key"))]
    with pytest.raises(KeyError):
        await endpoint.call(etree.Element("{urn:x}reboot"), "controller")
    incomplete = encode_refusal(ALICE, (), ())
    incomplete.remove(incomplete[0])
    with pytest.raises(SchemaViolation):
        await endpoint.call(incomplete, "controller")
    assert len(bench.keys.refusals) == 1
