"""What goes wrong in a chaos run, and when: networks and schedules of faults drawn from a seed.

Rule of this file: pure values. One seed gives one network and one schedule, so a failure is replayed by its
seed; what timing made of them is not repeatable, and a failure report prints both.
"""

import random
from dataclasses import dataclass
from typing import Literal

FaultKind = Literal["cut", "degrade", "kill", "freeze", "vanish", "open", "lock", "edit"]

SHAPES = ("ring", "tree", "mesh")
FAST, MIDDLE, SLOW = "bb84-t12-1ghz", "bb84-one-decoy", "bb84-gys"

_WEIGHTS: dict[FaultKind, int] = {
    "cut": 6,
    "degrade": 4,
    "kill": 4,
    "freeze": 3,
    "vanish": 3,
    "open": 4,
    "lock": 2,
    "edit": 2,
}
KINDS: tuple[FaultKind, ...] = tuple(_WEIGHTS)
_BANDWIDTHS = (100, 1024, 8192)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault from `at_s` to `until_s` (seconds from the start) at `targets`; `number` is its detail."""

    kind: FaultKind
    at_s: float
    until_s: float
    targets: tuple[str, ...]
    number: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosPlan:
    """A network as topology text, which pairs of applications fetch keys, and the faults in order."""

    seed: int
    topology: str
    nodes: tuple[str, ...]
    fibres: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        lines = [f"seed {self.seed}", self.topology.strip(), f"pairs {self.pairs}"]
        lines += [
            f"{fault.at_s:6.2f}..{fault.until_s:6.2f} {fault.kind} {' '.join(fault.targets)} {fault.number:g}"
            for fault in self.faults
        ]
        return "\n".join(lines)


def draw(
    seed: int, *, lasts_s: float, faults_per_s: float = 0.8, kinds: tuple[FaultKind, ...] = KINDS
) -> ChaosPlan:
    """The plan of a seed: faults of `kinds` begin during `lasts_s` seconds and end within them."""
    dice = random.Random(seed)  # noqa: S311 - repeatable on purpose
    nodes = tuple("ABCDEFGH"[: dice.randint(4, 8)])
    spans = _spans(dice, nodes)
    sites = dice.sample(nodes, k=min(4, len(nodes)))
    applications = tuple(f"sae-{site.lower()}" for site in sites)
    pairs = [(one, other) for one in applications for other in applications if one != other]
    topology = _text(dice, seed, nodes, spans, sites)
    fetching = tuple(dice.sample(pairs, k=dice.randint(2, 4)))
    spare = [pair for pair in pairs if pair not in fetching]
    fibres = tuple(f"{a}~{b}" for a, b in spans)
    faults = tuple(
        sorted(
            (
                _fault(
                    dice,
                    dice.choices(kinds, [_WEIGHTS[kind] for kind in kinds])[0],
                    lasts_s,
                    nodes,
                    fibres,
                    spare,
                )
                for _ in range(round(lasts_s * faults_per_s))
            ),
            key=lambda fault: fault.at_s,
        )
    )
    return ChaosPlan(seed=seed, topology=topology, nodes=nodes, fibres=fibres, pairs=fetching, faults=faults)


def _spans(dice: random.Random, nodes: tuple[str, ...]) -> list[tuple[str, str]]:
    shape = dice.choice(SHAPES)
    count = len(nodes)
    if shape == "ring":
        spans = {(nodes[index], nodes[(index + 1) % count]) for index in range(count)}
    else:
        spans = {(nodes[dice.randrange(index)], nodes[index]) for index in range(1, count)}
    if shape == "mesh":
        for _ in range(count - 1):
            a, b = sorted(dice.sample(nodes, k=2))
            spans.add((a, b))
    return sorted(spans)


def _text(
    dice: random.Random, seed: int, nodes: tuple[str, ...], spans: list[tuple[str, str]], sites: list[str]
) -> str:
    lines = [f"name: chaos-{seed}", "source: drawn from a seed"]
    lines.append(f"nodes: [{', '.join(f'{{name: {node}}}' for node in nodes)}]")
    lines.append("links:")
    for a, b in spans:
        profile = dice.choices((FAST, MIDDLE, SLOW), (7, 2, 1))[0]
        length_km = dice.choice((5, 10, 20, 40)) if profile == FAST else dice.choice((2, 5, 10))
        if profile == SLOW:
            length_km = dice.choice((30, 50))  # hundreds of bit/s
        lines.append(f"  - {{a: {a}, b: {b}, length_km: {length_km}, profile: {profile}}}")
    lines.append("applications:")
    lines += [
        f"  - {{sae_id: sae-{site.lower()}, node: {site}, min_bandwidth_bps: {dice.choice(_BANDWIDTHS)},"
        f" priority: {dice.randint(0, 3)}}}"
        for site in sites
    ]
    return "\n".join(lines) + "\n"


def _fault(
    dice: random.Random,
    kind: FaultKind,
    lasts_s: float,
    nodes: tuple[str, ...],
    fibres: tuple[str, ...],
    spare: list[tuple[str, str]],
) -> Fault:
    at_s = dice.uniform(0.5, lasts_s)
    until_s = min(lasts_s + 1.0, at_s + dice.choice((0.05, 0.5, 1.5, 4.0, 8.0)))
    number = 0.0
    targets: tuple[str, ...]
    match kind:
        case "cut":
            targets = tuple(dice.sample(fibres, k=min(len(fibres), dice.choice((1, 1, 2, 3)))))
        case "degrade":
            targets = (dice.choice(fibres),)
            number = dice.choice((0.5, 3.0, 10.0, 30.0, -0.02, -0.3))  # dB of loss; below 0: excess noise
        case "kill" | "freeze":
            targets = (dice.choice((*nodes, *nodes, "controller")),)
            if targets == ("controller",) and kind == "kill" and dice.random() < 0.5:
                number = 1.0  # in the middle of a path set-up
        case "vanish" | "open":
            targets = dice.choice(spare)
            number = float(dice.randint(0, 1))
        case "lock":
            targets = (dice.choice(nodes), dice.choice(("running", "candidate")))
        case "edit":
            targets = (dice.choice(nodes), dice.choice(("link", "application", "stranger", "half")))
    return Fault(kind=kind, at_s=at_s, until_s=until_s, targets=targets, number=number)
