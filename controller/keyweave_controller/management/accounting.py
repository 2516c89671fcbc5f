"""Who used how much key over which way, and what it costs.

Rule of this file: usage is what the SOURCE node reports (the other end would count the same keys twice), a
period counts once by its end time, and money is decimal: never a float. Rates and amounts are rounded once,
on the line of the bill, half to even.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from keyweave_controller.control.configuration import Tariff
from keyweave_controller.control.events import UsageReported
from keyweave_controller.control.state import Association, NetworkState, PathRecord
from keyweave_core.model.application import AppStatistics, KeyOrigin
from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId

PERIODS_KEPT = 512
"""End times remembered for each application; an older period than all of them counts as seen."""


@dataclass(slots=True, kw_only=True)
class UsageRecord:
    """Key of one origin that one association received over one path. `link_id` is the virtual link, None
    without a path.

    `further` got the same keys; a key counts once, however many got it. The nodes of a tree are its source
    and then the node behind each of its links.
    """

    app_id: AppId
    source: SaeId
    destination: SaeId
    link_id: LinkId | None
    nodes: tuple[NodeId, ...]
    node_names: tuple[str, ...]
    bits: int = 0
    keys: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    further: tuple[SaeId, ...] = ()
    origin: KeyOrigin = KeyOrigin.QKD

    @property
    def hops(self) -> int:
        """Physical links crossed."""
        return max(0, len(self.nodes) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BillLine:
    """One application pair over one path and keys of one origin; with `further` destinations a master and
    several slaves.
    """

    app_id: AppId
    source: SaeId
    destination: SaeId
    path: tuple[str, ...]  # names of nodes
    hops: int
    keys: int
    bits: int
    amount: Decimal
    further: tuple[SaeId, ...] = ()
    origin: KeyOrigin = KeyOrigin.QKD


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """All lines and their sum."""

    currency: str
    lines: tuple[BillLine, ...]
    total: Decimal


@dataclass(slots=True, kw_only=True)
class Seen:
    """Periods of one application that were counted: the newest ends, and the bound below which all were."""

    ends: list[float] = field(default_factory=list)
    floor: float = 0.0  # seconds since 1970


@dataclass(slots=True, kw_only=True)
class Accounting:
    """Usage by application, path and origin. Keys of `usage` are `<app_id>|<link_id or nothing>`, and behind
    that `|<origin>` where it is not QKD.
    """

    usage: dict[str, UsageRecord] = field(default_factory=dict)
    seen: dict[str, Seen] = field(default_factory=dict)

    def report(self, event: UsageReported, state: NetworkState) -> list[UsageRecord]:
        """Count the periods of a report that are new; the records that grew."""
        association = state.associations.get(event.app_id)
        if association is None or association.source_node != event.node_id:
            return []
        grown: dict[str, UsageRecord] = {}
        for period in event.periods:
            ended_at = _seconds(period.end_time)
            if ended_at is None or not self._new(event.app_id, ended_at):
                continue
            for link_id, bits, keys, origin in _shares(association, period, ended_at):
                record = self._record(association, link_id, origin, state, ended_at)
                record.bits += bits
                record.keys += keys
                record.last_at = max(record.last_at, ended_at)
                grown[usage_key(event.app_id, link_id, origin)] = record
        return list(grown.values())

    def bill(self, tariff: Tariff, app_ids: Iterable[AppId] | None = None) -> Bill:
        """The bill of all associations, or of `app_ids`."""
        wanted = None if app_ids is None else frozenset(app_ids)
        lines = tuple(
            BillLine(
                app_id=record.app_id,
                source=record.source,
                destination=record.destination,
                path=record.node_names,
                hops=record.hops,
                keys=record.keys,
                bits=record.bits,
                amount=tariff.price(
                    bits=record.bits, keys=record.keys, hops=record.hops, origin=record.origin
                ),
                further=record.further,
                origin=record.origin,
            )
            for record in self.usage.values()
            if wanted is None or record.app_id in wanted
        )
        zero = Decimal(0).scaleb(-tariff.decimals)
        return Bill(currency=tariff.currency, lines=lines, total=sum((one.amount for one in lines), zero))

    def _new(self, app_id: AppId, ended_at: float) -> bool:
        seen = self.seen.setdefault(app_id, Seen())
        if ended_at <= seen.floor or ended_at in seen.ends:
            return False
        seen.ends.append(ended_at)
        if len(seen.ends) > PERIODS_KEPT:
            seen.floor = min(seen.ends)
            seen.ends.remove(seen.floor)
        return True

    def _record(
        self,
        association: Association,
        link_id: LinkId | None,
        origin: KeyOrigin,
        state: NetworkState,
        at: float,
    ) -> UsageRecord:
        key = usage_key(association.app_id, link_id, origin)
        record = self.usage.get(key)
        if record is None:
            path = _path(association, link_id)
            nodes = path.nodes if path else ((association.source_node,) if link_id is None else ())
            record = self.usage[key] = UsageRecord(
                app_id=association.app_id,
                source=association.source,
                destination=association.destination,
                link_id=link_id,
                nodes=nodes,
                node_names=tuple(state.node_name(node_id) for node_id in nodes),
                first_at=at,
                last_at=at,
                further=association.further,
                origin=origin,
            )
        return record


def usage_key(app_id: AppId, link_id: LinkId | None, origin: KeyOrigin) -> str:
    """By what a record is found."""
    key = f"{app_id}|{link_id or ''}"
    return key if origin is KeyOrigin.QKD else f"{key}|{origin}"


def _shares(
    association: Association, period: AppStatistics, ended_at: float
) -> list[tuple[LinkId | None, int, int, KeyOrigin]]:
    """(virtual link, bits, keys, origin) of one period; a node that does not tell paths used the one of that
    time, and gives quantum keys.
    """
    if period.paths:
        return [
            (one.link_id, max(0, one.delivered_bits), max(0, one.delivered_keys), one.origin)
            for one in period.paths
        ]
    if not period.consumed_bits or period.consumed_bits < 0:
        return []
    paths = [*association.past_paths.values(), *([association.path] if association.path else [])]
    before = [path for path in paths if path.since <= ended_at]
    newest = max(before or paths, key=lambda path: path.since, default=None)
    return [(newest.link_id if newest else None, period.consumed_bits, 0, KeyOrigin.QKD)]


def _path(association: Association, link_id: LinkId | None) -> PathRecord | None:
    for path in (association.path, association.next_path):
        if path is not None and path.link_id == link_id:
            return path
    return association.past_paths.get(link_id) if link_id else None


def _seconds(end_time: str) -> float | None:
    try:
        moment = datetime.fromisoformat(end_time)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo is not None else None
