"""The key exchange of a session: post-quantum hybrids come first, and the server knows which it was."""

import asyncssh
import pytest

from keyweave_core.netconf.client.client import connect
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.netconf.ssh.channel import key_exchange_of
from keyweave_core.runtime.clock import SystemClock

CLOCK = SystemClock()
USER = asyncssh.generate_private_key("ssh-ed25519")
HOST = asyncssh.generate_private_key("ssh-ed25519")


@pytest.fixture
async def server(xml, tiny, device):
    server = NetconfServer(tiny, device, list(xml("<node><id>n</id></node>")), clock=CLOCK)
    yield server
    await server.close()


async def test_both_ends_record_a_post_quantum_hybrid(server: NetconfServer) -> None:
    port = await server.start_ssh(
        "127.0.0.1", 0, [HOST], {"ctl": [USER]}, groups={"ctl": frozenset({"controller"})}
    )
    client = await connect(
        "127.0.0.1", port, username="ctl", key=USER, host_key=HOST.convert_to_public(), clock=CLOCK
    )
    (facts,) = server.facts()
    assert facts.peer.key_exchange in {
        "mlkem768x25519-sha256",
        "mlkem768nistp256-sha256",
        "mlkem1024nistp384-sha384",
        "sntrup761x25519-sha512",
        "sntrup761x25519-sha512@openssh.com",
    }
    assert client.peer.key_exchange == facts.peer.key_exchange
    assert facts.peer.cipher
    assert facts.peer.groups == {"controller"}
    await client.close()


async def test_a_classical_client_is_recorded_as_such(server: NetconfServer) -> None:
    port = await server.start_ssh("127.0.0.1", 0, [HOST], {"ctl": [USER]})
    async with (
        asyncssh.connect(
            "127.0.0.1",
            port,
            config=None,
            username="ctl",
            client_keys=[USER],
            known_hosts=None,
            kex_algs=["curve25519-sha256"],
        ) as connection,
        connection.create_process(subsystem="netconf", encoding=None) as process,
    ):
        await process.stdout.readuntil(b"]]>]]>")
        (facts,) = server.facts()
        assert facts.peer.key_exchange == "curve25519-sha256"


def test_a_connection_that_tells_nothing_is_unknown() -> None:
    assert key_exchange_of(object()) == ""
