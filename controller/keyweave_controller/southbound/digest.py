"""What of a poll is news: figures that barely moved, periods already told and a configuration that nobody
touched never reach the journal.

Rule of this file: pure; one `Digest` for one agent, which lives as long as its inventory entry (also over
reconnections), and forgets what the node no longer has, so it never grows beyond the node itself.
"""

from collections.abc import Iterable
from dataclasses import replace

from keyweave_controller.control.events import LinkMeasure
from keyweave_core.model.application import Application, AppStatistics
from keyweave_core.model.ids import AppId, LinkId
from keyweave_core.model.link import KeyPool, Link, LinkPerformance, LinkType
from keyweave_core.model.node import Node
from keyweave_core.runtime.clock import parse_date_and_time

RELATIVE_CHANGE = 0.05
"""A rate, a QBER or an SNR is news when it moved by this share of what was last told."""

POOL_STEPS = 20
"""The level of a pool is news when it enters another of this many steps between empty and full."""


class Digest:
    """Remembers what was told of one node."""

    def __init__(self) -> None:
        self._told: dict[LinkId, LinkMeasure] = {}
        self._ended: dict[AppId, float] = {}
        self._names: frozenset[str] = frozenset()
        self._written: frozenset[Link | Application] = frozenset()

    def read(self, node: Node) -> None:
        """Note a tree that was read whole, and told."""
        self.told(node.links)
        self._names = _names(node.links, node.applications)
        self._written = _written(node)

    def renamed(self, links: Iterable[Link], applications: Iterable[Application]) -> bool:
        """Whether the node has other virtual links or applications than in the tree last told."""
        return _names(links, applications) != self._names

    def rewritten(self, node: Node) -> bool:
        """Whether anything that is written on the node differs from the tree last told."""
        return _written(node) != self._written

    def forget(self, link_id: LinkId | None) -> None:
        """Take the next figures of this link as news: the network heard of it another way since."""
        if link_id is not None:
            self._told.pop(link_id, None)

    def told(self, links: Iterable[Link]) -> None:
        """Note figures that reached the network another way (a whole read of the node)."""
        self._told = {item.link_id: item for item in _measures(links)}

    def news(self, links: Iterable[Link]) -> tuple[LinkMeasure, ...]:
        """The links among `links` (all of the node) whose figures moved enough, or changed status."""
        measures = {item.link_id: item for item in _measures(links)}
        self._told = {link_id: told for link_id, told in self._told.items() if link_id in measures}
        moved = tuple(
            item
            for link_id, item in measures.items()
            if (told := self._told.get(link_id)) is None or _moved(told, item)
        )
        self._told.update((item.link_id, item) for item in moved)
        return moved

    def periods(self, applications: Iterable[Application]) -> dict[AppId, tuple[AppStatistics, ...]]:
        """Closed periods not yet told, by application, oldest first.

        A period whose end is no date and time of YANG is left out: it can be neither ordered nor billed.
        """
        fresh: dict[AppId, tuple[AppStatistics, ...]] = {}
        ended: dict[AppId, float] = {}
        for application in applications:
            last = self._ended.get(application.app_id, float("-inf"))
            later = _later(application.statistics, last)
            if later:
                fresh[application.app_id] = tuple(row for _, row in later)
                last = later[-1][0]
            ended[application.app_id] = last
        self._ended = ended
        return fresh

    def last_periods(self, app_id: AppId, rows: Iterable[AppStatistics]) -> tuple[AppStatistics, ...]:
        """Those of an application's last periods that were not yet told, oldest first."""
        later = _later(rows, self._ended.get(app_id, float("-inf")))
        if later and app_id in self._ended:
            self._ended[app_id] = later[-1][0]
        return tuple(row for _, row in later)


def _later(rows: Iterable[AppStatistics], last: float) -> list[tuple[float, AppStatistics]]:
    """The rows that ended after `last`, oldest first, with their ends."""
    dated = [(end, row) for row in rows if (end := _end(row)) is not None]
    return sorted(((end, row) for end, row in dated if end > last), key=lambda pair: pair[0])


def _end(row: AppStatistics) -> float | None:
    try:
        return parse_date_and_time(row.end_time)
    except ValueError:
        return None


def _names(links: Iterable[Link], applications: Iterable[Application]) -> frozenset[str]:
    return frozenset(
        (
            *(f"link {link.link_id}" for link in links if link.type is LinkType.VIRT),
            *(f"application {one.app_id}" for one in applications),
        )
    )


def _written(node: Node) -> frozenset[Link | Application]:
    """What others may write on a node, without what the node observes."""
    return frozenset(
        (
            *(
                replace(link, status=None, performance=LinkPerformance(), pool=None)
                for link in node.links
                if link.type is LinkType.VIRT
            ),
            *(replace(one, status=None, statistics=()) for one in node.applications),
        )
    )


def _measures(links: Iterable[Link]) -> Iterable[LinkMeasure]:
    for link in links:
        # Virtual links are the network's own writing; only the fibre has figures of its own.
        if link.type is not LinkType.VIRT:
            yield LinkMeasure(
                link_id=link.link_id, status=link.status, performance=link.performance, pool=link.pool
            )


def _moved(told: LinkMeasure, now: LinkMeasure) -> bool:
    return (
        told.status is not now.status
        or any(_apart(before, after) for before, after in _figures(told.performance, now.performance))
        or _step(told.pool) != _step(now.pool)
    )


def _figures(told: LinkPerformance, now: LinkPerformance) -> tuple[tuple[float | None, float | None], ...]:
    return (
        (told.skr_bps, now.skr_bps),
        (told.eskr_bps, now.eskr_bps),
        (told.expected_consumption_bps, now.expected_consumption_bps),
        (told.qber, now.qber),
        (told.snr_db, now.snr_db),
    )


def _apart(before: float | None, after: float | None) -> bool:
    if before is None or after is None:
        return before is not after
    return before != after and abs(after - before) >= RELATIVE_CHANGE * abs(before)


def _step(pool: KeyPool | None) -> tuple[int, int] | None:
    if pool is None or pool.capacity_bits <= 0:
        return None
    # Empty is a step of its own: the difference between a little key and none is the one that matters.
    level = (
        -1 if pool.stored_bits <= 0 else min(POOL_STEPS, pool.stored_bits * POOL_STEPS // pool.capacity_bits)
    )
    return level, pool.capacity_bits
