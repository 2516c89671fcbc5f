"""Clients that mean harm, or do not know better: each has a defined answer, and the others are served."""

import asyncio
import json
import resource
import socket
import ssl
import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_agents.service.connections import Place, who_goes
from keyweave_core.runtime.tls import PeerNames

TO_BOB = "/api/v1/keys/bob/enc_keys"
GET = b"GET /api/v1/keys/bob/enc_keys HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

IDLE_CLIENTS = """
import resource, socket, sys
port, number = int(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (number + 500, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
held, refused = [], 0
for _ in range(number):
    try:
        held.append(socket.create_connection(("127.0.0.1", port), timeout=5))
    except OSError:
        refused += 1
print(len(held), refused, flush=True)
sys.stdin.read()
"""


def statuses(answer: bytes) -> list[int]:
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


def request(path: str, body: bytes = b"", method: str = "POST", *fields: str) -> bytes:
    head = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", *fields]
    if body:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


async def serves(service: Any) -> bool:
    """Whether an honest client is served, soon."""
    async with asyncio.timeout(5):
        return bool((await service.ask("alice", "POST", TO_BOB, {}))[0] == 200)


# --- the way to the application -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/api/v1/keys/a%2Fb%3Ac/status", 200),
        ("/api/v1/keys/urn:sae:site%2F1:dora/status", 200),
        ("/api/v1/keys/%252F/status", 200),  # decoded once: an id with a percent sign
        ("/api/v1/keys/%2e%2e/status", 200),  # an id like any other: nothing here is a file
        ("/api/v1/keys/../status", 200),
        ("/api/v1/keys/bob/../../../etc/passwd", 404),
        ("/api/v1/keys/%00/status", 400),
        ("/api/v1/keys/bob%0d%0aX:1/status", 400),
        ("/api/v1/keys/%e2%80%ae/status", 400),
        ("/api/v1/keys/%zz/status", 200),  # no escape, so it stands for itself
        ("//api/v1/keys/bob/status", 404),
        ("/api/v1/keys/bob/status/", 404),
        ("/api/v1/keys/bob/status#x", 200),
        ("https://elsewhere/api/v1/keys/bob/status", 200),  # absolute form (RFC 9112 section 3.2.2)
        ("*", 404),
        (f"/api/v1/keys/{'a' * 3000}/status", 400),
        (f"/api/v1/keys/bob/enc_keys?{'&'.join('x' for _ in range(5000))}", 400),
        ("/api/v1/keys/bob/enc_keys?number=1&number=1", 400),
        ("/api/v1/keys/bob/enc_keys?number=%31", 200),
        ("/api/v1/keys/bob/enc_keys?number=1;size=64", 400),
        ("/api/v1/keys/bob/enc_keys?number=+1", 400),
        ("/api/v1/keys/bob/enc_keys?number=1e0", 400),
        ("/api/v1/keys/bob/enc_keys?number=%D9%A1", 400),
        ("/api/v1/keys/bob/enc_keys?size=99999999999999999999", 400),
    ],
)
async def test_paths_and_queries(quick: Any, target: str, status: int) -> None:
    answer = await quick.raw("alice", request(target, method="GET"))
    assert statuses(answer) == [status]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /api/v1/keys/bob/status HTTP/1.0\r\n\r\n", 200),
        (b"GET /api/v1/keys/bob/status HTTP/1.0\r\nConnection: keep-alive\r\nHost: x\r\n\r\n", 200),
        (b"GET /api/v1/keys/bob/status HTTP/1.1\r\n\r\n", 400),
        (b"GET /api/v1/keys/bob/status HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET /api/v1/keys/bob/status HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"GET /api/v1/keys/bob/status\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"GET /api/v1/keys/bob/status HTTP/1.1\r\nHost: x\r\nA B: c\r\n\r\n", 400),
        (b"GET /api/v1/keys/bob/status HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n", 400),
        (b"GET /api/v1/keys/bob/status HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n", 400),
        (b"\x80\x2e\x01\x00\x02", 400),
        (request(TO_BOB, b"{}", "TRACE"), 405),
        (request(TO_BOB, method="OPTIONS"), 405),
        (request(TO_BOB, method="HEAD"), 405),
        (request(TO_BOB, b"", "GET", "Content-Length: 0"), 200),
        (request(TO_BOB, b"{}", "POST", "Expect: the-unexpected"), 200),
        (request(TO_BOB, b"{}", "POST", "Content-Encoding: gzip"), 200),
        (request(TO_BOB, b"", "POST", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n", 200),
        (request(TO_BOB, b"", "POST", "Transfer-Encoding: chunked") + b"fffffffffffffffff\r\n", 400),
        (request(TO_BOB, b"", "POST", "Transfer-Encoding: gzip, identity"), 400),
    ],
)
async def test_http_at_its_edges(quick: Any, sent: bytes, status: int) -> None:
    assert statuses(await quick.raw("alice", sent))[:1] == [status]
    assert await serves(quick)


async def test_expect_continue_is_answered_before_the_body(quick: Any) -> None:
    reader, writer = await asyncio.open_connection("localhost", quick.port, ssl=quick.context_of("alice"))
    writer.write(request(TO_BOB, b"", "POST", "Expect: 100-continue", "Content-Length: 2"))
    assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 100 ")
    writer.write(b"{}")
    assert statuses(await asyncio.wait_for(reader.read(), 5)) == [200]
    writer.close()


@pytest.mark.parametrize(
    "body",
    [
        b'{"number":1,"number":1}',
        b'{"number":1e2}',
        b'{"number":1.0}',
        b'{"number":' + b"9" * 5000 + b"}",
        b'{"number":-0}',
        b'{"number":1}\x00',
        b"\xef\xbb\xbf{}",
        b'{"size":NaN}',
        b'{"extension_optional":[{"a":"\xed\xa0\x80"}]}',
        b'{"extension_optional":' + b"[" * 60_000 + b"}",
        b'{"extension_optional":[' + b'{"a":' * 9000 + b"1" + b"}" * 9000 + b"]}",
        b"[]",
        b'"x"',
        b"null",
        b"0",
        b"\xff" * 1000,
    ],
)
async def test_bodies_that_are_no_request(quick: Any, body: bytes) -> None:
    status, answer = await quick.ask("alice", "POST", TO_BOB, body)
    assert (status, set(answer) <= {"message", "details"}) == (400, True)
    assert quick.model.drawn == []


@given(st.binary(min_size=1, max_size=300))
def test_who_goes_never_names_a_connection_at_work(noise: bytes) -> None:
    places = [
        Place(PeerNames(common_names=(f"{byte % 5}",)), None if byte % 3 == 0 else float(byte))
        for byte in noise
    ]
    number = noise[0] % 40
    gone = who_goes(places, number)
    idle = [position for position, place in enumerate(places) if place.idle_since_s is not None]
    assert len(gone) == min(number, len(idle)) == len(set(gone))
    assert set(gone) <= set(idle)
    for holder in {place.holder for place in places}:
        went = [places[one].idle_since_s or 0 for one in gone if places[one].holder == holder]
        kept = [
            places[one].idle_since_s or 0 for one in set(idle) - set(gone) if places[one].holder == holder
        ]
        assert not went or not kept or max(went) <= min(kept), "of one holder the longest idle go first"


def test_the_greedy_give_way_to_the_modest() -> None:
    greedy, modest = PeerNames(common_names=("g",)), PeerNames(common_names=("m",))
    places = [Place(modest, 0.0), *[Place(greedy, 10.0 + number) for number in range(5)], Place(modest, 1.0)]
    assert who_goes(places, 3) == [1, 2, 3]
    assert who_goes(places, 4) == [1, 2, 3, 0]


# --- connections ------------------------------------------------------------------------------------


@pytest.mark.timeout(60)
async def test_ten_thousand_clients_that_say_nothing(service_with: Any) -> None:
    """Each ties up a handshake; the oldest go, and an honest client is served at once."""
    number = 10_000
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < number + 500:
        pytest.skip(f"this system lets a process open {hard} files")
    service = await service_with(quick=True, handshake_s=30.0, max_handshakes=2048)
    clients = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        IDLE_CLIENTS,
        str(service.port),
        str(number),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert clients.stdout is not None
    try:
        served = 0
        counting = asyncio.create_task(clients.stdout.readline())
        while not counting.done():
            served += await serves(service)
        held, _ = (int(word) for word in (await counting).split())
        assert held == number
        assert served >= 3
        began = time.monotonic()
        assert await serves(service)
        assert time.monotonic() - began < 2
    finally:
        clients.kill()
        await clients.wait()
    assert await serves(service)


async def test_a_client_with_many_idle_connections_costs_others_nothing(service_with: Any) -> None:
    service = await service_with(quick=True, max_connections=40)
    modest = await asyncio.open_connection("localhost", service.port, ssl=service.context_of("carol"))
    context = service.context_of("alice")
    greedy = [await asyncio.open_connection("localhost", service.port, ssl=context) for _ in range(80)]
    assert (await service.ask("bob", "GET", "/api/v1/keys/alice/status"))[0] == 200
    modest[1].write(GET)
    assert statuses(await asyncio.wait_for(modest[0].read(), 5)) == [200], "still there"
    await asyncio.sleep(0.05)
    assert sum(reader.at_eof() for reader, _ in greedy) >= 40
    for _, writer in (*greedy, modest):
        writer.close()


async def test_handshakes_are_bounded(service_with: Any) -> None:
    service = await service_with(max_handshakes=4, handshake_s=30.0)
    held = [await asyncio.open_connection("127.0.0.1", service.port) for _ in range(12)]
    for reader, _ in held[:8]:
        assert await asyncio.wait_for(_end(reader), 5) == b"", "the oldest are ended"
    assert await serves(service)
    assert not held[-1][0].at_eof()
    for _, writer in held:
        writer.close()


async def _end(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""


@pytest.mark.parametrize(
    "noise",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 500,
        b"\xff" * 70_000,
    ],
    ids=["plain", "half a hello", "zeros", "noise"],
)
async def test_bytes_that_are_no_handshake(service_with: Any, noise: bytes) -> None:
    service = await service_with(quick=True, handshake_s=0.5)
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(noise)
    answer = await asyncio.wait_for(_end(reader), 5)
    assert answer[:1] in (b"", b"\x15"), "an alert at most"
    writer.close()
    assert await serves(service)


async def test_slow_senders_do_not_hold_up_others(service_with: Any) -> None:
    service = await service_with(quick=True, receive_s=0.5)
    slow = [
        await asyncio.open_connection("localhost", service.port, ssl=service.context_of("bob"))
        for _ in range(30)
    ]
    began = time.monotonic()
    content = request(TO_BOB, b" " * 4000 + b"{}")
    ended = 0
    for at in range(0, len(content), 20):
        for _, writer in slow:
            if not writer.is_closing():
                writer.write(content[at : at + 20])
        assert await serves(service)
        ended = sum(reader.at_eof() or reader.exception() is not None for reader, _ in slow)
        if ended == len(slow) or time.monotonic() - began > 8:
            break
    assert ended == len(slow)
    for _, writer in slow:
        writer.close()


async def test_a_reset_in_the_middle_of_an_answer(quick: Any) -> None:
    """Keys that were on their way are gone: nobody else ever gets one of them."""

    def reset() -> None:
        plain = socket.create_connection(("127.0.0.1", quick.port), timeout=5)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        secured = quick.context_of("alice").wrap_socket(plain, server_hostname="localhost")
        body = json.dumps({"number": 128, "size": 4096}).encode()
        secured.sendall(request(TO_BOB, body) * 1)
        secured.recv(100)
        secured.close()  # with linger 0: a reset

    for _ in range(5):
        await asyncio.to_thread(reset)
    lost = set(quick.model.stored)
    assert len(lost) == 640
    _, made = await quick.ask("alice", "POST", TO_BOB, {"number": 128})
    assert lost.isdisjoint(key["key_ID"] for key in made["keys"])
    assert all(not any(bundle.keys.reveal()) for bundle in quick.model.drawn)


async def test_renegotiation_is_refused(service_with: Any, node_tls: Any) -> None:
    """TLS 1.3 has none; where TLS 1.2 is let in the server does not take part (RFC 5746 asks no more)."""
    from dataclasses import replace

    service = await service_with(tls=replace(node_tls, minimum_version="1.2"))
    tls = service.tls_of("alice")
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{service.port}", "-tls1_2", "-CAfile", tls.ca]
    command += ["-cert", tls.certificate, "-key", tls.private_key]
    talk = await asyncio.create_subprocess_exec(
        *map(str, command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert talk.stdin is not None
    await asyncio.sleep(0.5)
    talk.stdin.write(b"R\n")
    await talk.stdin.drain()
    await asyncio.sleep(0.3)
    output, _ = await asyncio.wait_for(talk.communicate(b"Q\n"), 5)
    assert b"RENEGOTIATING" in output
    assert b"no renegotiation" in output
    assert await serves(service)


async def test_more_requests_at_once_than_anybody_reads(quick: Any) -> None:
    _, writer = await asyncio.open_connection("localhost", quick.port, ssl=quick.context_of("alice"))
    writer.write(request(TO_BOB, b"", "GET").replace(b"Connection: close\r\n", b"") * 20_000)
    async with asyncio.timeout(10):
        while not writer.is_closing() and quick.server is not None:
            await asyncio.sleep(0.05)
            if writer.transport.is_closing():
                break
            try:
                writer.write(b"\r\n")
                await writer.drain()
            except ConnectionError:
                break
    assert await serves(quick)
    writer.transport.abort()


async def test_answers_tell_nothing_of_what_makes_them(quick: Any) -> None:
    for sent in (GET, request("/nowhere", method="GET"), b"nonsense\r\n\r\n", request(TO_BOB, b"{")):
        head = (await quick.raw("alice", sent)).split(b"\r\n\r\n")[0].lower()
        assert b"cache-control: no-store" in head
        assert b"date: " in head
        for word in (b"server:", b"uvicorn", b"python", b"keyweave", b"x-powered-by"):
            assert word not in head


def test_old_ciphers_and_versions_are_refused(node_tls: Any) -> None:
    from keyweave_core.runtime.tls import server_context

    context = server_context(node_tls)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert context.options & ssl.OP_NO_RENEGOTIATION
