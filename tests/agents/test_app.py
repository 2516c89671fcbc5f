"""Whole agents on loopback: real fibres, relay, TLS, SSH; the controller's part is written by hand.

Sites in a row, A - B - C, one application at each. What a controller would do is done here by edit-config,
so these tests hold for any controller.
"""

import asyncio
import base64
import datetime as dt
import itertools
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from lxml import etree
from ncclient import manager

from keyweave_agents.app import Ready, run
from keyweave_agents.control.settings import NetconfSettings, NetconfUser, NodeSettings
from keyweave_agents.keys.settings import KeySettings, Neighbour
from keyweave_agents.quantum.module_settings import ModuleSettings
from keyweave_agents.service.settings import ConsumerSettings, ServiceSettings
from keyweave_agents.settings import AgentSettings
from keyweave_core.model.application import Application as App
from keyweave_core.model.application import AppQos, AppStatus, AppType
from keyweave_core.model.ids import AppId, InterfaceId, LinkId, NodeId, SaeId
from keyweave_core.model.link import Link, LinkStatus, LinkType, RelayMethod, VirtualSpec
from keyweave_core.model.node import Node
from keyweave_core.model.notifications import ApplicationNew, Notification
from keyweave_core.netconf.client import NetconfClient, connect
from keyweave_core.netconf.rpc_errors import RpcError
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.tls import TlsSettings, client_context
from keyweave_lab.pki import LabPki, SshKey
from keyweave_lab.ports import free_ports
from keyweave_yang.decode import decode_node, decode_notification
from keyweave_yang.edits import edit_config, node_filter
from keyweave_yang.encode import encode_refusal

PATH = LinkId("33333333-0000-4000-8000-000000000001")
APP = AppId("22222222-0000-4000-8000-000000000001")


def node_of(letter: str) -> NodeId:
    return NodeId(f"{letter * 8}-0000-4000-8000-000000000000")


def fibre(left: str, right: str) -> LinkId:
    return LinkId(f"11111111-0000-4000-8000-{left * 6}{right * 6}")


@dataclass
class Site:
    """One agent of the row: its settings, and its life."""

    letter: str
    settings: AgentSettings
    host_key: SshKey
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    ready: Ready | None = None

    async def start(self) -> None:
        up: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(run(self.settings, ready=up.set_result, stop=self.stop))
        await asyncio.wait({self.task, up}, return_when=asyncio.FIRST_COMPLETED)
        if self.task.done():
            self.task.result()
        self.ready = up.result()

    async def end(self) -> None:
        self.stop.set()
        if self.task is not None:
            await asyncio.wait_for(self.task, 10)
            self.task = None


@dataclass
class Row:
    """All sites, and what a controller and the applications have."""

    sites: dict[str, Site]
    applications: dict[str, TlsSettings]
    controller: SshKey

    def __getitem__(self, letter: str) -> Site:
        return self.sites[letter]

    @asynccontextmanager
    async def netconf(self, letter: str) -> AsyncIterator[NetconfClient]:
        site = self.sites[letter]
        assert site.ready is not None
        client = await connect(
            "127.0.0.1",
            site.ready.netconf_port,
            username="controller",
            host_key=site.host_key.public_line,
            key=self.controller.private_key.read_text(encoding="ascii"),
            clock=SystemClock(),
        )
        async with client:
            yield client

    @asynccontextmanager
    async def application(self, letter: str) -> AsyncIterator[httpx.AsyncClient]:
        site = self.sites[letter]
        assert site.ready is not None
        context: ssl.SSLContext = client_context(self.applications[letter])
        async with httpx.AsyncClient(
            base_url=f"https://127.0.0.1:{site.ready.service_port}/api/v1/keys", verify=context, timeout=20
        ) as client:
            yield client

    async def write(self, letter: str, **edits: Any) -> None:
        async with self.netconf(letter) as client:
            await client.edit_config("running", edit_config(**edits))

    async def node(self, letter: str) -> Node:
        async with self.netconf(letter) as client:
            node, faults = decode_node(await client.get(node_filter()))
        assert faults == ()
        return node


def sae(letter: str) -> SaeId:
    return SaeId(f"sae-{letter}")


def make_row(folder: Path, letters: str) -> Row:
    pki = LabPki(folder / "pki", now=dt.datetime.now(dt.UTC))
    spans = list(itertools.pairwise(letters))
    ports = iter(free_ports(len(letters) + len(spans)))
    keys_port = {letter: next(ports) for letter in letters}
    fibre_port = {span: next(ports) for span in spans}
    controller = pki.ssh_key("controller")

    def interface(letter: str, span: tuple[str, str]) -> InterfaceId:
        return InterfaceId([each for each in spans if letter in each].index(span) + 1)

    sites = {}
    for letter in letters:
        modules = []
        neighbours = []
        for span in spans:
            if letter not in span:
                continue
            sends = letter == span[0]
            far = span[1] if sends else span[0]
            where = f"127.0.0.1:{fibre_port[span]}"
            modules.append(
                ModuleSettings(
                    interface_id=interface(letter, span),
                    link_id=fibre(*span),
                    remote_node_id=node_of(far),
                    remote_interface_id=interface(far, span),
                    role="transmitter" if sends else "receiver",
                    profile="bb84-t12-1ghz",
                    distance_km=15.0,
                    loss_db=3.0,
                    listen=where if sends else None,
                    connect=None if sends else where,
                )
            )
            neighbours.append(
                Neighbour(node_id=node_of(far), link_id=fibre(*span), host="127.0.0.1", port=keys_port[far])
            )
        tls = pki.node(letter, node_of(letter))
        host_key = pki.ssh_key(f"host-{letter}")
        settings = AgentSettings(
            node=NodeSettings(
                node_id=node_of(letter), location_id=f"site {letter}", state_dir=folder / f"state-{letter}"
            ),
            netconf=NetconfSettings(
                listen_port=0,
                host_key=host_key.private_key,
                users=(NetconfUser(name="controller", authorized_keys=controller.public_key),),
            ),
            keys=KeySettings(listen_port=keys_port[letter], neighbours=tuple(neighbours)),
            keys_tls=tls,
            service=ServiceSettings(listen_port=0, tls=tls),
            consumers=(ConsumerSettings(sae_id=sae(letter), min_bandwidth_bps=1_000),),
            modules=tuple(modules),
        )
        sites[letter] = Site(letter=letter, settings=settings, host_key=host_key)
    applications = {letter: pki.application(sae(letter)) for letter in letters}
    return Row(sites=sites, applications=applications, controller=controller)


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


def link_entry(letters: str, letter: str) -> Link:
    place = letters.index(letter)
    return Link(
        link_id=PATH,
        type=LinkType.VIRT,
        requested_status=LinkStatus.ACTIVE,
        applications=(APP,),
        virtual=VirtualSpec(
            prev_hop=node_of(letters[place - 1]) if place else None,
            next_hops=(node_of(letters[place + 1]),) if place + 1 < len(letters) else (),
            bandwidth_bps=2_000,
        ),
        relay_method=RelayMethod.ONE_TIME_PAD,
    )


def app_entry(letters: str, letter: str) -> App:
    first, last = letters[0], letters[-1]
    return App(
        app_id=APP,
        type=AppType.CLIENT,
        server_app_id=sae(first),
        client_app_ids=(sae(last),),
        qos=AppQos(min_bandwidth_bps=2_000),
        backing_link_ids=(PATH,),
        local_node_id=node_of(letter),
        remote_node_id=node_of(last if letter == first else first),
    )


async def join(row: Row, letters: str) -> None:
    """What a controller writes for a path from the first letter to the last."""
    await asyncio.gather(*(row.write(each, put_links=[link_entry(letters, each)]) for each in letters))
    await asyncio.gather(
        *(row.write(each, put_applications=[app_entry(letters, each)]) for each in (letters[0], letters[-1]))
    )


async def key_pairs(row: Row, first: str, last: str, number: int = 1) -> list[tuple[str, bytes]]:
    """Ask at one end, fetch at the other, compare; key ids and the length of each key."""
    async with row.application(first) as master, row.application(last) as slave:
        answer = await master.get(f"/{sae(last)}/enc_keys", params={"number": number})
        assert answer.status_code == 200, answer.text
        given = {each["key_ID"]: each["key"] for each in answer.json()["keys"]}
        fetched = await slave.post(
            f"/{sae(first)}/dec_keys", json={"key_IDs": [{"key_ID": key_id} for key_id in given]}
        )
        assert fetched.status_code == 200, fetched.text
        assert {each["key_ID"]: each["key"] for each in fetched.json()["keys"]} == given
    return [(key_id, base64.b64decode(key)) for key_id, key in given.items()]


async def until(holds: Callable[[], Awaitable[bool]], within_s: float = 5.0) -> None:
    limit = time.monotonic() + within_s
    while not await holds():
        assert time.monotonic() < limit, "did not come to hold"
        await asyncio.sleep(0.05)


Grow = Callable[[str], Awaitable[Row]]


async def test_keys_over_a_relay_from_the_first_request_to_both_ends(grow: Grow) -> None:
    row = await grow("abc")
    told: list[Notification] = []
    async with row.netconf("a") as client, row.application("a") as master:
        await client.create_subscription(
            on_notification=lambda each: told.append(decode_notification(each.content))
        )
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
                assert link.performance.skr_bps
                assert link.performance.qber is not None


async def test_both_ends_of_a_fibre_tell_the_same_link(grow: Grow) -> None:
    row = await grow("ab")
    left, right = await row.node("a"), await row.node("b")
    assert left.links[0].link_id == right.links[0].link_id == fibre("a", "b")
    assert (left.links[0].local, left.links[0].remote) == (right.links[0].remote, right.links[0].local)
    assert left.consumers == (sae("a"),)


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
