"""The state machine of a confirmed commit, by plain calls and as a law over any history."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_core.netconf.protocol.rpc_errors import BASE, RpcError
from keyweave_core.netconf.server.access import User
from keyweave_core.netconf.server.stores.confirmed import (
    MAX_TIMEOUT_S,
    PLAIN,
    CommitRequest,
    ConfirmedCommit,
    ConfirmedFact,
    ConfirmEvent,
)
from keyweave_core.netconf.server.stores.snapshots import Editor, Snapshot

FIRST, LATER = Snapshot(()), Snapshot(())
BAD = f"{{{BASE}}}bad-element"


def by(session_id: int) -> Editor:
    return Editor(session_id, User("tester"))


def confirmed(**more: object) -> CommitRequest:
    return CommitRequest(confirmed=True, **more)  # type: ignore[arg-type]  # a test names the fields itself


def started(session_id: int = 1, **more: object) -> ConfirmedCommit:
    machine = ConfirmedCommit()
    machine.committed(by(session_id), confirmed(**more), FIRST, 100.0)
    return machine


@pytest.mark.parametrize("seconds", [0, -1, MAX_TIMEOUT_S + 1])
def test_the_time_has_bounds(seconds: int) -> None:
    with pytest.raises(ValueError, match=str(seconds)):
        CommitRequest(confirmed=True, timeout_s=seconds)


def test_a_plain_commit_starts_nothing() -> None:
    machine = ConfirmedCommit()
    machine.check_commit(1, PLAIN)
    assert machine.committed(by(1), PLAIN, FIRST, 0.0) is None
    assert machine.pending is None


def test_start_extend_and_complete_restore_the_first_and_start_the_time_anew() -> None:
    machine = ConfirmedCommit()
    fact = machine.committed(by(1), confirmed(timeout_s=60), FIRST, 100.0)
    assert fact == ConfirmedFact(event=ConfirmEvent.START, by=by(1), timeout_s=60)
    machine.check_commit(1, confirmed())
    fact = machine.committed(by(1), confirmed(), LATER, 150.0)
    assert fact == ConfirmedFact(event=ConfirmEvent.EXTEND, by=by(1), timeout_s=600)
    assert machine.pending is not None
    assert (machine.pending.before, machine.pending.deadline_s) == (FIRST, 750.0)
    assert not machine.expired(749.9)
    machine.check_commit(1, PLAIN)
    assert machine.committed(by(1), PLAIN, LATER, 200.0) == ConfirmedFact(
        event=ConfirmEvent.COMPLETE, by=by(1)
    )
    assert machine.pending is None


def test_only_its_session_may_confirm_extend_or_cancel_what_is_not_persistent() -> None:
    machine = started()
    for request, tag in (
        (PLAIN, "in-use"),
        (confirmed(), "in-use"),
        (CommitRequest(persist_id="x"), "invalid-value"),
    ):
        with pytest.raises(RpcError) as caught:
            machine.check_commit(2, request)
        assert caught.value.tag == tag
    with pytest.raises(RpcError) as caught:
        machine.cancel(by(2), None)
    assert caught.value.tag == "in-use"
    machine.check_change(1)
    with pytest.raises(RpcError, match="session 1 is pending"):
        machine.check_change(2)


def test_who_knows_the_token_may_confirm_extend_or_cancel_and_nobody_else() -> None:
    machine = started(persist="secret")
    for session in (1, 2):
        with pytest.raises(RpcError, match="persist-id is wanted") as caught:
            machine.check_commit(session, PLAIN)
        assert caught.value.tag == "in-use"
        with pytest.raises(RpcError) as caught:
            machine.check_commit(session, CommitRequest(persist_id="guess"))
        assert (caught.value.tag, dict(caught.value.info)[BAD]) == ("invalid-value", "persist-id")
        machine.check_commit(session, CommitRequest(persist_id="secret"))
    machine.committed(by(2), confirmed(persist_id="secret"), LATER, 0.0)
    assert machine.pending is not None
    assert (machine.pending.persist, machine.pending.by) == ("secret", by(2)), "a token stays unless replaced"
    machine.committed(by(2), confirmed(persist_id="secret", persist="new"), LATER, 0.0)
    with pytest.raises(RpcError):
        machine.cancel(by(2), "secret")
    machine.cancel(by(3), "new")
    assert machine.restored() == ConfirmedFact(event=ConfirmEvent.CANCEL, by=by(3))


@pytest.mark.parametrize("persist_id", [None, "x"])
def test_without_anything_pending_there_is_nothing_to_cancel(persist_id: str | None) -> None:
    with pytest.raises(RpcError) as caught:
        ConfirmedCommit().cancel(by(1), persist_id)
    assert caught.value.tag == ("operation-failed" if persist_id is None else "invalid-value")
    if persist_id is not None:
        with pytest.raises(RpcError, match="no persistent"):
            ConfirmedCommit().check_commit(1, CommitRequest(persist_id=persist_id))


def test_the_end_of_the_session_makes_a_roll_back_due_once_and_nothing_confirms_it_then() -> None:
    machine = started()
    assert not machine.session_ended(2)
    assert machine.session_ended(1)
    assert not machine.session_ended(1)
    for act in (lambda: machine.check_commit(1, PLAIN), lambda: machine.check_change(1)):
        with pytest.raises(RpcError, match="being rolled back"):
            act()
    assert not machine.expired(1e9)
    assert machine.restored() == ConfirmedFact(event=ConfirmEvent.CANCEL, by=by(1))
    assert machine.restored() is None


def test_a_persistent_one_outlives_its_session_and_belongs_to_nobody() -> None:
    machine = started(persist="p")
    assert not machine.session_ended(1)
    assert machine.pending is not None
    assert machine.pending.by.session_id == 0
    with pytest.raises(RpcError):
        machine.check_change(1)
    assert machine.expired(100.0 + 600)
    assert machine.restored() == ConfirmedFact(event=ConfirmEvent.TIMEOUT, by=None)


def test_the_end_of_the_server_makes_any_roll_back_due() -> None:
    machine = started(persist="p")
    machine.abandon()
    assert machine.restored() == ConfirmedFact(event=ConfirmEvent.CANCEL, by=None)
    machine.abandon()
    assert machine.pending is None


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["commit", "confirmed", "cancel", "end", "time", "restored"]),
        st.integers(1, 3),
        st.sampled_from([None, "a", "b"]),
        st.sampled_from([None, "a", "b"]),
    ),
    max_size=25,
)


@given(STEPS)
def test_law_every_start_has_one_end_and_what_is_restored_is_what_was_before_it(steps) -> None:
    machine, now, running = ConfirmedCommit(), 0.0, 0
    snapshots = [Snapshot(())]
    before_start: Snapshot | None = None
    told: list[ConfirmEvent] = []
    for what, session, persist, persist_id in steps:
        now += 100
        fact = None
        try:
            match what:
                case "commit" | "confirmed":
                    request = CommitRequest(
                        confirmed=what == "confirmed",
                        persist=persist if what == "confirmed" else None,
                        persist_id=persist_id,
                    )
                    machine.check_commit(session, request)
                    before = snapshots[running]
                    if machine.pending is None and request.confirmed:
                        before_start = before
                    snapshots.append(Snapshot(()))
                    running = len(snapshots) - 1
                    fact = machine.committed(by(session), request, before, now)
                case "cancel":
                    machine.cancel(by(session), persist_id)
                case "end":
                    machine.session_ended(session)
                case "time":
                    machine.expired(now)
                case "restored" if machine.pending is not None and machine.pending.due is not None:
                    fact = machine.restored()
        except RpcError:
            continue
        if machine.pending is not None:
            assert machine.pending.before is before_start
        if fact is not None:
            told.append(fact.event)
    open_ = False
    for event in told:
        assert open_ is (event is not ConfirmEvent.START)
        open_ = event in (ConfirmEvent.START, ConfirmEvent.EXTEND)
    assert open_ is (machine.pending is not None)
