"""netconfd as an agent of somebody else: our client works with it.

It lists `writable-running` among the features of ietf-netconf even when it lets nobody edit running.
"""

import asyncio
from collections.abc import AsyncIterator

import asyncssh
import pytest
from lxml import etree
from tests.interop.foreign import BASE, ETSI, NODE, Foreign, fibre, holding_a_node
from tests.interop.netconfd import USER, why_not

from keyweave_core.netconf.client.client import NetconfClient
from keyweave_core.netconf.protocol.rpc_errors import RpcError

REASON = why_not()
pytestmark = [pytest.mark.interop, pytest.mark.skipif(bool(REASON), reason=REASON)]

E = f"{{{ETSI}}}"
HELLO = (
    f'<hello xmlns="{BASE}"><capabilities><capability>urn:ietf:params:netconf:base:1.1</capability>'
    f"</capabilities></hello>]]>]]>"
).encode()
PROBE = (
    f'<rpc xmlns="{BASE}" message-id="1"><get-config><source><running/></source></get-config></rpc>'
).encode()


@pytest.fixture(params=["running", "candidate"])
async def foreign(request: pytest.FixtureRequest) -> AsyncIterator[Foreign]:
    async with holding_a_node(request.param) as place:
        yield place


async def attenuation(client: NetconfClient, source: str = "running") -> str | None:
    (held,) = await client.get_config(source, fibre("<phys_channel_att/>"))
    return held.findtext(f".//{E}phys_channel_att")


async def test_the_client_reads_and_edits(foreign: Foreign) -> None:
    async with await foreign.session() as client:
        assert client.capabilities.writable_running == (foreign.target == "running")
        assert client.capabilities.candidate == (foreign.target == "candidate")
        (whole,) = [each for each in await client.get() if each.tag == f"{E}qkd_node"]
        assert whole.findtext(f"{E}qkdn_id") == NODE
        assert await attenuation(client) == "3.500"
        await foreign.edit(client, fibre("<phys_channel_att>4.5</phys_channel_att>"))
        assert await attenuation(client) == "4.500"
        with pytest.raises(RpcError) as caught:
            await client.edit_config(foreign.target, fibre("<phys_channel_att>much</phys_channel_att>"))
        assert caught.value.tag == "bad-element"
        assert "phys_channel_att" in (caught.value.path or "")
        assert "leaf qkdn_id" in await client.get_schema("etsi-qkd-sdn-node")


async def test_a_candidate_is_committed_or_discarded() -> None:
    async with holding_a_node("candidate") as foreign, await foreign.session() as client:
        await client.lock("candidate")
        await client.edit_config("candidate", fibre("<phys_channel_att>5.5</phys_channel_att>"))
        await client.validate("candidate")
        assert await attenuation(client, "candidate") == "5.500"
        assert await attenuation(client) == "3.500"
        await client.discard()
        assert await attenuation(client, "candidate") == "3.500"
        await client.edit_config("candidate", fibre("<phys_channel_att>6.5</phys_channel_att>"))
        await client.commit()
        await client.unlock("candidate")
        assert await attenuation(client) == "6.500"


async def test_a_lock_holds_and_ends_with_its_session(foreign: Foreign) -> None:
    async with await foreign.session() as client, await foreign.session() as other:
        await other.lock(foreign.target)
        with pytest.raises(RpcError) as caught:
            await client.lock(foreign.target)
        assert caught.value.tag == "lock-denied"
        with pytest.raises(RpcError) as caught:
            await client.edit_config(foreign.target, fibre("<phys_channel_att>1</phys_channel_att>"))
        assert caught.value.tag == "in-use"
        await other.close()
        await client.lock(foreign.target)
        await client.unlock(foreign.target)


async def test_notifications_come_and_are_replayed(foreign: Foreign) -> None:
    async with await foreign.session() as client:
        await client.create_subscription(start_time="2020-01-01T00:00:00Z")
        await foreign.edit(client, fibre("<phys_channel_att>7.5</phys_channel_att>"))
        names: list[str] = []
        async with asyncio.timeout(10):
            async for each in client.notifications():
                names.append(etree.QName(each.content).localname)
                if names[-1] == "netconf-config-change" and "replayComplete" in names:
                    break
        past, live = names[: names.index("replayComplete")], names[names.index("replayComplete") :]
        assert "netconf-config-change" in past
        assert "netconf-config-change" in live


# What netconfd does that our side must live with; a newer one that does not may lose these tests.


async def test_its_commit_after_a_validate_does_nothing() -> None:
    async with holding_a_node("candidate") as foreign, await foreign.session() as client:
        await client.edit_config("candidate", fibre("<phys_channel_att>5.5</phys_channel_att>"))
        await client.validate("candidate")
        await client.commit()
        assert await attenuation(client) == "3.500"
        await client.edit_config("candidate", fibre("<phys_channel_att>6.5</phys_channel_att>"))
        await client.commit()
        assert await attenuation(client) == "6.500"


async def test_it_overlooks_an_rpc_that_comes_with_the_hello() -> None:
    first = HELLO + b"\n#%d\n%b\n##\n" % (len(PROBE), PROBE)
    async with holding_a_node("running") as foreign, asyncssh.connect(
        "127.0.0.1", foreign.server.port, username=USER, client_keys=[foreign.key],
        known_hosts=None, config=None,
    ) as connection:  # fmt: skip
        stdin, stdout, _ = await connection.open_session(subsystem="netconf", encoding=None)
        await stdout.readuntil(b"]]>]]>")
        stdin.write(first)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stdout.readuntil(b"\n##\n"), 1)
        stdin.write(b"\n#%d\n%b\n##\n" % (len(PROBE), PROBE))
        for _ in range(2):
            assert b"rpc-reply" in await asyncio.wait_for(stdout.readuntil(b"\n##\n"), 5)
