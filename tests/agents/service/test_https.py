"""The edge of the server: certificates, slow and endless clients, clients that leave, stopping."""

import asyncio
import contextlib
import json
import shutil
import socket
import ssl
import subprocess
import time
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from keyweave_core.errors import SettingsError
from keyweave_core.runtime.tls import TlsSettings, client_context

TO_BOB = "/api/v1/keys/bob/enc_keys"
REQUEST = b"GET /api/v1/keys/bob/enc_keys HTTP/1.1\r\nHost: x\r\n\r\n"


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


async def until(condition: Any, within_s: float = 5.0) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "condition did not come true"
        await asyncio.sleep(0.01)


async def is_refused(service: Any, context: ssl.SSLContext) -> bool:
    """Whether a connection with this context ends, by an alert or at once, with no byte of an answer.

    (With TLS 1.3 a client learns of it at its first read; asyncio closes before the alert is out.)
    """

    def talk() -> bytes:
        with (
            socket.create_connection(("127.0.0.1", service.port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secured,
        ):
            try:
                secured.sendall(REQUEST)
                return secured.recv(1)
            except (ssl.SSLError, ConnectionError):
                return b""

    answer = await asyncio.to_thread(talk)
    return answer == b"" and service.model.asked == []


async def test_no_client_certificate_no_answer(service: Any, node_tls: TlsSettings) -> None:
    context = ssl.create_default_context(cafile=node_tls.ca)
    assert await is_refused(service, context)
    async with httpx.AsyncClient(verify=context) as client:
        with pytest.raises(httpx.TransportError):
            await client.get(service.base + TO_BOB)


async def test_a_certificate_of_another_authority_is_no_certificate(
    service: Any, stranger: TlsSettings, node_tls: TlsSettings
) -> None:
    mixed = TlsSettings(certificate=stranger.certificate, private_key=stranger.private_key, ca=node_tls.ca)
    assert await is_refused(service, client_context(mixed))
    assert (await service.ask("alice", "GET", "/api/v1/keys/bob/status"))[0] == 200


async def test_tls_1_2_is_refused_unless_the_operator_lets_it_in(service_with: Any, node_tls: Any) -> None:
    old = TlsSettings(
        certificate=node_tls.certificate,
        private_key=node_tls.private_key,
        ca=node_tls.ca,
        minimum_version="1.2",
    )
    service = await service_with()
    context = service.context_of("alice")
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with httpx.AsyncClient(verify=context) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(service.base + "/api/v1/keys/bob/status")
        lenient = await service_with(tls=old)
        assert (await client.get(lenient.base + "/api/v1/keys/bob/status")).status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_above_the_cap_is_too_large(service_with: Any, chunked: bool) -> None:
    service = await service_with(max_body_bytes=2048, max_keys_per_request=16)

    async def pieces() -> Any:
        for _ in range(300):
            yield b" " * 1024

    content = pieces() if chunked else b" " * 300_000
    async with httpx.AsyncClient(verify=service.context_of("alice")) as client:
        response = await client.post(service.base + TO_BOB, content=content)
    assert (response.status_code, response.json()["message"]) == (413, "the body is larger than 2048 bytes")
    assert service.model.asked == []
    assert (await service.ask("alice", "POST", TO_BOB, b" " * 1000 + b"{}"))[0] == 200


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01 nonsense\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"POST " + TO_BOB.encode() + b" HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400),
        (b"POST " + TO_BOB.encode() + b" HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET " + b"/" * 5000, 431),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 5000, 431),
        (b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 1000, 431),
    ],
)
async def test_malformed_and_endless_http_is_refused(service_with: Any, data: bytes, status: int) -> None:
    service = await service_with(max_head_bytes=2048)
    answer = await service.raw("alice", data)
    assert status_of(answer) == status
    assert set(json.loads(answer.split(b"\r\n\r\n", 1)[1])) == {"message"}
    assert (await service.ask("alice", "POST", TO_BOB, {}))[0] == 200


@pytest.mark.parametrize(
    "start",
    [b"", b"GET /", b"\r\n", REQUEST[:-2], b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1"],
)
async def test_a_client_that_never_ends_its_request_is_cut_off(service_with: Any, start: bytes) -> None:
    service = await service_with(receive_s=0.3)
    began = time.monotonic()
    answer = await service.raw("alice", start)
    assert 0.2 < time.monotonic() - began < 3
    # The path of the last one is unknown: it got its answer without its body being waited for.
    assert answer == b"" or status_of(answer) == 404


async def test_a_client_that_does_not_take_its_answers_is_cut_off(service_with: Any) -> None:
    service = await service_with(send_s=0.3)
    _, writer = await asyncio.open_connection(
        "localhost", service.port, ssl=service.context_of("alice"), limit=1024
    )
    large = REQUEST.replace(b"enc_keys", b"enc_keys?number=128&size=4096")
    with capture_logs() as lines:
        writer.write(large * 300)  # more than any socket buffer holds
        await until(lambda: [line for line in lines if line["event"] == "client_too_slow"], within_s=10)
    assert [line["limit"] for line in lines if line["event"] == "client_too_slow"] == ["send_s"]
    writer.transport.abort()
    assert (await service.ask("bob", "GET", "/api/v1/keys/alice/status"))[0] == 200


async def test_a_client_that_never_ends_its_handshake_is_cut_off(service_with: Any) -> None:
    service = await service_with(handshake_s=0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    began = time.monotonic()
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 5) == b""
    assert 0.2 < time.monotonic() - began < 3
    writer.close()


async def test_blank_lines_do_not_keep_an_idle_connection(service_with: Any) -> None:
    service = await service_with(receive_s=0.3)
    reader, writer = await asyncio.open_connection("localhost", service.port, ssl=service.context_of("alice"))
    began = time.monotonic()
    while time.monotonic() - began < 3 and not reader.at_eof():
        writer.write(b"\r\n")
        await asyncio.sleep(0.05)
        if reader.exception():
            break
    writer.close()
    assert time.monotonic() - began < 2


async def test_an_idle_connection_is_closed(service_with: Any) -> None:
    service = await service_with(keep_alive_s=0.2)
    began = time.monotonic()
    answer = await service.raw("alice", REQUEST)
    assert status_of(answer) == 200
    assert time.monotonic() - began < 3


async def test_pipelined_requests_are_answered_in_order(service: Any) -> None:
    second = REQUEST.replace(b"enc_keys", b"status").replace(b"Host: x", b"Host: x\r\nConnection: close")
    answer = await service.raw("alice", REQUEST + second)
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.index(b'"keys"') < answer.index(b"stored_key_count")


async def test_an_offered_upgrade_is_not_taken(service: Any) -> None:
    upgrade = b"Host: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket"
    answer = await service.raw("alice", REQUEST.replace(b"Host: x", upgrade))
    assert status_of(answer) == 200


async def test_a_request_with_two_lengths_is_refused(service: Any) -> None:
    head = b"POST /api/v1/keys/bob/enc_keys HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
    for second in (b"Content-Length: 30\r\n", b"Transfer-Encoding: chunked\r\n"):
        answer = await service.raw("alice", head + second + b"\r\n{}")
        assert status_of(answer) == 400
    assert service.model.asked == []


async def test_above_the_limit_the_longest_idle_connection_of_the_greediest_makes_room(
    service_with: Any,
) -> None:
    service = await service_with(max_connections=3)
    held = []
    for sae in ("carol", "alice", "alice"):
        reader, writer = await asyncio.open_connection("localhost", service.port, ssl=service.context_of(sae))
        writer.write(REQUEST)
        await reader.readuntil(b"]}")
        held.append((reader, writer))
    assert (await service.ask("bob", "GET", "/api/v1/keys/alice/status"))[0] == 200
    assert await asyncio.wait_for(held[1][0].read(), 5) is not None, "the first of alice's two is closed"
    for reader, writer in (held[0], held[2]):
        writer.write(REQUEST)
        assert status_of(await asyncio.wait_for(reader.readuntil(b"]}"), 5)) == 200
    for _, writer in held:
        writer.close()


async def test_above_the_limit_a_newcomer_is_closed_when_all_are_at_work(service_with: Any) -> None:
    service = await service_with(max_connections=1)
    service.model.gate = asyncio.Event()
    asking = asyncio.create_task(service.ask("alice", "POST", TO_BOB, {}))
    await until(lambda: service.model.asked)
    assert await service.raw("bob", REQUEST) == b""
    service.model.gate.set()
    assert (await asking)[0] == 200


async def test_waiting_ends_when_the_client_goes_away(service: Any) -> None:
    service.model.gate = asyncio.Event()
    _, writer = await asyncio.open_connection("localhost", service.port, ssl=service.context_of("alice"))
    writer.write(REQUEST)
    await until(lambda: service.model.asked)
    writer.transport.abort()
    await until(lambda: service.model.cancelled)
    assert service.model.handed_out == []


async def test_many_wait_at_once_and_all_are_served(service: Any) -> None:
    service.model.gate = asyncio.Event()
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(verify=service.context_of("alice"), limits=limits, timeout=10) as client:
        requests = [asyncio.ensure_future(client.get(service.base + TO_BOB)) for _ in range(40)]
        await until(lambda: len(service.model.asked) == 40)
        service.model.gate.set()
        answers = await asyncio.gather(*requests)
    assert [answer.status_code for answer in answers] == [200] * 40
    assert len({answer.json()["keys"][0]["key_ID"] for answer in answers}) == 40


async def test_close_answers_who_waits_and_ends_every_connection(service_with: Any) -> None:
    service = await service_with(close_s=0.3)
    service.model.gate = asyncio.Event()
    idle_reader, idle_writer = await asyncio.open_connection(
        "localhost", service.port, ssl=service.context_of("bob")
    )
    waiting = asyncio.ensure_future(service.ask("alice", "POST", TO_BOB, {}))
    await until(lambda: service.model.asked)
    began = time.monotonic()
    await service.server.close()
    await service.server.close()
    assert time.monotonic() - began < 3
    status, answer = await waiting
    assert (status, answer["message"]) == (503, "this key manager is stopping")
    assert await idle_reader.read() == b""
    idle_writer.close()
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", service.port)


async def test_a_host_with_several_addresses_is_served_on_all_of_them(service_with: Any) -> None:
    service = await service_with(listen_host="localhost")
    addresses = await asyncio.get_running_loop().getaddrinfo("localhost", None, type=socket.SOCK_STREAM)
    for *_, address in set(addresses):
        _, writer = await asyncio.open_connection(address[0], service.port)
        writer.close()
    assert (await service.ask("alice", "POST", TO_BOB, {}))[0] == 200


async def test_a_taken_port_is_a_settings_error(service: Any, service_with: Any) -> None:
    with pytest.raises(SettingsError, match=f"cannot listen on 127.0.0.1:{service.port}"):
        await service_with(listen_port=service.port)


async def test_the_log_of_a_request_has_no_key_and_no_id(service_with: Any) -> None:
    service = await service_with(access_log=True)
    with capture_logs() as lines:
        _, made = await service.ask("alice", "POST", TO_BOB, {"number": 2})
        await service.ask("mallory", "POST", TO_BOB, {})
    entry = next(line for line in lines if line["event"] == "request" and line["status"] == 200)
    assert set(entry) == {"event", "log_level", "part", "caller", "method", "count", "status", "ms"}
    assert (entry["caller"], entry["method"], entry["count"]) == ("alice", "enc_keys", 2)
    for key in made["keys"]:
        assert key["key"] not in repr(lines)
        assert key["key_ID"] not in repr(lines)
    refused = next(line for line in lines if line["event"] == "caller_refused")
    assert "'mallory' is no consumer" in refused["reason"]


@pytest.mark.interop
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.interop
async def test_curl_fetches_a_key_and_its_other_half(service: Any) -> None:
    async def curl(sae: str, *arguments: str) -> Any:
        tls = service.tls_of(sae)
        command = ["curl", "-sS", "--max-time", "10", "--cacert", tls.ca, "--cert", tls.certificate]
        command += ["--key", tls.private_key, *arguments]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    status = await curl("alice", f"{service.base}/api/v1/keys/bob/status")
    assert status["key_size"] == 256
    made = await curl("alice", f"{service.base}{TO_BOB}?number=2&size=128")
    body = json.dumps({"key_IDs": [{"key_ID": key["key_ID"]} for key in made["keys"]]})
    fetched = await curl(
        "bob",
        "-H",
        "Content-Type: application/json",
        "-d",
        body,
        f"{service.base}/api/v1/keys/alice/dec_keys",
    )
    assert fetched == made
    # Above a megabyte curl asks first (Expect: 100-continue) and takes the refusal without sending.
    huge = await curl("alice", "-d", " " * 100_000, f"{service.base}{TO_BOB}")
    assert "larger than" in huge["message"]
