"""Operators drive a whole network of real processes over NETCONF, with ncclient."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError

from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.deploy import start
from keyweave_lab.inventory import LabInventory, read_inventory

pytestmark = pytest.mark.interop

KWN = "urn:keyweave:yang:keyweave-qkd-network"
BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
Q = f"{{{KWN}}}"
FILTER = ("subtree", f'<key-associations xmlns="{KWN}"/>')
LINE = """
name: line
source: made for the tests
nodes: [{name: A}, {name: B}, {name: C}]
links: [{a: A, b: B, length_km: 10}, {a: B, b: C, length_km: 10}]
applications:
  - {sae_id: sae-a, node: A}
  - {sae_id: sae-b, node: B}
  - {sae_id: sae-c, node: C}
"""


def session(lab: LabInventory, user: str) -> manager.Manager:
    return manager.connect_ssh(
        host="127.0.0.1",
        port=lab.controller_netconf_port,
        username=user,
        key_filename=str(lab.directory / "pki" / f"ssh-user-{user}"),
        hostkey_verify=False,
        look_for_keys=False,
        allow_agent=False,
        timeout=30,
    )


async def play(lab: LabInventory, script: Callable[[manager.Manager], None], user: str = "operator") -> None:
    """Run a script of blocking calls in a thread, with a session of its own."""

    def work() -> None:
        with session(lab, user) as client:
            script(client)

    await asyncio.to_thread(work)
    await asyncio.sleep(0.3)  # ncclient's reader thread sees the end of the session


def config(inner: str, top: str = "key-associations") -> str:
    return f'<nc:config xmlns:nc="{BASE}"><{top} xmlns="{KWN}">{inner}</{top}></nc:config>'


def entry(name: str, source: str, destination: str, more: str = "") -> str:
    return (
        f"<association><name>{name}</name><source>{source}</source><destination>{destination}</destination>"
        f"{more}</association>"
    )


def shown(client: manager.Manager) -> dict[str, str]:
    """Names and states of the associations in <get>."""
    tree = client.get(FILTER).data_ele
    return {
        one.findtext(f"{Q}name"): one.findtext(f"{Q}state/{Q}status") for one in tree.iter(f"{Q}association")
    }


def until(look: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("ncclient").setLevel(logging.CRITICAL)


async def test_operators_run_the_network_over_netconf(run_network) -> None:
    async with run_network(LINE) as network:
        lab = network.lab

        def configure(client: manager.Manager) -> None:
            assert ":confirmed-commit" in client.server_capabilities
            with client.locked("candidate"):
                client.edit_config(config(entry("ac", "sae-a", "sae-c")), target="candidate")
                client.commit(confirmed=True, timeout="30")
                assert shown(client)["ac"] == "active"
                client.commit()
            nodes = client.get(("subtree", '<networks xmlns="urn:ietf:params:xml:ns:yang:ietf-network"/>'))
            names = {one.text for one in nodes.data_ele.iter(f"{Q}name")}
            assert names == {"A", "B", "C"}

        def refused(client: manager.Manager) -> None:
            large = "<qos><min-bandwidth-bps>4000000000</min-bandwidth-bps></qos>"
            wanted = entry("ok", "sae-b", "sae-c") + entry("large", "sae-b", "sae-a", large)
            client.edit_config(config(wanted), target="candidate")
            with pytest.raises(RPCError) as caught:
                client.commit()
            assert "lacks" in caught.value.message
            assert "association[" in caught.value.path
            assert "large" in caught.value.path
            client.discard_changes()
            until(lambda: [name for name, state in shown(client).items() if state == "active"] == ["ac"])

        def limited(client: manager.Manager) -> None:
            tenant = (
                "<tenant><name>b</name><application>sae-b</application>"
                "<max-associations>1</max-associations></tenant>"
            )
            client.edit_config(config(tenant, "tenants"), target="running")
            client.edit_config(config(entry("bc", "sae-b", "sae-c")), target="running")
            with pytest.raises(RPCError, match="tenant b has 1 key associations of at most 1"):
                client.edit_config(config(entry("ba", "sae-b", "sae-a")), target="running")

        def looked(client: manager.Manager) -> None:
            assert shown(client)["ac"] == "active"
            with pytest.raises(RPCError) as caught:
                client.edit_config(config(entry("x", "sae-b", "sae-a")), target="candidate")
            assert caught.value.tag == "access-denied"
            question = etree.fromstring(f'<what-if xmlns="{KWN}"><fail-node>B</fail-node></what-if>')
            assert "lost" in client.dispatch(question).xml

        await play(lab, configure)
        await play(lab, refused)
        await play(lab, limited)
        await play(lab, looked, user="auditor")
        async with network.app("sae-a") as alice:  # what was configured carries keys
            assert len(await alice.enc_keys("sae-c", number=1, size_bits=256)) == 1

        process = next(
            one for one in read_inventory(lab.directory).programs if one.name == "controller"
        ).process
        assert process is not None
        os.kill(process.pid, signal.SIGKILL)
        await asyncio.sleep(0.2)
        await start(lab.directory, SystemClock())

        def kept(client: manager.Manager) -> None:
            until(lambda: shown(client) == {**shown(client), "ac": "active", "bc": "active"})
            gone = '<association nc:operation="delete"><name>ac</name></association>'
            client.edit_config(config(gone), target="running")
            assert "ac" not in shown(client)

        await play(lab, kept)
        assert {(one.source, one.destination) for one in network.associations()} == {("sae-b", "sae-c")}
