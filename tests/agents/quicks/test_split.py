"""Nodes whose key manager and SDN agent are two programs, beside nodes that are one."""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from tests.agents.row import Row, Site, fibre, join, key_pairs, make_row, node_of, sae, until

from keyweave_agents.quicks.caller import Caller, Stranger
from keyweave_agents.quicks.messages import Version
from keyweave_agents.quicks.settings import QuicksSettings
from keyweave_agents.settings import AgentSettings
from keyweave_core.model.link import LinkStatus
from keyweave_core.runtime.tls import client_context
from keyweave_lab.ports import free_ports
from keyweave_yang.edits import node_filter
from keyweave_yang.encode import encode_refusal
from keyweave_yang.namespaces import kwq

WAITING = kwq("waiting-application")


@dataclass
class SplitSite(Site):
    """A node as two programs that behaves like one to the test."""

    agent: Site | None = None
    manager: Site | None = None

    async def start(self) -> None:
        assert self.agent is not None
        assert self.manager is not None
        await self.agent.start()
        await self.manager.start()
        assert self.agent.ready is not None
        assert self.manager.ready is not None
        self.ready = replace(self.manager.ready, netconf_port=self.agent.ready.netconf_port, quicks_port=None)

    async def end(self) -> None:
        for program in (self.manager, self.agent):
            if program is not None:
                await program.end()


def split(site: Site) -> SplitSite:
    """The same node, in two programs."""
    agent_port, manager_port = free_ports(2)
    tls = site.settings.keys_tls
    identity = f"urn:uuid:{node_of(site.letter)}"

    def table(role: str, own: int, peer: int) -> QuicksSettings:
        return QuicksSettings(
            role=role,  # type: ignore[arg-type]  # one of the two
            listen_port=own,
            tls=tls,
            peer_url=f"https://127.0.0.1:{peer}",
            peer_identity=identity,
            poll_s=0.2,
            registration_s=4.0,
        )

    def half(settings: AgentSettings) -> Site:
        return Site(letter=site.letter, settings=settings, host_key=site.host_key)

    settings = site.settings
    return SplitSite(
        letter=site.letter,
        settings=settings,
        host_key=site.host_key,
        agent=replace(
            site,
            settings=replace(settings, quicks=table("agent", agent_port, manager_port)),
            stop=asyncio.Event(),
        ),
        manager=replace(
            site,
            settings=replace(settings, netconf=None, quicks=table("key-manager", manager_port, agent_port)),
            stop=asyncio.Event(),
        ),
    )


async def row_of(folder: Path, letters: str, *, in_two: str) -> Row:
    row = make_row(folder, letters)
    for letter in in_two:
        row.sites[letter] = split(row.sites[letter])
    await asyncio.gather(*(site.start() for site in row.sites.values()))
    return row


async def generating(row: Row, letter: str, links: int) -> bool:
    node = await row.node(letter)
    lit = [each for each in node.links if each.status is LinkStatus.ACTIVE and each.pool]
    return len(lit) == links and all(each.pool and each.pool.stored_bits > 20_000 for each in lit)


@pytest.mark.parametrize("in_two", ["abc", "b", "ac"])
async def test_keys_flow_along_nodes_of_both_kinds(tmp_path: Path, in_two: str) -> None:
    row = await row_of(tmp_path, "abc", in_two=in_two)
    try:
        for letter, links in (("a", 1), ("b", 2), ("c", 1)):
            await until(lambda letter=letter, links=links: generating(row, letter, links), 15)  # type: ignore[misc]  # bound now
        await join(row, "abc")
        pairs = await key_pairs(row, "a", "c", 5)
        assert len({key_id for key_id, _ in pairs}) == 5
        status = {each.link_id: each.status for each in (await row.node("b")).links}
        assert status[fibre("a", "b")] is LinkStatus.ACTIVE
    finally:
        await asyncio.gather(*(site.end() for site in row.sites.values()))


async def test_a_key_manager_that_restarts_gets_its_orders_again(tmp_path: Path) -> None:
    row = await row_of(tmp_path, "ab", in_two="a")
    site = row["a"]
    assert isinstance(site, SplitSite)
    assert site.manager is not None
    try:
        await until(lambda: generating(row, "a", 1), 15)
        await join(row, "ab")
        await key_pairs(row, "a", "b")
        await site.manager.end()

        async def away() -> bool:
            link = next(each for each in (await row.node("a")).links if each.link_id == fibre("a", "b"))
            return link.status is not LinkStatus.ACTIVE

        await until(away, 10)
        await site.manager.start()
        assert site.manager.ready is not None
        assert site.ready is not None
        site.ready = replace(site.ready, service_port=site.manager.ready.service_port)
        await until(lambda: generating(row, "a", 1), 15)
        await key_pairs(row, "a", "b")
    finally:
        await asyncio.gather(*(each.end() for each in row.sites.values()))


async def test_who_wants_keys_is_heard_by_the_agent_and_a_refusal_by_the_application(tmp_path: Path) -> None:
    row = await row_of(tmp_path, "ab", in_two="a")
    site = row["a"]
    assert isinstance(site, SplitSite)
    try:
        async with row.application("a") as master, row.netconf("a") as controller:
            asked = asyncio.create_task(master.get(f"/{sae('b')}/enc_keys"))

            async def waits() -> bool:
                told = await controller.get(node_filter())
                return any(WAITING in {each.tag for each in element.iter()} for element in told)

            await until(waits, 5)
            await controller.rpc(encode_refusal(sae("a"), (sae("b"),), ("no fibre leads there",)))
            answer = await asked
        assert answer.status_code == 400, answer.text
        assert "no fibre leads there" in answer.text
    finally:
        await asyncio.gather(*(each.end() for each in row.sites.values()))


async def test_the_doors_are_for_the_other_half_alone_and_say_what_is_wrong(tmp_path: Path) -> None:
    row = await row_of(tmp_path, "ab", in_two="a")
    site = row["a"]
    assert isinstance(site, SplitSite)
    assert site.manager is not None
    assert site.manager.ready is not None
    base = f"https://127.0.0.1:{site.manager.ready.quicks_port}/api/v2/sdn"
    try:
        own = client_context(site.settings.keys_tls)
        async with httpx.AsyncClient(verify=own, base_url=base) as agent:
            assert (await agent.get("/version")).json() == {"version": "2.1.0"}
            told = (await agent.get("/monitor/capabilities")).json()
            assert told["key_relay_support"] is True
            assert told["app_api_support"] == ["etsi_014"]
            assert told["etsi_014_info"]["KME_ID"] == node_of("a")
            assert (await agent.get("/monitor/status")).json()["state"] == "online"
            (device,) = (await agent.get("/monitor/qkd-device")).json()["qkd_devices"]
            figures = (await agent.get(f"/link/performance/{fibre('a', 'b')}?entries=3")).json()
            assert set(figures["current"]) >= {"timestamp", "delta_t"}
            for verb, path, body, status in (
                ("GET", "/link/performance/nothing", None, 404),
                ("GET", f"/link/performance/{fibre('a', 'b')}?entries=-1", None, 400),
                ("GET", "/monitor/log", None, 501),
                ("PATCH", "/monitor/status", None, 405),
                ("GET", "/nothing", None, 404),
                ("POST", "/link/relay/s1", b"{}", 400),
                ("POST", "/link/relay/s1", b"\xff", 400),
                ("PUT", "/link/relay/s1", b"{}", 404),
                ("DELETE", "/link/relay/s1", None, 404),
                ("POST", f"/control/qkd-device/{device['device_id']}", b"{}", 409),
                ("POST", "/control/qkd-device/another", b"{}", 403),
                ("DELETE", f"/control/qkd-device/{device['device_id']}", None, 403),
                ("PUT", f"/control/qkd-device/{device['device_id']}", b"{}", 403),
                ("PUT", "/control/status", b'{"state": "offline"}', 403),
                ("PUT", "/control/status", b'{"state": "asleep"}', 400),
                ("POST", "/link/relay/s1", b"[" * 300_000, 413),
            ):
                answer = await agent.request(verb, path, content=body)
                problem = answer.json()
                assert answer.status_code == problem["status"] == status, (verb, path, answer.text)
                assert answer.headers["content-type"] == "application/problem+json"
                assert problem["title"]
                assert problem["detail"]
        stranger = client_context(row.applications["a"])
        async with httpx.AsyncClient(verify=stranger, base_url=base) as other:
            answer = await other.get("/version")
            assert answer.status_code == 401
    finally:
        await asyncio.gather(*(each.end() for each in row.sites.values()))


async def test_making_keys_is_stopped_and_begun_by_the_agent(tmp_path: Path) -> None:
    row = await row_of(tmp_path, "ab", in_two="a")
    try:
        await until(lambda: generating(row, "a", 1), 15)
        link = next(each for each in (await row.node("a")).links if each.link_id == fibre("a", "b"))
        await row.write("a", put_links=[replace(link, enable=False, status=None, pool=None)])

        async def dark() -> bool:
            far = next(each for each in (await row.node("b")).links if each.link_id == fibre("a", "b"))
            return far.status is not LinkStatus.ACTIVE

        await until(dark, 10)
    finally:
        await asyncio.gather(*(each.end() for each in row.sites.values()))


async def test_an_answer_of_somebody_else_is_not_read(tmp_path: Path) -> None:
    row = await row_of(tmp_path, "ab", in_two="a")
    site = row["a"]
    assert isinstance(site, SplitSite)
    assert site.agent is not None
    quicks = site.agent.settings.quicks
    assert quicks is not None
    caller = Caller(replace(quicks, peer_identity=f"urn:uuid:{node_of('b')}"))
    right = Caller(quicks)
    try:
        assert (await right.ask("GET", "/version", Version)).version == "2.1.0"
        with pytest.raises(Stranger, match="does not name urn:uuid:bbbb"):
            await caller.ask("GET", "/version", Version)
    finally:
        await caller.close()
        await right.close()
        await asyncio.gather(*(each.end() for each in row.sites.values()))
