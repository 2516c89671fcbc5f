"""How many demands does the deciding code decide a second, and how long does the slowest percent take?

The state machine alone: `Network.handle(AssociationRequested)` with everything it returns (the answer or the
edits of every node of the path), no journal and no agents. Germany50 and a drawn network of 1,000 nodes,
loaded first; then demands come and go at that load, the agents' answers are fed back, and each decision is
timed by itself in processor time. `calm`: every link has room. `full`: links hold so little that some demands
are refused; before they are, the search for hitless moves and for a place of lower priority has been made.
"""

import gc
import random
from dataclasses import dataclass, field
from time import thread_time

import networkx as nx

from benchmarks.disjoint import drawn
from benchmarks.figures import quantile
from benchmarks.traffic import read_net
from keyweave_controller.control.actions import Action, Answer, Configure
from keyweave_controller.control.configuration import Policy
from keyweave_controller.control.events import AssociationClosed, AssociationRequested, StepSucceeded
from keyweave_controller.control.network import Network
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate
from keyweave_core.model.application import AppQos
from keyweave_core.model.ids import AppId

SEEDS = (1, 2, 3, 4, 5)
UNIT_BPS = 1_000
RATES = (1, 2, 4)
POLICY = Policy(max_relay_hops=64, share_spare_rate=False)


async def measure() -> str:
    real = read_net("germany50")
    names = [str(site) for site in real.sites]
    germany = [(names[a], names[b]) for a, b in real.links]
    rows = ["decisions a second of processor time, and p50 / p99 / worst of one in microseconds"]
    for title, spans, live, demands, room, seeds in (
        ("Germany50, calm", germany, 900, 1_000, 50.0, SEEDS),
        ("Germany50, full", germany, 900, 500, 1.0, SEEDS),
        ("1,000 nodes, calm", _thousand(), 1_000, 150, 50.0, SEEDS[:2]),
    ):
        rows.append(_row(title, [_play(spans, live, demands, room, seed) for seed in seeds]))
    rows.append("goal: Germany50 5,000 a second and p99 1,000 us; 1,000 nodes 1,000 a second")
    return "\n".join(rows) + "\n"


@dataclass(slots=True)
class Played:
    """What one run saw. Times in seconds; `life_s` is everything from a request to the end of its
    association.
    """

    decided_s: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)
    life_s: float = 0.0


def _row(title: str, played: list[Played]) -> str:
    times = [one for run in played for one in run.decided_s]
    refused = [one for run in played for one in run.refused_s]
    rates = [len(run.decided_s) / sum(run.decided_s) for run in played]
    low, middle, high = (f"{1e6 * quantile(times, share):,.0f}" for share in (0.5, 0.99, 1.0))
    text = f"{title}: {sum(rates) / len(rates):,.0f} a second ({min(rates):,.0f} to {max(rates):,.0f});"
    text += f" {low} / {middle} / {high} us; {100 * len(refused) / len(times):.1f} % refused"
    if refused:
        text += f" (p50 {1e6 * quantile(refused, 0.5):,.0f} us, p99 {1e6 * quantile(refused, 0.99):,.0f} us)"
    lives = sum(len(run.decided_s) for run in played) / sum(run.life_s for run in played)
    return text + f"; {lives:,.0f} whole lives a second"


def _thousand() -> list[tuple[str, str]]:
    """The largest connected part of a drawn network of a little more than 1,000 nodes."""
    graph = nx.Graph(drawn(1_000, SEEDS[0]).links)
    whole = max(nx.connected_components(graph), key=len)
    return [(f"n{a}", f"n{b}") for a, b in graph.subgraph(whole).edges]


def _play(spans: list[tuple[str, str]], live: int, demands: int, room: float, seed: int) -> Played:
    pick = random.Random(seed)  # noqa: S311 - drawn demands, no secrets
    sites = sorted({site for span in spans for site in span})
    # A demand takes about as many links as the network is wide: so much is held by `live` of them.
    wide = 4.5 if len(sites) < 100 else 16.0
    mean_bps = live * wide * UNIT_BPS * sum(RATES) / len(RATES) / len(spans)
    links = [Span(a=a, b=b, skr_bps=int(1.6 * room * mean_bps)) for a, b in spans]
    each = max(4, 4 * live // len(sites))
    show = Rehearsal(
        nodes=simulate(links, {site: tuple(f"{site}:{n}" for n in range(each)) for site in sites})
    )
    show.start(POLICY)
    network, now = show.network, show.now
    consumers = sorted(network.consumers)
    played, opened, asked = Played(), list[AppId](), 0
    gc.collect()
    gc.freeze()
    while len(played.decided_s) < demands:
        now += 0.01
        asked += 1
        source, destination = pick.sample(consumers, 2)
        wish = AssociationRequested(
            at=now,
            request_id=f"r{asked}",
            source=source,
            destination=destination,
            qos=AppQos(min_bandwidth_bps=UNIT_BPS * pick.choice(RATES)),
            priority=pick.randrange(3),
        )
        loaded, began = asked > live, thread_time()
        actions = network.handle(wish)
        took = thread_time() - began
        answers = _obey(network, actions, now)
        opened += [one.app_id for one in answers if one.app_id is not None]
        if loaded:
            played.decided_s.append(took)
            played.refused_s += [took for one in answers if one.reasons]
        while len(opened) > live:
            app_id = opened.pop(pick.randrange(len(opened)))
            closing = AssociationClosed(at=now, request_id=f"c{asked}", app_id=app_id)
            _obey(network, network.handle(closing), now)
        if loaded:
            played.life_s += thread_time() - began
    gc.unfreeze()
    return played


def _obey(network: Network, actions: list[Action], now: float) -> list[Answer]:
    """Every node does at once what it is told; the answers on the way."""
    waiting, answers = list(actions), []
    while waiting:
        action = waiting.pop()
        if isinstance(action, Configure):
            waiting += network.handle(StepSucceeded(at=now, step_id=action.step_id))
        elif isinstance(action, Answer):
            answers.append(action)
    return answers
