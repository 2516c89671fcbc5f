"""Agents that misbehave on the wire: each loses its session with a reason, and nobody else notices."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncssh
import pytest

from keyweave_controller.control.events import NodeLost, NodeRead
from keyweave_controller.settings import AgentSettings

Process = asyncssh.SSHServerProcess[bytes]

HELLO = (
    b'<hello xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><capabilities>'
    b"<capability>urn:ietf:params:netconf:base:1.0</capability>"
    b"<capability>urn:ietf:params:netconf:capability:writable-running:1.0</capability>"
    b"<capability>urn:ietf:params:netconf:capability:notification:1.0</capability>"
    b"<capability>urn:etsi:qkd:yang:etsi-qkd-node?module=etsi-qkd-sdn-node</capability>"
    b"</capabilities><session-id>1</session-id></hello>]]>]]>"
)
OK = b'<rpc-reply xmlns="urn:ietf:params:xml:ns:netconf:base:1.0" message-id="%d"><ok/></rpc-reply>]]>]]>'


class _AnyUser(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return False


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[AgentSettings]]]:
    """Serves one script to every session; the inventory entry of that agent."""
    listeners = []

    async def start(script: Callable[[Process], Awaitable[None]]) -> AgentSettings:
        key = asyncssh.generate_private_key("ssh-ed25519")
        path = tmp_path / "hostile.pub"
        path.write_bytes(key.export_public_key())

        async def session(process: Process) -> None:
            try:
                await script(process)
                await process.stdin.read()
            except (OSError, asyncssh.Error):
                pass
            finally:
                process.exit(0)

        listener = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=_AnyUser,
            server_host_keys=[key],
            process_factory=session,
            encoding=None,
        )
        listeners.append(listener)
        return AgentSettings(name="bad", host="127.0.0.1", port=listener.get_port(), host_key=path)

    yield start
    for listener in listeners:
        listener.close()
        await listener.wait_closed()


async def says_garbage(process: Process) -> None:
    process.stdout.write(b"SSH is not NETCONF\n]]>]]>")


async def never_greets(process: Process) -> None:
    process.stdout.write(b"<hello")


async def never_ends(process: Process) -> None:
    process.stdout.write(HELLO)
    process.stdout.write(OK % 1)
    while True:
        process.stdout.write(b"<a>" + b"x" * 65_000)
        await process.stdout.drain()


async def never_answers(process: Process) -> None:
    process.stdout.write(HELLO)


async def answers_in_another_tongue(process: Process) -> None:
    process.stdout.write(HELLO)
    process.stdout.write(OK % 1)
    process.stdout.write(
        b'<rpc-reply xmlns="urn:ietf:params:xml:ns:netconf:base:1.0" message-id="2"><data>'
        b'<qkd_node xmlns="urn:etsi:qkd:yang:etsi-qkd-node"><qkdn_id>me</qkdn_id></data></rpc-reply>]]>]]>'
    )


async def brings_a_doctype(process: Process) -> None:
    process.stdout.write(HELLO)
    process.stdout.write(OK % 1)
    process.stdout.write(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>]]>]]>')


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (says_garbage, "not well-formed"),
        (never_greets, "no hello"),
        (never_ends, "(?i)message|bytes|large"),
        (never_answers, "no reply to create-subscription"),
        (answers_in_another_tongue, "not well-formed"),
        (brings_a_doctype, "DOCTYPE|well-formed"),
    ],
)
async def test_a_hostile_agent_is_lost_with_a_reason_and_a_good_one_works_on(
    serve, agent, run_fleet, heard, southbound, script, reason
):
    bad = await serve(script)
    fleet = run_fleet(bad, agent)
    assert (await heard.wait(NodeRead)).name == "a"
    lost = await heard.wait(NodeLost)
    assert lost.name == "bad"
    assert re.search(reason, lost.reason), lost.reason
    await asyncio.sleep(0.2)
    assert len(heard.of(NodeLost)) == 1
    await fleet.read(heard.of(NodeRead)[0].node.node_id)


async def test_another_host_key_is_not_trusted(agent, run_fleet, heard, tmp_path):
    other = tmp_path / "other.pub"
    other.write_bytes(asyncssh.generate_private_key("ssh-ed25519").export_public_key())
    entry = AgentSettings(name="a", host="127.0.0.1", port=agent.port, host_key=other)
    run_fleet(entry)
    lost = await heard.wait(NodeLost)
    assert "key" in lost.reason.lower()
