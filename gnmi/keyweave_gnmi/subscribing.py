"""What a subscription list asks for, and the notifications that tell it (gNMI clause 3.5).

Rule of this file: no time passes here and nothing is sent. Every leaf is an update of its own (clause 3.5:
values are not aggregated); updates of one moment are bundled up to a bound. `streaming` says when.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from keyweave_core.netconf.ports import ModuleInfo
from keyweave_core.netconf.server.system import System
from keyweave_gnmi.faults import BadPath, BadValue, Unsupported
from keyweave_gnmi.json_ietf import JsonWriter
from keyweave_gnmi.limits import GnmiLimits
from keyweave_gnmi.matching import Found, Selection, difference, find, leaves
from keyweave_gnmi.models import chosen_modules
from keyweave_gnmi.paths import PathReader, Pattern, Place, read_pattern, to_path
from keyweave_gnmi.values import ValueWriter, check_encoding
from keyweave_gnmi.views import View, Views
from keyweave_proto.gnmi import gnmi_pb2 as pb

_NS = 1_000_000_000
_MAX_INTERVAL_NS = 86_400 * 365 * _NS


class Mode(Enum):
    """When a path of a STREAM is told."""

    ON_CHANGE = auto()
    SAMPLE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One subscription; times in seconds, 0.0: none."""

    pattern: Pattern
    mode: Mode
    sample_s: float
    heartbeat_s: float
    suppress_redundant: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionPlan:
    """A subscription list, read."""

    mode: int  # pb.SubscriptionList.Mode
    wishes: tuple[Wish, ...]
    encoding: int
    selection: Selection
    updates_only: bool
    prefix: pb.Path  # of every notification: the origin and target of the request

    @property
    def on_change(self) -> tuple[Wish, ...]:
        """The wishes to be told of changes."""
        return tuple(wish for wish in self.wishes if wish.mode is Mode.ON_CHANGE)


class Answering:
    """What Get and Subscribe share: the schema of a system as they read and write it."""

    def __init__(self, system: System, limits: GnmiLimits) -> None:
        tops = [node for node in system.schema.tops() if node.namespace not in system.own]
        self.system = system
        self.limits = limits
        self.modules: Sequence[ModuleInfo] = system.modules
        self.reader = PathReader(system.places, tops)
        names = {uri: name for name, uri in system.places.namespaces.items()}
        self.values = ValueWriter(JsonWriter(system.places.top, names))

    def pattern(self, prefix: pb.Path, path: pb.Path) -> Pattern:
        """A path of a request, checked against the schema; raises BadPath or Unsupported."""
        pattern = read_pattern(
            prefix,
            path,
            modules=self.system.places.namespaces,
            max_elements=self.limits.max_path_elements,
        )
        self.reader.check(pattern)
        return pattern

    def few_enough(self, count: int) -> None:
        """Raise BadPath for a request with too many paths."""
        if count > self.limits.max_paths:
            raise BadPath(f"{count} paths, want {self.limits.max_paths} or less")


def read_plan(asked: pb.SubscriptionList, answering: Answering) -> SubscriptionPlan:
    """Read a subscription list.

    Raises BadPath (no path, too many, one that the schema does not have), BadValue (an interval that is not
    served, a module that is not) or Unsupported (an encoding).
    """
    check_encoding(asked.encoding)
    if not asked.subscription:
        raise BadPath("a subscription list without subscriptions")
    if asked.mode not in pb.SubscriptionList.Mode.values():
        raise Unsupported(f"subscription list mode {asked.mode} is not known here")
    answering.few_enough(len(asked.subscription))
    wishes = [_wish(asked.prefix, each, asked.mode, answering) for each in asked.subscription]
    return SubscriptionPlan(
        mode=asked.mode,
        wishes=tuple(wishes),
        encoding=asked.encoding,
        selection=Selection(chosen_modules(asked.use_models, answering.modules)),
        updates_only=asked.updates_only,
        prefix=pb.Path(origin=wishes[0].pattern.origin, target=asked.prefix.target),
    )


def _wish(prefix: pb.Path, asked: pb.Subscription, list_mode: int, answering: Answering) -> Wish:
    pattern = answering.pattern(prefix, asked.path)
    if asked.mode not in pb.SubscriptionMode.values():
        raise Unsupported(f"{pattern.text}: subscription mode {asked.mode} is not known here")
    least_ns = round(answering.limits.min_sample_s * _NS)
    mode = Mode.SAMPLE if asked.mode == pb.SAMPLE else Mode.ON_CHANGE
    streaming = list_mode == pb.SubscriptionList.STREAM
    for name, interval in (
        ("sample_interval", asked.sample_interval if mode is Mode.SAMPLE else 0),
        ("heartbeat_interval", asked.heartbeat_interval),
    ):
        if streaming and interval and not least_ns <= interval <= _MAX_INTERVAL_NS:
            raise BadValue(f"{pattern.text}: {name} of {interval} ns, want {least_ns} or more, or 0")
    return Wish(
        pattern=pattern,
        mode=mode,
        sample_s=(asked.sample_interval or least_ns) / _NS if mode is Mode.SAMPLE else 0.0,
        heartbeat_s=asked.heartbeat_interval / _NS,
        suppress_redundant=asked.suppress_redundant,
    )


class Feed:
    """Makes the notifications of one subscriber."""

    def __init__(self, plan: SubscriptionPlan, answering: Answering, views: Views) -> None:
        self._plan = plan
        self._answering = answering
        self._views = views

    def everything(self, view: View, wishes: Iterable[Wish]) -> Iterator[pb.Notification]:
        """All leaves of some wishes as they are; a leaf that several name is told once."""
        told: set[object] = set()
        for wish in wishes:
            yield from self._bundled(view.at_ns, (), self._leaves(view, wish, told), _qualified([wish]))

    def news(self, before: View, after: View, wishes: Sequence[Wish]) -> Iterator[pb.Notification]:
        """What changed for some wishes between two views; deletes come first."""
        changed = self._views.between(before, after)
        if not changed:
            return
        seen = difference(
            self._answering.reader,
            self._answering.system.places,
            [wish.pattern for wish in wishes],
            changed,
            after.elements,
            self._plan.selection,
        )
        yield from self._bundled(after.at_ns, seen.gone, iter(seen.values), _qualified(wishes))

    def gone(self, before: View, after: View, wishes: Sequence[Wish]) -> Iterator[pb.Notification]:
        """Only the places that are no more; for samples, which tell what is there anyway."""
        for notification in self.news(before, after, wishes):
            if notification.delete:
                del notification.update[:]
                yield notification

    def _leaves(self, view: View, wish: Wish, told: set[object]) -> Iterator[Found]:
        reader = self._answering.reader
        for found in find(reader, wish.pattern, view.elements):
            for leaf in leaves(reader, found, self._plan.selection):
                mark = leaf.mark
                if mark not in told:
                    told.add(mark)
                    yield leaf

    def _bundled(
        self, at_ns: int, gone: Sequence[Sequence[Place]], values: Iterator[Found], qualified: bool
    ) -> Iterator[pb.Notification]:
        most = self._answering.limits.updates_per_message
        waiting = self._empty(at_ns)
        for steps in gone:
            waiting.delete.append(to_path(steps, qualified=qualified))
            if len(waiting.delete) >= most:
                yield waiting
                waiting = self._empty(at_ns)
        for leaf in values:
            waiting.update.append(
                pb.Update(
                    path=to_path(leaf.steps, qualified=qualified),
                    val=self._answering.values.write(leaf, self._plan.encoding),
                )
            )
            if len(waiting.update) + len(waiting.delete) >= most:
                yield waiting
                waiting = self._empty(at_ns)
        if waiting.update or waiting.delete:
            yield waiting

    def _empty(self, at_ns: int) -> pb.Notification:
        return pb.Notification(timestamp=at_ns, prefix=self._plan.prefix)


def _qualified(wishes: Iterable[Wish]) -> bool:
    return any(wish.pattern.qualified for wish in wishes)
