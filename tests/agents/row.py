"""A row of real agents on loopback, and by hand what a controller and the applications do.

Sites stand in a row, A - B - C, joined by fibres; two applications at each. Nothing here is a model: agents
run whole (in this process), with TLS, SSH and TCP between them.
"""

import asyncio
import base64
import datetime as dt
import itertools
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from keyweave_agents.app import Ready, run
from keyweave_agents.control.settings import NodeSettings
from keyweave_agents.keys.settings import KeySettings, Neighbour
from keyweave_agents.quantum.module_settings import ModuleSettings
from keyweave_agents.service.settings import ConsumerSettings, ServiceSettings
from keyweave_agents.settings import AgentSettings
from keyweave_core.model.application import Application as App
from keyweave_core.model.application import AppQos, AppType, RelayMethod
from keyweave_core.model.ids import AppId, InterfaceId, LinkId, NodeId, SaeId
from keyweave_core.model.link import Link, LinkStatus, LinkType, VirtualSpec
from keyweave_core.model.node import Node
from keyweave_core.netconf.client.client import NetconfClient, connect
from keyweave_core.netconf.server.settings import NetconfSettings, NetconfUser
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.tls import TlsSettings, client_context
from keyweave_lab.pki import LabPki, SshKey
from keyweave_lab.ports import free_ports
from keyweave_yang.decode import decode_node
from keyweave_yang.edits import edit_config, node_filter

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
    async def application(
        self, letter: str, *, as_: TlsSettings | None = None
    ) -> AsyncIterator[httpx.AsyncClient]:
        """A client of the site's key delivery: its first application unless `as_` says another."""
        site = self.sites[letter]
        assert site.ready is not None
        context: ssl.SSLContext = client_context(as_ or self.applications[letter])
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
            keys=KeySettings(
                listen_port=keys_port[letter], neighbours=tuple(neighbours), statistics_period_s=1.0
            ),
            keys_tls=tls,
            service=ServiceSettings(listen_port=0, tls=tls),
            consumers=(
                ConsumerSettings(sae_id=sae(letter), min_bandwidth_bps=1_000),
                ConsumerSettings(sae_id=sae(f"{letter}2")),
            ),
            modules=tuple(modules),
        )
        sites[letter] = Site(letter=letter, settings=settings, host_key=host_key)
    names = [f"{letter}{more}" for letter in letters for more in ("", "2")]
    applications = {name: pki.application(sae(name)) for name in names}
    return Row(sites=sites, applications=applications, controller=controller)


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
        relay_method=RelayMethod.OTP,
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
