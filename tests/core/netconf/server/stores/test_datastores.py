"""Running, candidate and locks."""

import asyncio
from collections.abc import Callable

import pytest
from lxml import etree

from keyweave_core.errors import SchemaViolation
from keyweave_core.netconf.data.schema_paths import SchemaMap
from keyweave_core.netconf.protocol.rpc_errors import BASE, RpcError
from keyweave_core.netconf.server.access import OpenAccess, User
from keyweave_core.netconf.server.stores.datastores import Datastores, Editor, Store
from keyweave_core.netconf.server.stores.datastores import Test as Option
from keyweave_core.runtime.clock import ManualClock

Xml = Callable[[str], etree._Element]


def by(session_id: int) -> Editor:
    return Editor(session_id, User("tester"))


RUNNING, CANDIDATE = Store.RUNNING, Store.CANDIDATE
SESSION = f"{{{BASE}}}session-id"


@pytest.fixture
def stores(xml: Xml, tiny, places: SchemaMap, device) -> Datastores:
    return Datastores(
        tiny, places, device, list(xml("<node><id>n</id></node>")), clock=ManualClock(), access=OpenAccess()
    )


def version(stores: Datastores, store: Store) -> str | None:
    return stores.read(store).elements[0].findtext("{urn:test:tiny}version")


def set_version(text: str) -> str:
    return f"<node><version>{text}</version></node>"


def test_a_server_must_start_with_a_valid_configuration(xml: Xml, tiny, places: SchemaMap, device) -> None:
    with pytest.raises(SchemaViolation, match="mandatory"):
        Datastores(tiny, places, device, [], clock=ManualClock(), access=OpenAccess())
    with pytest.raises(RpcError, match="no element 'x'"):
        Datastores(
            tiny, places, device, list(xml("<node><x/></node>")), clock=ManualClock(), access=OpenAccess()
        )


async def test_an_edit_of_running_is_checked_made_real_and_only_then_seen(
    xml: Xml, stores, device, tiny
) -> None:
    before = tiny.validations
    await stores.edit(by(1), RUNNING, xml(set_version("2")))
    assert (version(stores, RUNNING), version(stores, CANDIDATE)) == ("2", "2")
    assert device.applied == ["2"]
    assert tiny.validations == before + 1
    await stores.edit(by(1), RUNNING, xml(set_version("2")))
    assert device.applied == ["2"], "nothing changed, nothing to make real"


@pytest.mark.parametrize(
    ("config", "tag", "path"),
    [
        ("<node><version>666</version></node>", "operation-failed", ""),
        ("<node><id nc:operation='delete'/></node>", "data-missing", "/tiny:node/tiny:id"),
        ("<node nc:operation='delete'/>", "data-missing", "/tiny:node/tiny:id"),
        (
            "<node><links><link><id>3</id><rate>1</rate></link></links></node>",
            "invalid-value",
            "/tiny:node/tiny:links/tiny:link[tiny:id='3']/tiny:rate",
        ),
        ("<node><version>1</version><colour/></node>", "unknown-element", "/tiny:node"),
    ],
)
async def test_a_refused_edit_changes_nothing(
    xml: Xml, stores, device, config: str, tag: str, path: str
) -> None:
    before = stores.read(RUNNING)
    with pytest.raises(RpcError) as caught:
        await stores.edit(by(1), RUNNING, xml(config))
    assert (caught.value.tag, caught.value.path) == (tag, path)
    assert stores.read(RUNNING) is before
    assert device.applied == []


async def test_the_candidate_is_validated_at_commit_and_discarded_on_demand(xml: Xml, stores, device) -> None:
    await stores.edit(by(1), CANDIDATE, xml("<node><id nc:operation='delete'/></node>"))
    assert stores.read(RUNNING).xml != stores.read(CANDIDATE).xml
    with pytest.raises(RpcError, match="mandatory"):
        stores.check(stores.read(CANDIDATE))
    with pytest.raises(RpcError, match="mandatory"):
        await stores.commit(by(1))
    await stores.discard(1)
    assert stores.read(RUNNING) is stores.read(CANDIDATE)
    await stores.edit(by(1), CANDIDATE, xml(set_version("3")))
    assert (version(stores, RUNNING), version(stores, CANDIDATE)) == (None, "3")
    await stores.commit(by(2))
    assert version(stores, RUNNING) == "3"
    await stores.commit(by(2))
    assert device.applied == ["3"]


async def test_a_commit_that_the_device_refuses_leaves_both_stores(xml: Xml, stores) -> None:
    await stores.edit(by(1), CANDIDATE, xml(set_version("666")))
    with pytest.raises(RpcError, match="burns"):
        await stores.commit(by(1))
    assert (version(stores, RUNNING), version(stores, CANDIDATE)) == (None, "666")


async def test_test_options(xml: Xml, stores) -> None:
    await stores.edit(by(1), RUNNING, xml(set_version("4")), test=Option.TEST_ONLY)
    assert version(stores, RUNNING) is None
    delete = "<node><id nc:operation='delete'/></node>"
    for option in (Option.TEST_ONLY, Option.TEST_THEN_SET):
        with pytest.raises(RpcError):
            await stores.edit(by(1), CANDIDATE, xml(delete), test=option)
    await stores.edit(by(1), CANDIDATE, xml(delete), test=Option.SET)


async def test_copies_replace_the_whole(xml: Xml, stores) -> None:
    await stores.edit(by(1), RUNNING, xml(set_version("5")))
    await stores.copy(by(1), xml("<node><id>m</id></node>"), CANDIDATE)
    assert (version(stores, CANDIDATE), version(stores, RUNNING)) == (None, "5")
    await stores.copy(by(1), CANDIDATE, RUNNING)
    assert version(stores, RUNNING) is None
    with pytest.raises(RpcError, match="mandatory"):
        await stores.copy(by(1), xml(""), RUNNING)


async def test_locks_keep_others_out_and_name_their_holder(xml: Xml, stores) -> None:
    stores.lock(1, RUNNING)
    for session in (1, 2):
        with pytest.raises(RpcError) as caught:
            stores.lock(session, RUNNING)
        assert (caught.value.tag, dict(caught.value.info)[SESSION]) == ("lock-denied", "1")
    with pytest.raises(RpcError) as caught:
        await stores.edit(by(2), RUNNING, xml(set_version("1")))
    assert caught.value.tag == "in-use"
    with pytest.raises(RpcError) as caught:
        await stores.commit(by(2))
    assert caught.value.tag == "in-use"
    await stores.edit(by(1), RUNNING, xml(set_version("1")))
    with pytest.raises(RpcError) as caught:
        stores.unlock(2, RUNNING)
    assert caught.value.tag == "operation-failed"
    stores.unlock(1, RUNNING)
    stores.lock(2, RUNNING)
    stores.end_session(2)
    stores.lock(1, RUNNING)


async def test_a_candidate_with_changes_cannot_be_locked_and_changes_go_with_the_lock(
    xml: Xml, stores
) -> None:
    await stores.edit(by(3), CANDIDATE, xml(set_version("1")))
    with pytest.raises(RpcError) as caught:
        stores.lock(4, CANDIDATE)
    assert (caught.value.tag, dict(caught.value.info)[SESSION]) == ("lock-denied", "3")
    await stores.discard(4)
    stores.lock(4, CANDIDATE)
    await stores.edit(by(4), CANDIDATE, xml(set_version("2")))
    with pytest.raises(RpcError):
        await stores.discard(3)
    stores.end_session(4)
    assert stores.read(CANDIDATE) is stores.read(RUNNING)
    assert stores.locks == {}


async def test_the_device_changes_running_without_being_asked_itself(xml: Xml, stores, device) -> None:
    stores.lock(1, RUNNING)
    given = list(xml("<node><id>n</id><version>9</version></node>"))
    await stores.change_running(given)
    assert version(stores, CANDIDATE) == "9"
    assert given[0].getparent() is not None, "what was given stays where it is"
    with pytest.raises(RpcError):
        await stores.change_running([])
    assert version(stores, RUNNING) == "9"
    assert device.applied == []


async def test_edits_go_one_at_a_time(xml: Xml, tiny, places: SchemaMap) -> None:
    class SlowDevice:
        inside = 0

        async def state(self):
            return []

        async def apply(self, _old, _new, _user) -> None:
            self.inside += 1
            assert self.inside == 1
            await asyncio.sleep(0.001)
            self.inside -= 1

        async def call(self, _operation, _user):
            raise KeyError

    stores = Datastores(
        tiny,
        places,
        SlowDevice(),
        list(xml("<node><id>n</id></node>")),
        clock=ManualClock(),
        access=OpenAccess(),
    )
    links = [f"<node><links><link><id>{n}</id></link></links></node>" for n in range(10)]
    await asyncio.gather(*(stores.edit(by(1), RUNNING, xml(link)) for link in links))
    assert len(stores.read(RUNNING).elements[0][1]) == 10
