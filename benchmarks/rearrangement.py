"""How much more is carried when others may be moved, hitlessly, and how many moves does that take?

Demand model A (`model_a`), offered load as much as the network can carry of all pairs alike (rho 1). For each
strategy: alone; with moves on demand (`making_room`, at most 4 for one demand); for two of them with the
background optimiser besides, which is given the network every tenth of a mean stay and may move 100
associations. Every move is checked: its new way fits while its old one stands. carried/LP: accepted share of
the rate offered, times the rate offered, by the bound of the linear program, mean and half spread of 5 seeds.
Beside it what chance alone takes: the tightest cut as one link that admits whoever fits (J. S. Kaufman, IEEE
Trans. Commun. 29, 1981; J. W. Roberts, 1981), and no loss elsewhere.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import thread_time

from benchmarks.model_a import Play
from benchmarks.traffic import RATES, Net, concurrent_flow, most_carried, read_net
from keyweave_controller.control import making_room
from keyweave_controller.control.making_room import Held
from keyweave_controller.control.mesh import Way
from keyweave_controller.control.problem import Commodity, PlacementProblem
from keyweave_controller.control.strategies import STRATEGIES
from keyweave_controller.control.ways import Ask
from keyweave_controller.engine.optimiser import solve
from keyweave_core.model.ids import AppId

NETS = ("germany50", "nsfnet14")
SEEDS = (1, 2, 3, 4, 5)
MEASURED = 12.0
MOST_MOVES = 4
PERIOD = 0.1
BUDGET = 100
OPTIMISED_TOO = ("balanced", "steady-price")
ALONE, ON_DEMAND, OPTIMISED = "alone", "moves on demand", "and optimiser"


@dataclass(slots=True)
class Mover:
    """Makes room on demand, and remembers how long that took."""

    found_s: list[float]
    failed_s: list[float]

    def __call__(self, play: Play, ask: Ask) -> Way | None:
        """Move others out of the way, if that helps."""
        on: dict[int, list[Held]] = {}
        for number, placed in play.live.items():
            held = Held(
                key=_key(number),
                ask=placed.ask,
                way=placed.way,
                priority=0,
                preemptible=False,
                movable=True,
                since=0.0,
            )
            for link in placed.way:
                on.setdefault(link, []).append(held)
        began = thread_time()
        room = making_room.make_room(
            play.mesh, play.strategy, ask, lambda link: on.get(link, ()), most_moves=MOST_MOVES
        )
        (self.failed_s if room is None else self.found_s).append(thread_time() - began)
        if room is None:
            return None
        for key, way in room.moves:
            move(play, key, way)
        return room.way


def optimise(play: Play) -> None:
    """Let the optimiser see the network, and do what it says."""
    mesh = play.mesh
    commodities = [
        Commodity(
            app_id=_key(number),
            source=placed.ask.source,
            target=placed.ask.target,
            rate_bps=placed.ask.rate_bps,
            max_hops=placed.ask.max_hops,
            max_latency_us=None,
            closed=frozenset(),
            way=placed.way,
            priority=0,
        )
        for number, placed in play.live.items()
    ]
    problem = PlacementProblem(
        link_ids=tuple(mesh.link_ids),
        a=tuple(mesh.a),
        b=tuple(mesh.b),
        inside=tuple(mesh.inside),
        rooms=tuple(mesh.room),
        usable=tuple(mesh.usable),
        latency_us=tuple(mesh.latency_us),
        commodities=tuple(commodities),
        most_moves=BUDGET,
    )
    for one in solve(problem):
        move(play, one.app_id, tuple(mesh.link_place[link_id] for link_id in one.links))


def move(play: Play, key: AppId, way: Way) -> None:
    """Make before break, or not at all."""
    number = int(key)
    placed = play.live[number]
    fresh = set(way) - set(placed.way)
    assert all(play.mesh.room[link] >= placed.ask.rate_bps for link in fresh), "a move that does not fit"
    play.move(number, way)


def _key(number: int) -> AppId:
    return AppId(f"{number:08}")


async def measure() -> str:
    rows = []
    for name in NETS:
        net = read_net(name)
        rows += [f"{name}, carried/LP (moves for each demand admitted)", _head()]
        mover = Mover([], [])
        for strategy in ("min-hop", "balanced", "exponential", "shadow-price", "steady-price"):
            cells = [
                _cell(net, strategy, None, None),
                _cell(net, strategy, mover, None),
                _cell(net, strategy, mover, optimise) if strategy in OPTIMISED_TOO else "",
            ]
            rows.append(f"  {strategy:14}" + "".join(f"{cell:>24}" for cell in cells))
        rows.append(f"  the tightest cut alone, everything else without loss: {_by_chance(net):.3f}")
        rows.append(f"  search on demand: {_times('found', mover.found_s)}; {_times('none', mover.failed_s)}")
    rows.append("goal with rearrangement: 0.97 on both, with at most 1 move for each demand admitted")
    return "\n".join(rows) + "\n"


def _head() -> str:
    return "  strategy      " + "".join(f"{cell:>24}" for cell in (ALONE, ON_DEMAND, OPTIMISED))


def _cell(net: Net, strategy: str, mover: Mover | None, on_time: Callable[[Play], None] | None) -> str:
    pairs = len(net.sites) * (len(net.sites) - 1)
    total = concurrent_flow(net) * pairs
    bound = most_carried(net, total / pairs)
    shares, moves = [], []
    for seed in SEEDS:
        play = Play(net, STRATEGIES[strategy], on_blocked=mover, on_time=on_time, period=PERIOD)
        result = play.run(total, seed=seed, measured=MEASURED)
        shares.append(result.share * total / bound)
        moves.append(result.moves_a_demand)
    mean, spread = sum(shares) / len(shares), (max(shares) - min(shares)) / 2
    moved = f" ({sum(moves) / len(moves):.2f})" if mover else ""
    return f"{mean:.3f} +-{spread:.3f}{moved}"


def _by_chance(net: Net) -> float:
    """What is carried of everything when only the tightest cut loses, as one link of its capacity."""
    size, pair = len(net.sites), concurrent_flow(net)
    least = min((_grown(net, start) for start in range(size)), key=lambda side: _tightness(net, side))
    crossing = 2 * len(least) * (size - len(least)) * pair
    lost = _lost(_across(net, least), crossing)
    return 1 - lost * crossing / (size * (size - 1) * pair)


def _grown(net: Net, start: int) -> frozenset[int]:
    """The tightest side of a cut on the way, as neighbours join one by one, the best first."""
    side = best = frozenset({start})
    while len(side) < len(net.sites) // 2:
        near = {b if a in side else a for a, b in net.links if (a in side) != (b in side)}
        side = min((side | {site} for site in sorted(near)), key=lambda one: _tightness(net, one))
        best = min(best, side, key=lambda one: _tightness(net, one))
    return best


def _tightness(net: Net, side: frozenset[int]) -> float:
    return _across(net, side) / (len(side) * (len(net.sites) - len(side)))


def _across(net: Net, side: frozenset[int]) -> int:
    return sum(
        units for (a, b), units in zip(net.links, net.capacity, strict=True) if (a in side) != (b in side)
    )


def _lost(capacity: int, offered: float) -> float:
    """Share of the rate that a link loses which is offered demands of `RATES` alike often."""
    each = offered / sum(RATES)
    states = [1.0]
    for held in range(1, capacity + 1):
        states.append(sum(each * rate * states[held - rate] for rate in RATES if rate <= held) / held)
    whole = sum(states)
    return sum(rate * sum(states[capacity - rate + 1 :]) / whole for rate in RATES) / sum(RATES)


def _times(what: str, times: list[float]) -> str:
    ordered = sorted(times)
    if not ordered:
        return f"{what} never"
    mean, late = sum(ordered) / len(ordered), ordered[int(0.99 * (len(ordered) - 1))]
    return f"{what} {len(ordered)} times, mean {mean * 1e3:.2f} ms of processor time, p99 {late * 1e3:.2f} ms"
