"""Which associations a link concerns: found without looking through all of them.

Rule of this file: derived from the records of the associations and kept beside them, never in a snapshot.
`Turn` notes every association that was touched, so whoever changes one need not think of this. Answers are
in no order that means anything; whoever shows them sorts.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from keyweave_controller.control.state import Association, AssociationState
from keyweave_core.model.ids import AppId, LinkId, NodeId

Item = TypeVar("Item", LinkId, NodeId)

_GONE = frozenset({AssociationState.CLOSING, AssociationState.CLOSED, AssociationState.REFUSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Noted:
    links: frozenset[LinkId] = frozenset()
    nodes: frozenset[NodeId] = frozenset()
    left: frozenset[LinkId] = frozenset()
    blocked: frozenset[LinkId] = frozenset()
    floor: int = 0
    age: int | None = None
    short: bool = False
    vague: bool = False


_NOTHING = _Noted()


class Crossings:
    """Associations that live, by the links and nodes that their paths cross, and by links they wait for.

    `floors` and `ages` are the limits on stored key and its age that any of them wants kept. `short` are
    those that hold less than they were promised. `vague` are stranded without a link that they wait for.
    """

    def __init__(self, associations: Mapping[AppId, Association]) -> None:
        self.floors: Counter[int] = Counter()
        self.ages: Counter[int] = Counter()
        self.short: set[AppId] = set()
        self.vague: set[AppId] = set()
        self._over: dict[LinkId, set[AppId]] = {}
        self._through: dict[NodeId, set[AppId]] = {}
        self._left: dict[LinkId, set[AppId]] = {}
        self._blocked: dict[LinkId, set[AppId]] = {}
        self._noted: dict[AppId, _Noted] = {}
        self._stamps: dict[AppId, tuple[object, ...]] = {}  # what `_noted` is made from
        for app_id, association in associations.items():
            self.note(app_id, association)

    def note(self, app_id: AppId, association: Association | None) -> None:
        """The association looks like this now; None: it is no more."""
        stamp = _stamp(association)
        if stamp == self._stamps.get(app_id):
            return
        before = self._noted.get(app_id, _NOTHING)
        now = _noted(association)
        if now is _NOTHING:
            self._stamps.pop(app_id, None)
        else:
            self._stamps[app_id] = stamp
        if now == before:
            return
        if now is _NOTHING:
            del self._noted[app_id]
        else:
            self._noted[app_id] = now
        _swap(self._over, app_id, before.links, now.links)
        _swap(self._through, app_id, before.nodes, now.nodes)
        _swap(self._left, app_id, before.left, now.left)
        _swap(self._blocked, app_id, before.blocked, now.blocked)
        if before.floor != now.floor:
            _count(self.floors, before.floor or None, now.floor or None)
        if before.age != now.age:
            _count(self.ages, before.age, now.age)
        _put(self.short, app_id, now.short)
        _put(self.vague, app_id, now.vague)

    def over(self, link_id: LinkId) -> frozenset[AppId]:
        """Those with a path, or one on its way, over a link."""
        return frozenset(self._over.get(link_id, ()))

    def through(self, node_id: NodeId) -> frozenset[AppId]:
        """The same of a node, its ends included."""
        return frozenset(self._through.get(node_id, ()))

    def left(self, link_id: LinkId) -> frozenset[AppId]:
        """Those that moved off a link when it failed, and may return."""
        return frozenset(self._left.get(link_id, ()))

    def blocked(self, link_id: LinkId) -> frozenset[AppId]:
        """Those stranded for whom a way may open when this link does."""
        return frozenset(self._blocked.get(link_id, ()))


def _stamp(association: Association | None) -> tuple[object, ...]:
    """Everything that `_noted` looks at, compared in no time as long as nothing of it is replaced."""
    if association is None or association.state in _GONE:
        return ()
    return (
        association.path,
        association.next_path,
        association.others,
        association.next_others,
        association.left_links,
        association.blocked_by,
        association.degraded_bps is None,
        association.service,
    )


def _noted(association: Association | None) -> _Noted:
    if association is None or association.state in _GONE:
        return _NOTHING
    paths = (*association.paths, *association.next_paths)
    bounds, blocked = association.service.constraints, association.blocked_by
    return _Noted(
        links=frozenset(link_id for path in paths for link_id in path.links),
        nodes=frozenset(node_id for path in paths for node_id in path.nodes),
        left=frozenset(association.left_links),
        blocked=frozenset(blocked or ()),
        floor=bounds.min_stored_bits,
        age=bounds.max_key_age_s,
        short=association.degraded_bps is not None,
        vague=blocked == (),
    )


def _swap(
    index: dict[Item, set[AppId]], app_id: AppId, before: frozenset[Item], now: frozenset[Item]
) -> None:
    for one in before - now:
        index[one].discard(app_id)
        if not index[one]:
            del index[one]
    for one in now - before:
        index.setdefault(one, set()).add(app_id)


def _count(limits: Counter[int], before: int | None, now: int | None) -> None:
    if before is not None:
        limits[before] -= 1
        if not limits[before]:
            del limits[before]
    if now is not None:
        limits[now] += 1


def _put(items: set[AppId], item: AppId, wanted: bool) -> None:
    if wanted:
        items.add(item)
    else:
        items.discard(item)


def in_age(associations: Mapping[AppId, Association], app_ids: Iterable[AppId]) -> list[Association]:
    """These associations, the oldest first."""
    found = [associations[app_id] for app_id in app_ids if app_id in associations]
    found.sort(key=lambda one: (one.created_at, one.app_id))
    return found


def in_order(associations: Mapping[AppId, Association], app_ids: Iterable[AppId]) -> list[Association]:
    """These associations as everything that is scarce is given out: by priority, then the older."""
    found = [associations[app_id] for app_id in app_ids if app_id in associations]
    found.sort(key=lambda one: (-one.priority, one.created_at, one.app_id))
    return found
