"""How long does the controller think when a third of a large network is cut at once?

A network of 1,000 sites and some 1,900 fibres of up to 80 km (a Gabriel graph of random points), 5,000
associations of 1, 2 or 4 kbit/s and three priorities between sites at most `FARTHEST` fibres apart. Then 30 %
of the fibres are cut at once. Both ends of each report it, in random order within 0.2 s, as agents do; what
the controller asks of them is answered 50 ms later. Everything goes through `Network.handle`, the machine
that decides, without I/O.

Figures, CPU seconds of one core: *decided* is the handling of all reports and the review of who was hurt;
then every association has its new path on the way or is known to have none. *carried out* is the handling of
all outcomes, and the reckoning of fair shares, until the network has come to rest. Checked on the way: no
link promises more than it may; each review goes by priority; nobody is lost; whoever found no way has none
that a search over what is left of the network finds, and says why.
"""

import gc
import heapq
import math
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count, pairwise
from time import process_time

from benchmarks.figures import quantile
from keyweave_controller.control import admission, placement, routing, topology
from keyweave_controller.control.actions import Action, CancelTimer, Configure, SetTimer
from keyweave_controller.control.configuration import Policy
from keyweave_controller.control.events import (
    AssociationRequested,
    ControllerStarted,
    Event,
    InventoryNode,
    NodeRead,
    Notified,
    StepSucceeded,
    TimerFired,
)
from keyweave_controller.control.mesh import Mesh
from keyweave_controller.control.network import Network
from keyweave_controller.control.state import Association, AssociationState
from keyweave_controller.engine.simulation import Span, simulate
from keyweave_core.model.application import AppQos
from keyweave_core.model.ids import AppId, LinkId, SaeId
from keyweave_core.model.notifications import LinkDown

SITES, ASSOCIATIONS, CUT = 1_000, 5_000, 0.3
FARTHEST = 10
"""Fibres between the sites of an association, at most; the policy allows 16 on a path."""

SEEDS = (1, 2, 3, 4, 5)
REPORTED_WITHIN_S, ANSWERED_AFTER_S = 0.2, 0.05
RATES_BPS, PRIORITIES = (1_000, 2_000, 4_000), (0, 1, 2)
SIDE_KM, LONGEST_KM = 1_600.0, 80.0
SHORTEST_LINK_BPS = 8_000_000
"""What a fibre of no length may promise; it falls by 0.2 dB/km."""


@dataclass(slots=True)
class Run:
    """One storm. Times are CPU seconds."""

    associations: int
    fibres: int
    cut: int
    hurt: int
    moved: int = 0
    without: int = 0
    decided_s: float = 0.0
    carried_out_s: float = 0.0
    events: int = 0
    longest_s: float = 0.0
    faults: list[str] = field(default_factory=list)


def gabriel(pick: random.Random, sites: int) -> list[tuple[int, int, float]]:
    """Neighbours of random points with nobody else in the circle between them; kilometres apart."""
    side = SIDE_KM * math.sqrt(sites / 1_000)
    points = [(pick.uniform(0, side), pick.uniform(0, side)) for _ in range(sites)]
    found = []
    for a, (x, y) in enumerate(points):
        near = sorted(range(sites), key=lambda one, x=x, y=y: math.dist(points[one], (x, y)))[1:16]
        for b in near:
            if a < b:
                middle = ((x + points[b][0]) / 2, (y + points[b][1]) / 2)
                radius = math.dist(points[b], (x, y)) / 2
                if all(math.dist(points[one], middle) >= radius - 1e-9 for one in near if one != b):
                    found.append((a, b, 2 * radius))
    return found


class Storm:
    """A network with its associations, under hand-driven time."""

    def __init__(self, seed: int, *, sites: int = SITES, associations: int = ASSOCIATIONS) -> None:
        self.pick = random.Random(seed)  # noqa: S311 - a benchmark's demands
        self.network, self.now, self.serial = Network(), 1_700_000_000.0, count()
        self.waiting: list[tuple[float, int, Event]] = []
        self.timers: dict[str, float] = {}
        spans = gabriel(self.pick, sites)
        names = [f"S{place:04}" for place in range(sites)]
        fibres = [
            Span(
                a=names[a],
                b=names[b],
                skr_bps=int(SHORTEST_LINK_BPS * 10 ** (-0.02 * min(km, LONGEST_KM))),
            )
            for a, b, km in spans
        ]
        nodes = simulate(fibres, {name: (f"sae-{name}",) for name in names})
        inventory = tuple(InventoryNode(name=node.name) for node in nodes.values())
        self.handle(ControllerStarted(at=self.now, policy=Policy(), inventory=inventory))
        for node in nodes.values():
            self.handle(NodeRead(at=self.now, name=node.name, node=node.tree()))
        self._ask(names, [(a, b) for a, b, _ in spans], associations)
        self.rest()

    def _ask(self, names: Sequence[str], pairs: Sequence[tuple[int, int]], associations: int) -> None:
        around: list[list[int]] = [[] for _ in names]
        for a, b in pairs:
            around[a].append(b)
            around[b].append(a)
        open_now, tried = 0, 0
        while open_now < associations and tried < 3 * associations:
            tried += 1
            source = self.pick.randrange(len(names))
            target = self.pick.choice(_within(around, source, FARTHEST))
            actions = self.handle(
                AssociationRequested(
                    at=self.now,
                    request_id=f"{tried}",
                    source=SaeId(f"sae-{names[source]}"),
                    destination=SaeId(f"sae-{names[target]}"),
                    qos=AppQos(min_bandwidth_bps=self.pick.choice(RATES_BPS)),
                    priority=self.pick.choice(PRIORITIES),
                )
            )
            open_now += any(isinstance(action, Configure) for action in actions)
            self.now += 0.001
            self.rest()

    def handle(self, event: Event) -> list[Action]:
        """One event, and what follows of it."""
        actions = self.network.handle(event)
        self.follow(actions)
        return actions

    def follow(self, actions: Sequence[Action]) -> None:
        """Outcomes come after a while, timers fire when they are due."""
        for action in actions:
            match action:
                case Configure(step_id=step_id):
                    at = self.now + ANSWERED_AFTER_S
                    self.later(at, StepSucceeded(at=at, step_id=step_id))
                case SetTimer(timer_id=timer_id, due_at=due_at):
                    self.timers[timer_id] = due_at
                    self.later(due_at, TimerFired(at=due_at, timer_id=timer_id))
                case CancelTimer(timer_id=timer_id):
                    self.timers.pop(timer_id, None)
                case _:
                    pass

    def later(self, at: float, event: Event) -> None:
        """Something that will happen."""
        heapq.heappush(self.waiting, (at, next(self.serial), event))

    def next(self, until: float = math.inf) -> Event | None:
        """The next thing that happens; time moves on to it."""
        while self.waiting and self.waiting[0][0] <= until:
            at, _, event = heapq.heappop(self.waiting)
            if isinstance(event, TimerFired) and self.timers.get(event.timer_id) != at:
                continue  # cancelled or moved
            if isinstance(event, TimerFired):
                del self.timers[event.timer_id]
            self.now = max(self.now, at)
            return event
        return None

    def rest(self) -> None:
        """Outcomes, until there are none; timers far ahead do not run."""
        while (event := self.next(self.now + 10 * ANSWERED_AFTER_S)) is not None:
            self.handle(event)


def _within(around: Sequence[Sequence[int]], source: int, most: int) -> list[int]:
    """The sites at most so many fibres away."""
    depth, reached = {source: 0}, [source]
    for here in reached:
        if depth[here] < most:
            for there in around[here]:
                if there not in depth:
                    depth[there] = depth[here] + 1
                    reached.append(there)
    return reached[1:]


def storm(seed: int, *, sites: int = SITES, associations: int = ASSOCIATIONS, freeze: bool = False) -> Run:
    """Build, cut and count. `freeze`: garbage collection leaves out what was built, as in the controller."""
    stage = Storm(seed, sites=sites, associations=associations)
    if freeze:
        gc.collect()
        gc.freeze()
    network = stage.network
    links = sorted(network.links)
    cut = sorted(stage.pick.sample(links, int(CUT * len(links))))
    live = [one for one in network.associations.values() if one.state is AssociationState.ACTIVE]
    hurt = {one.app_id for one in live if one.path and set(one.path.links) & set(cut)}
    run = Run(associations=len(live), fibres=len(links), cut=len(cut), hurt=len(hurt))
    start = stage.now + 60.0
    for link_id in cut:
        for node_id in sorted(network.links[link_id].ends):
            at = start + stage.pick.uniform(0, REPORTED_WITHIN_S)
            down = LinkDown(link_id=link_id, reason="loss of light")
            stage.later(at, Notified(at=at, node_id=node_id, notification=down))
    before = {one.app_id: one.path for one in live}
    while (event := stage.next(start + 20.0)) is not None:
        began = process_time()
        actions = network.handle(event)
        took = process_time() - began
        run.events += 1
        run.longest_s = max(run.longest_s, took)
        if isinstance(event, Notified) or (isinstance(event, TimerFired) and event.timer_id == "review"):
            run.decided_s += took
        else:
            run.carried_out_s += took
        _check_order(network, actions, run)
        _check_promises(network, actions, run)
        stage.follow(actions)
    _check_end(network, live, run)
    run.moved = sum(1 for one in live if one.app_id in hurt and one.path is not before[one.app_id])
    return run


def _check_order(network: Network, actions: Sequence[Action], run: Run) -> None:
    """Of one event, those that begin to move do so by priority, then the older."""
    began: dict[AppId, Association] = {}
    for action in actions:
        if isinstance(action, Configure) and "/prepare/" in action.step_id:
            for one in action.edit.put_links:
                for app_id in one.applications:
                    began.setdefault(app_id, network.associations[app_id])
    for first, second in pairwise(began.values()):
        if (-first.priority, first.created_at, first.app_id) > (
            -second.priority,
            second.created_at,
            second.app_id,
        ):
            run.faults.append(f"{second.app_id} moved after {first.app_id} of lower priority")


def _check_promises(network: Network, actions: Sequence[Action], run: Run) -> None:
    changed: set[LinkId] = set()
    for action in actions:
        changed |= getattr(action, "link_ids", frozenset())
    for link_id in changed:
        link = network.links[link_id]
        if admission.reserved_bps(link) > admission.usable_bps(link, network.policy):
            run.faults.append(f"link {link_id} promises more than it may")


def _check_end(network: Network, live: Sequence[Association], run: Run) -> None:
    state = network.state
    mesh = Mesh.of(state)
    for one in live:
        if not one.live or one.path is None:
            run.faults.append(f"{one.app_id} is lost")
        elif topology.broken_links(state, one.path):
            run.without += 1
            wish = placement.wish_of(state, placement.as_it_is(one), beside=one.paths)
            if routing.find_route(state, mesh, wish, at=1e10) is not None:
                run.faults.append(f"{one.app_id} has a way and does not take it")
            if not one.reasons:
                run.faults.append(f"{one.app_id} does not say why")
        elif one.state is not AssociationState.ACTIVE:
            run.faults.append(f"{one.app_id} is {one.state}")


def report(runs: Sequence[Run]) -> str:
    """The figures as text."""
    lines = ["seed  fibres  cut  associations  hurt  moved  no way   decided  carried out  longest event"]
    for seed, run in zip(SEEDS, runs, strict=False):
        lines.append(
            f"{seed:4} {run.fibres:7} {run.cut:4} {run.associations:13} {run.hurt:5} {run.moved:6}"
            f" {run.without:7} {run.decided_s:7.2f} s {run.carried_out_s:10.2f} s"
            f" {run.longest_s * 1_000:10.0f} ms"
        )
    total = [run.decided_s + run.carried_out_s for run in runs]
    lines.append(
        f"\ndecided: {quantile([run.decided_s for run in runs], 0.5):.2f} s in the median, all: "
        f"{quantile(total, 0.5):.2f} s"
    )
    faults = [fault for run in runs for fault in run.faults]
    lines.append(
        "no promise beyond a rate, by priority, nobody lost" if not faults else "\n".join(faults[:20])
    )
    return "\n".join(lines) + "\n"


async def measure() -> str:
    """All seeds."""
    return report([storm(seed, freeze=True) for seed in SEEDS])


if __name__ == "__main__":
    seeds = [int(one) for one in sys.argv[1:]] or list(SEEDS)
    sys.stdout.write(report([storm(seed, freeze=True) for seed in seeds]))
