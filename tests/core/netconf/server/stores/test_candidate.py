"""The candidate under a running that changes, and the startup datastore beside both."""

from collections.abc import Callable

import pytest
from lxml import etree

from keyweave_core.errors import Unavailable
from keyweave_core.netconf.data.edit import Operation
from keyweave_core.netconf.protocol.rpc_errors import RpcError
from keyweave_core.netconf.server.access import OpenAccess, User
from keyweave_core.netconf.server.features import ServerFeatures
from keyweave_core.netconf.server.stores.confirmed import CommitRequest
from keyweave_core.netconf.server.stores.datastores import Datastores, Editor, Store
from keyweave_core.runtime.clock import ManualClock

Xml = Callable[[str], etree._Element]
RUNNING, CANDIDATE, STARTUP = Store.RUNNING, Store.CANDIDATE, Store.STARTUP
NS = "{urn:test:tiny}"


def by(session_id: int) -> Editor:
    return Editor(session_id, User("tester"))


class Disk:
    """Keeps the version of what it is told, unless it is full."""

    def __init__(self) -> None:
        self.kept: list[str | None] = []
        self.full = False

    async def keep(self, config) -> None:
        if self.full:
            raise Unavailable("no space left")
        self.kept.append(None if config is None else config[0].findtext(f"{NS}version"))


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def make(xml: Xml, tiny, places, device, disk) -> Callable[[bool], Datastores]:
    return lambda startup: Datastores(
        tiny,
        places,
        device,
        list(xml("<node><id>n</id><version>0</version></node>")),
        clock=ManualClock(),
        access=OpenAccess(),
        features=ServerFeatures(startup=startup),
        keeper=disk,
    )


@pytest.fixture
def stores(make) -> Datastores:
    return make(False)


def seen(stores: Datastores, store: Store, name: str) -> list[str | None]:
    return [each.text for each in stores.read(store).elements[0].iter(f"{NS}{name}")]


async def test_a_commit_does_not_revert_what_changed_in_running_meanwhile(xml: Xml, stores) -> None:
    await stores.edit(by(1), CANDIDATE, xml("<node><tag>mine</tag></node>"))
    await stores.edit(by(2), RUNNING, xml("<node><version>1</version></node>"))
    assert (seen(stores, CANDIDATE, "tag"), seen(stores, CANDIDATE, "version")) == (["mine"], ["1"])
    given = list(xml("<node><id>n</id><version>1</version><caps><stats>s</stats></caps></node>"))
    await stores.change_running(given)
    await stores.commit(by(1))
    assert [seen(stores, RUNNING, name) for name in ("tag", "version", "stats")] == [["mine"], ["1"], ["s"]]


async def test_a_node_changed_on_both_sides_stops_the_commit_until_it_is_settled(xml: Xml, stores) -> None:
    await stores.edit(by(1), CANDIDATE, xml("<node><version>1</version></node>"))
    await stores.edit(by(2), RUNNING, xml("<node><version>2</version><tag>t</tag></node>"))
    assert seen(stores, CANDIDATE, "version") == ["1"]
    for act in (lambda: stores.commit(by(1)), lambda: stores.commit(by(1), CommitRequest(confirmed=True))):
        with pytest.raises(RpcError) as caught:
            await act()
        assert (caught.value.tag, caught.value.path) == ("operation-failed", "/tiny:node/tiny:version")
    with pytest.raises(RpcError):
        stores.validate(CANDIDATE)
    await stores.edit(by(1), CANDIDATE, xml("<node><tag>u</tag></node>"))
    with pytest.raises(RpcError):
        await stores.commit(by(1))
    await stores.copy(by(1), xml("<node><id>n</id><version>3</version></node>"), CANDIDATE)
    await stores.commit(by(1))
    assert (seen(stores, RUNNING, "version"), seen(stores, RUNNING, "tag")) == (["3"], [])


async def test_a_copy_of_running_makes_the_candidate_clean(xml: Xml, stores) -> None:
    await stores.edit(by(1), CANDIDATE, xml("<node><version>1</version></node>"))
    await stores.copy(by(2), RUNNING, CANDIDATE)
    stores.lock(2, CANDIDATE)


async def test_the_edits_of_a_session_that_ended_stay_for_the_others(xml: Xml, stores) -> None:
    await stores.edit(by(1), CANDIDATE, xml("<node><version>1</version></node>"))
    stores.end_session(1)
    with pytest.raises(RpcError) as caught:
        stores.lock(2, CANDIDATE)
    assert dict(caught.value.info).popitem()[1] == "0"
    await stores.commit(by(2))
    assert seen(stores, RUNNING, "version") == ["1"]


async def test_without_startup_every_change_of_running_is_kept_and_startup_is_not_there(
    xml: Xml, stores, disk
) -> None:
    assert stores.stores == (RUNNING, CANDIDATE)
    await stores.edit(by(1), RUNNING, xml("<node><version>1</version></node>"))
    await stores.edit(by(1), CANDIDATE, xml("<node><version>2</version></node>"))
    await stores.commit(by(1))
    assert disk.kept == ["1", "2"]
    for act in (
        stores.copy(by(1), RUNNING, STARTUP),
        stores.copy(by(1), STARTUP, CANDIDATE),
        stores.delete_startup(by(1)),
    ):
        with pytest.raises(RpcError) as caught:
            await act
        assert caught.value.tag == "operation-not-supported"
    with pytest.raises(RpcError):
        stores.lock(1, STARTUP)


async def test_with_startup_only_copies_to_it_are_kept(xml: Xml, make, disk) -> None:
    stores = make(True)
    assert stores.stores == (RUNNING, CANDIDATE, STARTUP)
    await stores.edit(by(1), RUNNING, xml("<node><version>1</version></node>"))
    assert (disk.kept, seen(stores, STARTUP, "version")) == ([], ["0"])
    await stores.copy(by(1), RUNNING, STARTUP)
    assert (disk.kept, seen(stores, STARTUP, "version")) == (["1"], ["1"])
    await stores.copy(by(1), xml("<node><id>n</id><version>5</version></node>"), STARTUP)
    await stores.copy(by(1), STARTUP, CANDIDATE)
    assert seen(stores, CANDIDATE, "version") == ["5"]
    await stores.edit(by(1), STARTUP, xml("<node><version>6</version></node>"), default=Operation.MERGE)
    await stores.copy(by(1), STARTUP, RUNNING)
    assert (seen(stores, RUNNING, "version"), disk.kept) == (["6"], ["1", "5", "6"])
    with pytest.raises(RpcError, match="mandatory"):
        await stores.copy(by(1), xml(""), STARTUP)
    await stores.delete_startup(by(1))
    assert (stores.read(STARTUP).elements, disk.kept[-1]) == ((), None)
    with pytest.raises(RpcError, match="mandatory"):
        await stores.copy(by(1), STARTUP, RUNNING)


async def test_startup_has_a_lock_and_waits_for_a_confirmed_commit(xml: Xml, make, disk) -> None:
    stores = make(True)
    stores.lock(1, STARTUP)
    for act in (stores.copy(by(2), RUNNING, STARTUP), stores.delete_startup(by(2))):
        with pytest.raises(RpcError) as caught:
            await act
        assert caught.value.tag == "in-use"
    stores.end_session(1)
    await stores.edit(by(1), CANDIDATE, xml("<node><version>1</version></node>"))
    await stores.commit(by(1), CommitRequest(confirmed=True))
    with pytest.raises(RpcError, match="before it is settled"):
        await stores.copy(by(1), RUNNING, STARTUP)
    await stores.commit(by(1))
    await stores.copy(by(1), RUNNING, STARTUP)
    assert disk.kept == ["1"]
    disk.full = True
    with pytest.raises(RpcError, match="no space"):
        await stores.delete_startup(by(1))
    assert seen(stores, STARTUP, "version") == ["1"]


def test_startup_wants_a_place_that_outlives_the_process(xml: Xml, tiny, places, device) -> None:
    with pytest.raises(ValueError, match="keeper"):
        Datastores(
            tiny,
            places,
            device,
            list(xml("<node><id>n</id></node>")),
            clock=ManualClock(),
            access=OpenAccess(),
            features=ServerFeatures(startup=True),
        )


async def test_only_what_may_be_read_is_copied_but_for_running_to_startup(
    xml: Xml, tiny, places, device, disk
) -> None:
    class NoTags(OpenAccess):
        def readable(self, user, elements):
            found = list(xml("<node><id>n</id><version>0</version></node>"))
            return found if any(each.find(f"{NS}tag") is not None for each in elements) else elements

    stores = Datastores(
        tiny,
        places,
        device,
        list(xml("<node><id>n</id><tag>t</tag></node>")),
        clock=ManualClock(),
        access=NoTags(),
        features=ServerFeatures(startup=True),
        keeper=disk,
    )
    await stores.copy(by(1), RUNNING, CANDIDATE)
    assert seen(stores, CANDIDATE, "tag") == []
    await stores.copy(by(1), RUNNING, STARTUP)
    assert seen(stores, STARTUP, "tag") == ["t"]
