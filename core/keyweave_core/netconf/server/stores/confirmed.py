"""Confirmed commit as a state machine (RFC 6241 clause 8.4): pure, time and sessions are told to it.

Rule of this file: nothing is done here. `ConfirmedCommit` says what may happen, remembers what a roll back
restores and why one is due, and returns the fact that subscribers are told (RFC 6470). `datastores` makes it
real.

                    confirmed      commit        cancel         deadline,        restored
                    commit                                      session's end
    idle            PENDING start  -             refused        -                -
    PENDING         extend         idle complete DUE            DUE              -
    DUE             refused        refused       tried again    -                idle cancel | timeout

DUE means that running is being, or is still to be, brought back; nothing can confirm it any more.
"""

import hmac
from dataclasses import dataclass, replace
from enum import StrEnum

from keyweave_core.netconf.protocol.rpc_errors import RpcError, bad_element
from keyweave_core.netconf.server.stores.snapshots import Editor, Snapshot

DEFAULT_TIMEOUT_S = 600
MAX_TIMEOUT_S = 2**32 - 1


class ConfirmEvent(StrEnum):
    """confirm-event of netconf-confirmed-commit (RFC 6470)."""

    START = "start"
    CANCEL = "cancel"  # by cancel-commit, or because the session ended
    TIMEOUT = "timeout"
    EXTEND = "extend"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmedFact:
    """What happened to a confirmed commit.

    `by` is who caused it: the session that committed, confirmed, cancelled or ended; None for TIMEOUT and
    when the server itself ends.
    `timeout_s` is the time left to confirm, of START and EXTEND only.
    """

    event: ConfirmEvent
    by: Editor | None
    timeout_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRequest:
    """The parameters of <commit>; ValueError when the time is out of its bounds."""

    confirmed: bool = False
    timeout_s: int = DEFAULT_TIMEOUT_S
    persist: str | None = None
    persist_id: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.timeout_s <= MAX_TIMEOUT_S:
            raise ValueError(f"confirm-timeout {self.timeout_s}: want 1..{MAX_TIMEOUT_S} seconds")


PLAIN = CommitRequest()
"""A <commit> without parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A confirmed commit that waits.

    `before` is running as it was before the first of its commits, `by` the session of the last. `persist` is
    the token that stands for the session. `due` is why it is being rolled back, None while it may be
    confirmed. `deadline_s` is on the monotonic clock.
    """

    before: Snapshot
    by: Editor
    persist: str | None
    deadline_s: float
    due: ConfirmedFact | None = None


class ConfirmedCommit:
    """The one confirmed commit that a server may have."""

    def __init__(self) -> None:
        self.pending: Pending | None = None

    def check_change(self, session_id: int) -> None:
        """May the session change running by other means than commit? RpcError in-use unless it is its own.

        A roll back would undo what others did meanwhile, so they wait.
        """
        pending = self.pending
        if pending is not None and (pending.due is not None or pending.by.session_id != session_id):
            raise _in_use(pending)

    def check_commit(self, session_id: int, request: CommitRequest) -> None:
        """May the session commit this way? RpcError in-use or invalid-value (wrong or useless persist-id)."""
        pending = self.pending
        if pending is None:
            if request.persist_id is not None:
                raise _wrong_id("no persistent confirmed commit is pending")
            return
        if pending.due is not None:
            raise _in_use(pending)
        _check_right(pending, session_id, request.persist_id)

    def committed(
        self, editor: Editor, request: CommitRequest, before: Snapshot, now_s: float
    ) -> ConfirmedFact | None:
        """A commit that `check_commit` let pass was made; `before` is running before it."""
        pending = self.pending
        if not request.confirmed:
            self.pending = None
            return None if pending is None else ConfirmedFact(event=ConfirmEvent.COMPLETE, by=editor)
        first = pending is None
        self.pending = Pending(
            before=before if pending is None else pending.before,
            by=editor,
            persist=pending.persist if pending is not None and request.persist is None else request.persist,
            deadline_s=now_s + request.timeout_s,
        )
        event = ConfirmEvent.START if first else ConfirmEvent.EXTEND
        return ConfirmedFact(event=event, by=editor, timeout_s=request.timeout_s)

    def cancel(self, editor: Editor, persist_id: str | None) -> None:
        """A roll back is due from here on (cancel-commit); RpcError when nothing of the caller is pending."""
        pending = self.pending
        if pending is None:
            if persist_id is not None:
                raise _wrong_id("no persistent confirmed commit is pending")
            raise RpcError("operation-failed", "no confirmed commit is pending", type="protocol")
        _check_right(pending, editor.session_id, persist_id)
        self._roll_back(ConfirmedFact(event=ConfirmEvent.CANCEL, by=editor))

    def session_ended(self, session_id: int) -> bool:
        """A session is gone; True when that makes a roll back due. A persistent commit stays, nobody's."""
        pending = self.pending
        if pending is None or pending.by.session_id != session_id:
            return False
        if pending.persist is not None:
            self.pending = replace(pending, by=Editor(0, pending.by.user))
            return False
        return self._roll_back(ConfirmedFact(event=ConfirmEvent.CANCEL, by=pending.by))

    def expired(self, now_s: float) -> bool:
        """True when a roll back is due because of the time, from here on."""
        pending = self.pending
        if pending is None or pending.due is not None or now_s < pending.deadline_s:
            return False
        return self._roll_back(ConfirmedFact(event=ConfirmEvent.TIMEOUT, by=None))

    def abandon(self) -> None:
        """The server ends: a roll back is due from here on, whoever may still know the token."""
        if self.pending is not None:
            self._roll_back(ConfirmedFact(event=ConfirmEvent.CANCEL, by=None))

    def rebased(self, before: Snapshot) -> None:
        """The system changed running itself: `before` with that change in it is what a roll back restores."""
        if self.pending is not None:
            self.pending = replace(self.pending, before=before)

    def restored(self) -> ConfirmedFact | None:
        """Running is again what it was; returns why."""
        pending, self.pending = self.pending, None
        return None if pending is None else pending.due

    def _roll_back(self, why: ConfirmedFact) -> bool:
        if self.pending is None or self.pending.due is not None:
            return False
        self.pending = replace(self.pending, due=why)
        return True


def _check_right(pending: Pending, session_id: int, persist_id: str | None) -> None:
    """Whose is it? RFC 6241 clause 8.4.1: the session's, or whoever knows the token when there is one."""
    if pending.persist is None:
        if persist_id is not None:
            raise _wrong_id("the pending confirmed commit is not persistent")
        if pending.by.session_id != session_id:
            raise _in_use(pending)
    elif persist_id is None:
        raise _in_use(pending)
    elif not hmac.compare_digest(persist_id.encode(), pending.persist.encode()):
        raise _wrong_id("this is not the id of the pending confirmed commit")


def _wrong_id(message: str) -> RpcError:
    return bad_element("invalid-value", message, "persist-id")


def _in_use(pending: Pending) -> RpcError:
    if pending.due is not None:
        return RpcError("in-use", "a confirmed commit is being rolled back", type="protocol")
    if pending.persist is not None:
        message = "a persistent confirmed commit is neither confirmed nor cancelled: its persist-id is wanted"
    else:
        message = f"a confirmed commit of session {pending.by.session_id} is pending"
    return RpcError("in-use", message, type="protocol")
