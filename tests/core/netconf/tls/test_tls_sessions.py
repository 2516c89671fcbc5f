"""NETCONF over TLS and call home: whole sessions on loopback, and those that must not come about."""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from keyweave_core.errors import DeadlineExceeded, PeerUnreachable
from keyweave_core.model.ids import NodeId
from keyweave_core.netconf.client.answering import answer_ssh, answer_tls
from keyweave_core.netconf.client.client import NetconfClient, connect, connect_tls
from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.netconf.tls.names import CertToName, MapType, NameMap, authorities_of
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.log import get_logger
from keyweave_core.runtime.retry import Backoff
from keyweave_core.runtime.tls import TlsSettings, client_context, server_context
from keyweave_lab.pki import LabPki

CLOCK = SystemClock()
LIMITS = NetconfLimits(connect_timeout_s=5, login_timeout_s=5)
NODE = NodeId("0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a01")
NODE_NAME = f"urn:uuid:{NODE}"
USER = asyncssh.generate_private_key("ssh-ed25519")
HOST = asyncssh.generate_private_key("ssh-ed25519")
QUICK = Backoff(first_s=0.01, most_s=0.05)
LOG = get_logger("test")


class Certificates:
    def __init__(self, folder: Path) -> None:
        self.pki = LabPki(folder, now=dt.datetime.now(dt.UTC))
        self.node = self.pki.node("n", NODE)
        self.controller = self.pki.operator("ctl")
        self.stranger = self.pki.operator("stranger")

    def names(self, *entries: CertToName) -> NameMap:
        return NameMap(entries, authorities_of(self.node.ca.read_bytes()))


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
async def server(xml, tiny, device) -> AsyncIterator[NetconfServer]:
    server = NetconfServer(tiny, device, list(xml("<node><id>n</id></node>")), clock=CLOCK, limits=LIMITS)
    yield server
    await server.close()


async def listening(server: NetconfServer, certificates: Certificates, *entries: CertToName) -> int:
    service = server.tls(
        server_context(certificates.node), certificates.names(*entries), {"ctl": frozenset({"controller"})}
    )
    return await service.listen("127.0.0.1", 0)


async def over_tls(
    port: int, settings: TlsSettings, *, name: str = NODE_NAME, limits: NetconfLimits = LIMITS
) -> NetconfClient:
    context = client_context(settings, check_hostname=False)
    return await connect_tls(
        "127.0.0.1", port, context=context, expected_name=name, clock=CLOCK, limits=limits
    )


async def test_a_session_over_tls(server: NetconfServer, certificates: Certificates) -> None:
    port = await listening(server, certificates)
    client = await over_tls(port, certificates.controller)
    (facts,) = server.facts()
    assert facts.peer.transport == "netconf-tls"
    assert facts.peer.username == "ctl"
    assert facts.peer.groups == {"controller"}
    assert facts.peer.cipher.startswith("TLS_")
    assert [str(e.tag) for e in await client.get_config()] == ["{urn:test:tiny}node"]
    state = await client.get()
    text = "".join("".join(e.itertext()) for e in state)
    assert "netconf-tls" in text
    await client.close()
    assert not server.facts()


async def test_large_replies_and_many_rpcs(server: NetconfServer, certificates: Certificates, xml) -> None:
    client = await over_tls(await listening(server, certificates), certificates.controller)
    links = "".join(f"<link><id>{n}</id><hop>a</hop><hop>b</hop></link>" for n in range(5000))
    (node,) = xml(f"<node><links>{links}</links></node>")
    await client.edit_config("running", node)
    replies = await asyncio.gather(*(client.get_config() for _ in range(5)))
    assert {len(reply[0].findall(".//{urn:test:tiny}link")) for reply in replies} == {5000}
    await client.close()


@pytest.mark.parametrize(
    ("entry", "user"),
    [
        (CertToName(map=MapType.SPECIFIED, name="ctl"), "stranger"),
        (CertToName(map=MapType.COMMON_NAME), "controller"),
    ],
)
async def test_cert_to_name_decides(
    server: NetconfServer, certificates: Certificates, entry: CertToName, user: str
) -> None:
    port = await listening(server, certificates, entry)
    client = await over_tls(port, getattr(certificates, user))
    assert server.facts()[0].peer.username == "ctl"
    await client.close()


async def test_who_has_no_name_here_is_turned_away(server: NetconfServer, certificates: Certificates) -> None:
    port = await listening(server, certificates)
    with pytest.raises(PeerUnreachable):
        await over_tls(port, certificates.stranger)
    assert not server.facts()


async def test_strange_authorities_are_refused(
    server: NetconfServer, certificates: Certificates, tmp_path: Path
) -> None:
    port = await listening(server, certificates)
    other = Certificates(tmp_path / "other")
    with pytest.raises(PeerUnreachable):
        # Its certificate is not ours, though it would trust ours.
        await over_tls(port, replace(other.controller, ca=certificates.node.ca))
    with pytest.raises(PeerUnreachable, match=r"(?i)certificate"):
        await over_tls(port, replace(certificates.controller, ca=other.node.ca))
    with pytest.raises(PeerUnreachable, match="none of the names expected"):
        await over_tls(port, certificates.controller, name="urn:uuid:somebody-else")
    assert not server.facts()


async def test_without_a_certificate_nobody_comes_in(
    server: NetconfServer, certificates: Certificates
) -> None:
    port = await listening(server, certificates)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with pytest.raises(PeerUnreachable):
        await connect_tls(
            "127.0.0.1", port, context=context, expected_name=NODE_NAME, clock=CLOCK, limits=LIMITS
        )
    assert not server.facts()


async def test_a_connection_that_says_nothing_ends(xml, tiny, device, certificates: Certificates) -> None:
    limits = replace(LIMITS, login_timeout_s=0.2, max_connections=1)
    server = NetconfServer(tiny, device, list(xml("<node><id>n</id></node>")), clock=CLOCK, limits=limits)
    port = await listening(server, certificates)
    silent, _ = await asyncio.open_connection("127.0.0.1", port)
    refused, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await asyncio.wait_for(refused.read(1), 5) == b""  # one too many
    assert await asyncio.wait_for(silent.read(1), 5) == b""  # never shook hands
    writer.close()
    client = await over_tls(port, certificates.controller)  # and its place is free again
    await client.close()
    _.close()
    await server.close()


async def test_bounds_by_user(xml, tiny, device, certificates: Certificates) -> None:
    limits = replace(LIMITS, max_sessions_per_user=1)
    server = NetconfServer(tiny, device, list(xml("<node><id>n</id></node>")), clock=CLOCK, limits=limits)
    port = await listening(server, certificates)
    first = await over_tls(port, certificates.controller)
    with pytest.raises((PeerUnreachable, DeadlineExceeded)):
        await over_tls(port, certificates.controller)
    await first.close()
    await server.close()


async def test_call_home_over_tls_again_and_again(server: NetconfServer, certificates: Certificates) -> None:
    calls: asyncio.Queue[tuple[str, NetconfClient]] = asyncio.Queue()
    desk = await answer_tls(
        "127.0.0.1",
        0,
        context=client_context(certificates.controller, check_hostname=False),
        callers={"alice": NODE_NAME},
        on_call=lambda name, client: calls.put_nowait((name, client)),
        limits=LIMITS,
        clock=CLOCK,
        log=LOG,
    )
    service = server.tls(server_context(certificates.node), certificates.names(), {"ctl": frozenset()})
    server.call_home(service, "127.0.0.1", desk.port, backoff=QUICK, uniform=lambda: 0.5)
    for _ in range(3):
        name, client = await asyncio.wait_for(calls.get(), 5)
        assert name == "alice"
        assert await client.get_config()
        await client.close()
    await server.close()
    await desk.close()


async def test_call_home_over_ssh_again_and_again(server: NetconfServer) -> None:
    calls: asyncio.Queue[tuple[str, NetconfClient]] = asyncio.Queue()

    async def answering(port: int):
        return await answer_ssh(
            "127.0.0.1",
            port,
            username="ctl",
            key=USER,
            callers={"alice": HOST.convert_to_public(), "bob": USER.convert_to_public()},
            on_call=lambda name, client: calls.put_nowait((name, client)),
            limits=LIMITS,
            clock=CLOCK,
            log=LOG,
        )

    desk = await answering(0)
    port = desk.port
    service = server.ssh([HOST], {"ctl": [USER]})
    server.call_home(service, "127.0.0.1", port, backoff=QUICK, uniform=lambda: 0.5)
    for _ in range(2):
        name, client = await asyncio.wait_for(calls.get(), 5)
        assert name == "alice"
        assert await client.get_config()
        await client.close()
    _, client = await asyncio.wait_for(calls.get(), 5)
    await desk.close()  # the controller restarts
    assert isinstance(await client.ended(), PeerUnreachable | None)
    desk = await answering(port)
    _, client = await asyncio.wait_for(calls.get(), 5)
    assert await client.get_config()
    await desk.close()
    await server.close()


async def test_a_caller_with_another_host_key_is_not_taken(server: NetconfServer) -> None:
    calls: asyncio.Queue[tuple[str, NetconfClient]] = asyncio.Queue()
    desk = await answer_ssh(
        "127.0.0.1",
        0,
        username="ctl",
        key=USER,
        callers={"bob": USER.convert_to_public()},
        on_call=lambda name, client: calls.put_nowait((name, client)),
        limits=LIMITS,
        clock=CLOCK,
        log=LOG,
    )
    service = server.ssh([HOST], {"ctl": [USER]})
    with pytest.raises((OSError, asyncssh.Error)):
        await service.call("127.0.0.1", desk.port)
    assert calls.empty()
    await desk.close()


async def test_a_listener_and_calls_share_one_service(server: NetconfServer) -> None:
    service = server.ssh([HOST], {"ctl": [USER]})
    port = await service.listen("127.0.0.1", 0)
    client = await connect(
        "127.0.0.1", port, username="ctl", key=USER, host_key=HOST.convert_to_public(), clock=CLOCK
    )
    await client.close()
    with pytest.raises((OSError, asyncssh.Error)):
        await service.call("127.0.0.1", 1)
