"""scrapli of 2026, whose NETCONF is a native library over libssh2, reaches our server."""

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

try:
    from scrapli import AuthOptions, Netconf, NetconfOptions, SessionOptions, TransportSsh2Options
    from scrapli.exceptions import NoMessagesException, ScrapliException
    from scrapli.netconf import DatastoreType, DefaultOperation, Version
    from scrapli.netconf import TestOption as OptionOfTests
except (ImportError, OSError) as error:  # OSError: no native library for this machine
    pytest.skip(f"scrapli of 2026 cannot be loaded: {error}", allow_module_level=True)

pytestmark = pytest.mark.interop

ETSI = "urn:etsi:qkd:yang:etsi-qkd-node"
TYPES = "urn:etsi:qkd:yang:etsi-qkd-node-types"
BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
LINK = "11111111-0000-4000-8000-000000000001"


def config(inner: str) -> str:
    return f'<config><qkd_node xmlns="{ETSI}" xmlns:t="{TYPES}" xmlns:nc="{BASE}">{inner}</qkd_node></config>'


def node(inner: str = "") -> str:
    return f'<qkd_node xmlns="{ETSI}">{inner}</qkd_node>'


def tag(text: str) -> str:
    found = re.search(r"<error-tag>(.*?)</error-tag>", text)
    return found[1] if found else ""


def opened(place: Any, version: Version | None = None) -> Netconf:
    session = Netconf(
        host="127.0.0.1",
        port=place.port,
        options=NetconfOptions(preferred_version=version),
        auth_options=AuthOptions(username="tester", private_key_path=str(place.key_file)),
        session_options=SessionOptions(operation_timeout_s=15),
        transport_options=TransportSsh2Options(),
    )
    session.open()
    return session


async def play(place: Any, script: Callable[[Netconf], None], version: Version | None = None) -> None:
    def work() -> None:
        session = opened(place, version)
        try:
            script(session)
        finally:
            session.close()

    await asyncio.to_thread(work)


async def test_reading(place: Any) -> None:
    def script(session: Netconf) -> None:
        assert session.session_id > 0
        assert "urn:ietf:params:netconf:base:1.1" in session.get_capabilities()
        running = session.get_config(source=DatastoreType.RUNNING)
        assert not running.failed
        assert f"<qkdl_id>{LINK}</qkdl_id>" in running.result
        assert "OPERATING" not in running.result
        status = session.get(filter_=node("<qkdn_status/>")).result
        assert "OPERATING" in status
        assert LINK not in status
        assert LINK not in session.get_config(filter_='<qkd_node xmlns="urn:other"/>').result
        assert "module etsi-qkd-sdn-node" in session.get_schema("etsi-qkd-sdn-node").result
        missing = session.get_schema("no-such-module")
        assert missing.failed
        assert tag(missing.rpc_errors) == "invalid-value"

    await play(place, script)


@pytest.mark.parametrize("version", [Version.VERSION_1_0, Version.VERSION_1_1])
async def test_both_framings(place: Any, version: Version) -> None:
    def script(session: Netconf) -> None:
        for _ in range(3):
            answer = session.get_config(source=DatastoreType.RUNNING)
            assert not answer.failed
            assert answer.result.count("<rpc-reply") == 1

    await play(place, script, version)


async def test_writing(place: Any) -> None:
    def script(session: Netconf) -> None:
        def value() -> str:
            found = re.search(
                r"<qkdn_version>(.*?)</qkdn_version>",
                session.get_config(filter_=node("<qkdn_version/>")).result,
            )
            return found[1] if found else ""

        assert not session.edit_config(
            config=config("<qkdn_version>1</qkdn_version>"), target=DatastoreType.RUNNING
        ).failed
        assert value() == "1"
        assert not session.lock(target=DatastoreType.CANDIDATE).failed
        assert not session.edit_config(
            config=config("<qkdn_version>2</qkdn_version>"),
            target=DatastoreType.CANDIDATE,
            default_operation=DefaultOperation.MERGE,
            test_option=OptionOfTests.TEST_THEN_SET,
        ).failed
        # scrapli puts <validate> into a namespace of its own making; an rpc by hand has the right one.
        assert tag(session.validate(source=DatastoreType.CANDIDATE).rpc_errors) == "unknown-namespace"
        assert not session.raw_rpc("<validate><source><candidate/></source></validate>").failed
        assert not session.discard().failed
        assert not session.edit_config(
            config=config("<qkdn_version>3</qkdn_version>"), target=DatastoreType.CANDIDATE
        ).failed
        assert value() == "1"
        assert not session.commit().failed
        assert value() == "3"
        assert not session.unlock(target=DatastoreType.CANDIDATE).failed
        assert not session.copy_config(source=DatastoreType.RUNNING, target=DatastoreType.CANDIDATE).failed
        for inner, expected in (
            ("<moon/>", "unknown-element"),
            ('<qkdn_version nc:operation="create">9</qkdn_version>', "data-exists"),
            ("<qkdn_id>no uuid</qkdn_id>", "invalid-value"),
            ("<qkdn_version>impossible</qkdn_version>", "operation-failed"),
        ):
            refused = session.edit_config(config=config(inner))
            assert tag(refused.rpc_errors) == expected
        assert value() == "3"
        assert tag(session.delete_config(target=DatastoreType.RUNNING).rpc_errors)

    await play(place, script)


async def test_locks_and_the_ends_of_sessions(place: Any) -> None:
    def script(session: Netconf) -> None:
        other = opened(place)
        try:
            assert not other.lock(target=DatastoreType.RUNNING).failed
            denied = session.lock(target=DatastoreType.RUNNING)
            assert tag(denied.rpc_errors) == "lock-denied"
            assert f"<session-id>{other.session_id}</session-id>" in denied.rpc_errors
            assert tag(session.kill_session(session.session_id).rpc_errors) == "invalid-value"
            assert not session.kill_session(other.session_id).failed
            assert not session.lock(target=DatastoreType.RUNNING).failed
            assert not session.unlock(target=DatastoreType.RUNNING).failed
            with pytest.raises(ScrapliException):
                other.get_config()
        finally:
            other.close(force=True)

    await play(place, script)


async def test_notifications_beside_rpcs(place: Any) -> None:
    loop = asyncio.get_running_loop()

    def take(session: Netconf) -> str:
        deadline = time.monotonic() + 10
        while True:
            try:
                return session.get_next_notification()
            except NoMessagesException:
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def script(session: Netconf) -> None:
        assert not session.raw_rpc(
            '<create-subscription xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0"/>'
        ).failed
        for number in range(5):
            loop.call_soon_threadsafe(
                place.publish, f'<alarm xmlns="{ETSI}"><link><message>no {number}</message></link></alarm>'
            )
            assert not session.get_config().failed
            assert f"no {number}" in take(session)

    await play(place, script)


async def test_operations_of_the_model(place: Any) -> None:
    def script(session: Netconf) -> None:
        called = session.raw_rpc('<refuse-application xmlns="urn:keyweave:yang:keyweave-qkd-node"/>')
        assert "<ok" in called.result
        assert tag(session.raw_rpc('<fly xmlns="urn:none"/>').rpc_errors) == "unknown-namespace"

    await play(place, script)
    assert place.device.calls == ["refuse-application"]


async def test_a_node_of_two_thousand_applications(place: Any) -> None:
    apps = "".join(
        f"<qkd_app><app_id>22222222-0000-4000-8000-{n:012d}</app_id><app_type>t:CLIENT</app_type></qkd_app>"
        for n in range(2000)
    )

    def script(session: Netconf) -> None:
        assert not session.edit_config(config=config(f"<qkd_applications>{apps}</qkd_applications>")).failed
        assert session.get_config().result.count("<qkd_app>") == 2000

    await play(place, script)
