"""Our key managers under an SDN agent of another make: here the orders are given by hand, over HTTPS."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from tests.agents.quicks.test_split import SplitSite, split
from tests.agents.row import Row, fibre, key_pairs, make_row, sae, until

from keyweave_core.runtime.tls import client_context

QOS = {"type": "etsi_014", "etsi_014": {"number": 4, "size": 256}}


@asynccontextmanager
async def managers(folder: Path, letters: str) -> AsyncIterator[tuple[Row, dict[str, httpx.AsyncClient]]]:
    """Only the key managers of a row, each with a client that is their agent."""
    row = make_row(folder, letters)
    clients = {}
    for letter in letters:
        site = split(row.sites[letter])
        assert site.manager is not None
        await site.manager.start()
        site.ready = site.manager.ready
        row.sites[letter] = site
        assert site.ready is not None
        clients[letter] = httpx.AsyncClient(
            verify=client_context(site.settings.keys_tls),
            base_url=f"https://127.0.0.1:{site.ready.quicks_port}/api/v2/sdn",
        )
    try:
        yield row, clients
    finally:
        for client in clients.values():
            await client.aclose()
        for site in row.sites.values():
            assert isinstance(site, SplitSite)
            assert site.manager is not None
            await site.manager.end()


def order(row: Row, *near: str) -> dict[str, object]:
    return {
        "source": sae("a"),
        "destination": [sae("c")],
        "next_node_info": [f"127.0.0.1:{row[one].settings.keys.listen_port}" for one in near],
        "qos_request": QOS,
        "vendor_member": {"is": "let pass"},
    }


async def stored(client: httpx.AsyncClient, link: str) -> bool:
    current = (await client.get(f"/link/performance/{link}")).json()["current"]
    return int(current.get("KAV", 0)) > 4000


@pytest.mark.parametrize("near_b", [("a", "c"), ("c", "a")])
async def test_orders_without_a_direction_make_a_path(tmp_path: Path, near_b: tuple[str, str]) -> None:
    async with managers(tmp_path, "abc") as (row, agents):
        for letter, link in (("a", fibre("a", "b")), ("c", fibre("b", "c"))):
            await until(lambda letter=letter, link=link: stored(agents[letter], link), 15)  # type: ignore[misc]  # bound now
        for letter, near in (("a", ("b",)), ("b", near_b), ("c", ("b",))):
            answer = await agents[letter].post("/link/relay/stream%20seven", json=order(row, *near))
            assert answer.status_code == 201, answer.text
            again = await agents[letter].post("/link/relay/stream%20seven", json=order(row, *near))
            assert again.status_code == 201, again.text
        await key_pairs(row, "a", "c", 4)
        other = await agents["a"].post("/link/relay/stream%20seven", json=order(row, "b") | {"source": "x"})
        assert other.status_code == 409
        for letter in "abc":
            assert (await agents[letter].delete("/link/relay/stream%20seven")).status_code == 204
            assert (await agents[letter].delete("/link/relay/stream%20seven")).status_code == 404


async def test_an_agent_that_is_away_is_told_later_who_waits(tmp_path: Path) -> None:
    async with managers(tmp_path, "ab") as (row, agents), row.application("a") as master:
        asked = asyncio.create_task(master.get(f"/{sae('b')}/enc_keys"))
        await asyncio.sleep(0.5)
        for letter, near in (("a", ("b",)), ("b", ("a",))):
            body = order(row, *near) | {"destination": [sae("b")]}
            answer = await agents[letter].post("/link/relay/s", json=body)
            assert answer.status_code == 201
        assert (await asked).status_code == 200
