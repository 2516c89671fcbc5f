"""The client of the suites against servers that are slow, broken or hostile."""

import asyncio
import contextlib
import datetime as dt
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.lab.conform.tiny_https import Request, Response, TinyHttps

from keyweave_core.errors import InvalidInput, PeerUnreachable
from keyweave_core.model.ids import NodeId
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.tls import TlsSettings, client_context
from keyweave_lab.conform.check import Failed
from keyweave_lab.conform.etsi014.form import container_of, flaw_of_error, told
from keyweave_lab.conform.https import MAX_BODY_BYTES, Closed, Reply, open_line, place_of
from keyweave_lab.pki import LabPki

NODE = NodeId("0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a01")
OK = b"HTTP/1.1 200 OK\r\n"
Asked = Callable[..., Awaitable[Reply]]


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsSettings:
    return LabPki(tmp_path_factory.mktemp("pki"), now=dt.datetime.now(dt.UTC)).node("here", NODE)


@pytest.fixture
def asked(tls: TlsSettings) -> Asked:
    """The answer of a server that sends these bytes and closes, or never says anything more."""

    async def ask(raw: bytes, *, limit_s: float = 2.0, hang: bool = False) -> Reply:
        async def handle(_: Request) -> Response:
            return Response(raw=raw, hang=hang)

        async with TinyHttps(tls, handle) as port:
            place = place_of(f"https://localhost:{port}")
            line = await open_line(place, client_context(tls), SystemClock(), limit_s=2.0)
            try:
                return await line.ask("GET", "/x", limit_s=limit_s)
            finally:
                await line.close()

    return ask


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nonsense\r\n\r\n",
        OK + b"content-length: 10\r\n\r\nabc",
        OK + b"content-length: -1\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        OK + b"x: " + b"y" * 200_000,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"z" * (MAX_BODY_BYTES * 5 // 4),
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
async def test_what_is_no_whole_answer_fails(asked: Asked, raw: bytes) -> None:
    with pytest.raises(Failed):
        await asked(raw, limit_s=10.0)


async def test_silence_ends_with_its_time(asked: Asked) -> None:
    with pytest.raises(Failed, match=r"no whole answer within 0\.3 s"):
        await asked(b"", limit_s=0.3, hang=True)


async def test_a_good_answer_is_read(asked: Asked) -> None:
    reply = await asked(OK + b"content-length: 2\r\nContent-Type: application/JSON; x=y\r\n\r\n{}")
    assert (reply.status, reply.media_type, reply.object()) == (200, "application/json", {})


async def test_who_does_not_listen_or_speaks_no_tls(tls: TlsSettings) -> None:
    context = client_context(tls)
    with pytest.raises(PeerUnreachable):
        await open_line(place_of("https://localhost:1"), context, SystemClock(), limit_s=1.0)

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-x\r\n")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(Closed):
        await open_line(place_of(f"https://localhost:{port}"), context, SystemClock(), limit_s=1.0)
    server.close()


@pytest.mark.parametrize(
    "url", ["http://a", "https://", "https://a:x", "https://a?b", "https://u@a", "https://a/\n", "//a", ""]
)
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(InvalidInput):
        place_of(url)


def test_an_address_keeps_its_prefix_and_port() -> None:
    place = place_of("https://[::1]:8443/kme/")
    assert (place.host, place.port, place.prefix, place.authority) == ("::1", 8443, "/kme", "[::1]:8443")


def reply(body: bytes, status: int = 200) -> Reply:
    return Reply(status=status, version="1.1", headers=(), body=body)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["keys", "key", "key_ID", "m"]), inner),
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.binary() | JSON.map(lambda value: repr(value).encode()) | st.just(b"[" * 100_000))
def test_no_body_breaks_the_reader(body: bytes) -> None:
    for status in (200, 400):
        flaw_of_error(reply(body, status))
        told(reply(body, status))
        with contextlib.suppress(Failed):
            container_of(reply(body, status), b"salt")


def test_nothing_of_a_key_is_told() -> None:
    secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ"  # without its padding: a flaw
    body = f'{{"keys": [{{"key_ID": "{secret}", "key": "{secret}"}}]}}'.encode()
    answer = reply(body)
    found = container_of(answer, b"salt")
    assert {kind for kind, _ in found.flaws} == {"uuid", "base64"}
    assert secret not in repr((answer, found.flaws, told(answer)))
    with pytest.raises(Failed) as failure:
        container_of(reply(b'{"keys": [{"key_ID": "x", "key": "%%secret%%"}]}'), b"salt")
    assert "secret" not in str(failure.value)
    assert failure.value.__cause__ is None
