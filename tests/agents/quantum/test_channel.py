"""The connection under the modules: foreign errors end here, and nothing waits or grows for ever."""

import asyncio
import socket

import pytest

from keyweave_agents.material import Secret
from keyweave_agents.quantum.channel import FrameStream, Listener, connect, listen
from keyweave_agents.quantum.frames import MAX_BLOCK_BYTES, Ack, Block, Keepalive
from keyweave_core.errors import MalformedMessage, PeerUnreachable


async def joined() -> tuple[Listener, FrameStream, FrameStream]:
    listener = await listen("127.0.0.1", 0)
    near = await connect("127.0.0.1", listener.port, timeout_s=1)
    return listener, near, await listener.accept()


async def parted(listener: Listener, *streams: FrameStream) -> None:
    for stream in streams:
        await stream.close()
    listener.close()


async def test_frames_arrive_whole_and_in_order() -> None:
    listener, near, far = await joined()
    big = Secret(bytes(range(256)) * (MAX_BLOCK_BYTES // 256))
    near.send(Ack(block_id=1))
    near.send(Block(block_id=2, owner="receiver", material=big))
    near.send(Keepalive())
    await near.drain()
    assert await far.receive() == Ack(block_id=1)
    block = await far.receive()
    assert isinstance(block, Block)
    assert block.material.same_as(big)
    assert await far.receive() == Keepalive()
    await parted(listener, near, far)


async def test_the_end_of_the_other_side_is_unreachable() -> None:
    listener, near, far = await joined()
    far.send(Ack(block_id=1))
    far.finish()
    assert await near.receive() == Ack(block_id=1)  # what was said before still counts
    with pytest.raises(PeerUnreachable, match="closed"):
        await near.receive()
    with pytest.raises(PeerUnreachable, match="closed"):
        far.send(Keepalive())
    await parted(listener, near, far)


async def test_a_broken_connection_is_noticed_at_once() -> None:
    listener, near, far = await joined()
    waiting = asyncio.create_task(near.receive(silence_s=30))
    await asyncio.sleep(0.01)
    far.abort()
    with pytest.raises(PeerUnreachable, match="closed"):
        async with asyncio.timeout(1):
            await waiting
    await parted(listener, near, far)


async def test_silence_is_bounded_also_within_a_frame() -> None:
    listener, near, far = await joined()
    with pytest.raises(PeerUnreachable, match=r"nothing was heard for 0\.05 s"):
        await near.receive(silence_s=0.05)
    far.send_raw(b"\x02\x00\x00")  # half a header, and no more
    with pytest.raises(PeerUnreachable, match="nothing was heard"):
        await near.receive(silence_s=0.05)
    await parted(listener, near, far)


@pytest.mark.parametrize("raw", [b"HTTP/1.1 400 Bad Request\r\n", b"\x02\xff\xff\xff\xff"])
async def test_bytes_that_are_no_frame(raw: bytes) -> None:
    listener, near, far = await joined()
    far.send_raw(raw)
    with pytest.raises(MalformedMessage):
        await near.receive(silence_s=1)
    await parted(listener, near, far)


async def test_an_end_that_stops_reading_does_not_fill_our_memory() -> None:
    listener, near, far = await joined()
    block = Block(block_id=1, owner="receiver", material=Secret(bytes(MAX_BLOCK_BYTES)))

    def send_for_ever() -> None:
        for _ in range(1000):
            near.send(block)

    with pytest.raises(PeerUnreachable, match="stopped reading"):
        send_for_ever()
    near.abort()
    await parted(listener, near, far)


async def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PeerUnreachable, match=f"cannot listen on 127.0.0.1:{port}"):
            await listen("127.0.0.1", port)
    with pytest.raises(PeerUnreachable, match=f"cannot connect to 127.0.0.1:{port}"):
        await connect("127.0.0.1", port, timeout_s=1)


async def test_connections_that_nobody_accepts_are_bounded() -> None:
    listener = await listen("127.0.0.1", 0, backlog=2)
    streams = [await connect("127.0.0.1", listener.port, timeout_s=1) for _ in range(3)]
    with pytest.raises(PeerUnreachable):
        await streams[2].receive(silence_s=2)
    listener.close()
    for stream in streams[:2]:
        with pytest.raises(PeerUnreachable):
            await stream.receive(silence_s=2)
    await parted(listener, *streams)
