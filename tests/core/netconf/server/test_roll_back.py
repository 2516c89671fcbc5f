"""Confirmed commits over real datastores and a clock driven by hand: what comes back, when, who is told."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from lxml import etree

from keyweave_core.errors import Refused, Unavailable
from keyweave_core.netconf.protocol.rpc_errors import BASE, RpcError
from keyweave_core.netconf.server.access import OpenAccess, User
from keyweave_core.netconf.server.stores.confirmed import CommitRequest, ConfirmedFact, ConfirmEvent
from keyweave_core.netconf.server.stores.datastores import Datastores, Editor, Store
from keyweave_core.runtime.clock import ManualClock

RUNNING, CANDIDATE = Store.RUNNING, Store.CANDIDATE
SESSION = f"{{{BASE}}}session-id"
MINUTE = CommitRequest(confirmed=True, timeout_s=60)


def by(session_id: int) -> Editor:
    return Editor(session_id, User("tester"))


@dataclass
class Disk:
    """Keeps what it is told, unless it is full."""

    kept: list[str | None] = field(default_factory=list)
    full: bool = False

    async def keep(self, config) -> None:
        if self.full:
            raise Unavailable("no space left")
        self.kept.append(None if config is None else config[0].findtext("{urn:test:tiny}version"))


@dataclass
class Bench:
    stores: Datastores
    clock: ManualClock
    disk: Disk
    device: object
    xml: Callable[[str], etree._Element]
    facts: list[ConfirmedFact] = field(default_factory=list)
    changes: list[tuple[str | None, int | None]] = field(default_factory=list)

    def version(self, store: Store = RUNNING) -> str | None:
        return self.stores.read(store).elements[0].findtext("{urn:test:tiny}version")

    async def put(self, text: str, session: int = 1, store: Store = CANDIDATE) -> None:
        config = f"<node><version>{text}</version></node>"
        await self.stores.edit(by(session), store, self.xml(config))

    async def commit(self, text: str, request: CommitRequest = MINUTE, session: int = 1) -> None:
        await self.put(text, session)
        await self.stores.commit(by(session), request)

    @property
    def told(self) -> list[ConfirmEvent]:
        return [fact.event for fact in self.facts]


@pytest.fixture
def bench(xml, tiny, places, device) -> Bench:
    clock, disk = ManualClock(), Disk()
    running = list(xml("<node><id>n</id><version>0</version></node>"))
    stores = Datastores(tiny, places, device, running, clock=clock, access=OpenAccess(), keeper=disk)
    made = Bench(stores, clock, disk, device, xml)
    stores.watch_confirmed(made.facts.append)
    stores.watch(lambda change: made.changes.append((made.version(), change.by and change.by.session_id)))
    return made


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_when_nobody_confirms_in_time_running_comes_back_and_was_never_kept(bench) -> None:
    await bench.commit("1")
    assert (bench.version(), bench.disk.kept) == ("1", [])
    await bench.clock.advance(59.9)
    assert bench.version() == "1"
    await bench.clock.advance(0.2)
    assert (bench.version(), bench.device.applied, bench.disk.kept) == ("0", ["1", "0"], [])
    assert bench.device.users == ["tester", ""], "the clock is nobody's hand"
    assert bench.facts[-1] == ConfirmedFact(event=ConfirmEvent.TIMEOUT, by=None)
    assert bench.changes == [("1", 1), ("0", None)]
    bench.stores.lock(2, RUNNING)
    await bench.clock.advance(1000)
    assert bench.told == [ConfirmEvent.START, ConfirmEvent.TIMEOUT]


async def test_a_confirming_commit_keeps_running_also_without_further_changes(bench) -> None:
    await bench.commit("1")
    await bench.stores.commit(by(1))
    assert (bench.disk.kept, bench.told[-1]) == (["1"], ConfirmEvent.COMPLETE)
    await bench.clock.advance(10_000)
    assert bench.version() == "1"


async def test_a_second_confirmed_commit_extends_and_the_roll_back_goes_before_the_first(bench) -> None:
    await bench.commit("1")
    await bench.clock.advance(50)
    await bench.commit("2")
    await bench.clock.advance(50)
    assert bench.version() == "2"
    await bench.clock.advance(11)
    assert bench.version() == "0"
    assert bench.told == [ConfirmEvent.START, ConfirmEvent.EXTEND, ConfirmEvent.TIMEOUT]


async def test_a_shorter_extension_counts(bench) -> None:
    await bench.commit("1", CommitRequest(confirmed=True))
    await bench.commit("2", CommitRequest(confirmed=True, timeout_s=1))
    await bench.clock.advance(1.1)
    assert bench.version() == "0"


async def test_a_session_that_ends_takes_its_commit_along_and_leaves_no_lock(bench) -> None:
    bench.stores.lock(1, RUNNING)
    bench.stores.lock(1, CANDIDATE)
    await bench.commit("1")
    bench.stores.end_session(1)
    assert bench.stores.locks == {}
    with pytest.raises(RpcError) as caught:
        bench.stores.lock(2, RUNNING)
    assert caught.value.tag == "lock-denied"
    await settle()
    assert bench.version() == "0"
    assert bench.facts[-1] == ConfirmedFact(event=ConfirmEvent.CANCEL, by=by(1))
    assert bench.stores.locks == {}
    bench.stores.lock(2, RUNNING)
    with pytest.raises(RpcError, match="no confirmed commit"):
        await bench.stores.cancel_commit(by(2))


async def test_a_lock_of_another_does_not_hold_up_a_roll_back_and_is_kept(bench) -> None:
    await bench.commit("1", CommitRequest(confirmed=True, timeout_s=5, persist="p"))
    bench.stores.lock(1, RUNNING)
    await bench.clock.advance(5.1)
    assert bench.version() == "0"
    assert [lock.session_id for lock in bench.stores.locks.values()] == [1]


async def test_a_persistent_commit_outlives_its_session_and_is_settled_from_another(bench) -> None:
    await bench.commit("1", CommitRequest(confirmed=True, timeout_s=60, persist="p"))
    bench.stores.end_session(1)
    await settle()
    assert bench.version() == "1"
    with pytest.raises(RpcError) as caught:
        bench.stores.lock(2, RUNNING)
    assert dict(caught.value.info)[SESSION] == "0"
    with pytest.raises(RpcError, match="persist-id is wanted"):
        await bench.stores.commit(by(2))
    await bench.stores.commit(by(2), CommitRequest(persist_id="p"))
    assert (bench.disk.kept, bench.told[-1]) == (["1"], ConfirmEvent.COMPLETE)


async def test_a_persistent_commit_is_cancelled_after_its_committer_left(bench) -> None:
    await bench.commit("1", CommitRequest(confirmed=True, persist="p"))
    bench.stores.end_session(1)
    for wrong in (None, "q"):
        with pytest.raises(RpcError):
            await bench.stores.cancel_commit(by(2), wrong)
    assert bench.version() == "1"
    await bench.stores.cancel_commit(by(2), "p")
    assert (bench.version(), bench.changes[-1]) == ("0", ("0", 2))
    with pytest.raises(RpcError) as caught:
        await bench.stores.cancel_commit(by(2), "p")
    assert caught.value.tag == "invalid-value"


async def test_others_wait_while_a_confirmed_commit_is_pending(bench) -> None:
    await bench.commit("1")
    for act in (
        bench.put("2", 2, RUNNING),
        bench.stores.copy(by(2), bench.xml("<node><id>m</id></node>"), RUNNING),
        bench.stores.commit(by(2)),
        bench.stores.commit(by(2), MINUTE),
        bench.stores.rewrite(by(0), lambda snapshot: snapshot),
    ):
        with pytest.raises(RpcError) as caught:
            await act
        assert caught.value.tag == "in-use"
    with pytest.raises(RpcError) as caught:
        bench.stores.lock(2, RUNNING)
    assert (caught.value.tag, dict(caught.value.info)[SESSION]) == ("lock-denied", "1")
    await bench.put("3", 2)  # the candidate is free
    await bench.put("2", 1, RUNNING)  # its own session goes on, and this is undone too
    assert bench.disk.kept == []
    await bench.clock.advance(61)
    assert bench.version() == "0"
    bench.stores.lock(2, RUNNING)


async def test_what_the_system_changes_itself_survives_the_roll_back(bench) -> None:
    await bench.commit("1")
    text = "<node><id>n</id><version>1</version><caps><stats>seen</stats></caps></node>"
    await bench.stores.change_running(list(bench.xml(text)))
    await bench.stores.cancel_commit(by(1))
    (node,) = bench.stores.read(RUNNING).elements
    assert bench.version() == "0"
    assert node.findtext("{urn:test:tiny}caps/{urn:test:tiny}stats") == "seen"


async def test_a_roll_back_that_the_device_refuses_is_tried_until_it_is_done(bench, monkeypatch) -> None:
    refusals = [Refused("not now"), ZeroDivisionError("defect"), Unavailable("away")]
    apply = bench.device.apply

    async def moody(old, new, user) -> None:
        if refusals and new[0].findtext("{urn:test:tiny}version") == "0":
            raise refusals.pop(0)
        await apply(old, new, user)

    monkeypatch.setattr(bench.device, "apply", moody)
    await bench.commit("1")
    with pytest.raises(RpcError, match="not now"):
        await bench.stores.cancel_commit(by(1))
    assert (bench.version(), bench.told) == ("1", [ConfirmEvent.START])
    for act in (bench.stores.commit(by(1)), bench.put("9", 1, RUNNING)):
        with pytest.raises(RpcError, match="being rolled back"):
            await act
    await bench.clock.advance(0.5)
    assert bench.version() == "1"
    await bench.clock.advance(5)
    assert (bench.version(), refusals) == ("0", [])
    assert bench.facts[-1] == ConfirmedFact(event=ConfirmEvent.CANCEL, by=by(1))
    await bench.commit("2", CommitRequest())


async def test_a_commit_that_is_refused_starts_nothing(bench) -> None:
    with pytest.raises(RpcError, match="burns"):
        await bench.commit("666")
    await bench.stores.discard(1)
    bench.stores.lock(2, RUNNING)
    assert bench.facts == []


async def test_a_commit_that_cannot_be_kept_is_undone_and_stays_confirmable(bench) -> None:
    await bench.commit("1")
    bench.disk.full = True
    with pytest.raises(RpcError, match="no space"):
        await bench.stores.commit(by(1))
    with pytest.raises(RpcError, match="no space"):
        await bench.put("5", 9, CANDIDATE) or await bench.stores.commit(by(1))
    assert (bench.version(), bench.device.applied) == ("1", ["1", "5", "1"])
    bench.disk.full = False
    await bench.stores.commit(by(1))
    assert (bench.version(), bench.disk.kept) == ("5", ["5"])


async def test_a_session_that_ends_within_its_confirmed_commit_leaves_nothing_behind(
    xml, tiny, places
) -> None:
    going = asyncio.Event()
    go_on = asyncio.Event()

    class SlowDevice:
        async def state(self):
            return []

        async def apply(self, _old, _new, _user) -> None:
            going.set()
            await go_on.wait()

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
    facts: list[ConfirmedFact] = []
    stores.watch_confirmed(facts.append)
    await stores.edit(by(1), CANDIDATE, xml("<node><version>1</version></node>"))
    committing = asyncio.create_task(stores.commit(by(1), MINUTE))
    await going.wait()
    waiting = asyncio.create_task(stores.commit(by(2), MINUTE))
    await settle()
    stores.end_session(1)
    stores.end_session(2)
    go_on.set()
    await committing
    with pytest.raises(RpcError):
        await waiting
    await settle()
    assert stores.read(RUNNING).elements[0].find("{urn:test:tiny}version") is None
    assert [fact.event for fact in facts] == [ConfirmEvent.START, ConfirmEvent.CANCEL]


async def test_closing_rolls_back_also_what_is_persistent(bench) -> None:
    await bench.commit("1", CommitRequest(confirmed=True, persist="p"))
    await bench.stores.close()
    assert (bench.version(), bench.told[-1]) == ("0", ConfirmEvent.CANCEL)
    await bench.stores.close()


async def test_an_edit_of_the_candidate_after_the_commit_follows_the_roll_back(bench) -> None:
    await bench.commit("1")
    await bench.stores.edit(by(1), CANDIDATE, bench.xml("<node><tag>t</tag></node>"))
    await bench.clock.advance(61)
    assert bench.version(CANDIDATE) == "0"
    await bench.stores.commit(by(1))
    (node,) = bench.stores.read(RUNNING).elements
    assert (bench.version(), node.findtext("{urn:test:tiny}tag")) == ("0", "t")
