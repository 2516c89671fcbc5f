"""The rerouting that was shown in Vienna in 2008: a demand of 8,192 bit/s lives on stored key, way after way.

M. Peev et al., The SECOQC quantum key distribution network in Vienna, New Journal of Physics 11:075001
(2009): FOR wants 8,192 bit/s with BRT, about what the best link of the ring makes at all. The stores of the
links are given, none may fall below 2 MiB, and the ways change at about 60 and 144 minutes; at 175 there is
none left.

What the links made meanwhile is not printed. These rates come to the printed times: ERD-BRT, ERD-GUD and
BRT-GUD made nothing (what they held above the floor, divided by the demand, is how long they served), SIE-BRT
about half of its average of 3.1 kbit/s, SIE-ERD its average of 2.5 kbit/s, and the free-space link ERD-FOR,
which every way needs, all but nothing. A store holds no more than it did at the start.
"""

import pytest

from keyweave_controller.control.events import AssociationRequested, LinkMeasure, LinksMeasured
from keyweave_controller.control.service import Constraints, Service, ServiceClass
from keyweave_controller.control.state import AssociationState
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate, simulated_id, simulated_link_id
from keyweave_core.model.application import AppQos
from keyweave_core.model.link import KeyPool, LinkPerformance

MIB = 8 * 1024 * 1024
FLOOR = 2 * MIB
DEMAND_BPS = 8_192
STEP_S = 30.0

LINKS = {
    ("ERD", "FOR"): (12.0, 180),
    ("ERD", "BRT"): (5.5, 0),
    ("SIE", "ERD"): (6.6, 2_500),
    ("SIE", "BRT"): (6.0, 1_535),
    ("ERD", "GUD"): (3.8, 0),
    ("BRT", "GUD"): (4.9, 0),
}
"""Store at the start, MiB, and bit/s made during the test."""


class Vienna:
    def __init__(self) -> None:
        spans = [Span(a=a, b=b, skr_bps=max(1, rate)) for (a, b), (_, rate) in LINKS.items()]
        self.show = Rehearsal(nodes=simulate(spans, {"FOR": ("sae:for",), "BRT": ("sae:brt",)}))
        self.show.start()
        self.began = self.show.now
        self.stored = {pair: mib * MIB for pair, (mib, _) in LINKS.items()}
        self.journaled = 0
        self.tell()

    def tell(self) -> None:
        """Every node tells its levels; what is light is only shown, as the engine does it."""
        for site in sorted({site for pair in LINKS for site in pair}):
            measures = tuple(
                LinkMeasure(
                    link_id=simulated_link_id(*pair),
                    performance=LinkPerformance(skr_bps=max(1, LINKS[pair][1])),
                    pool=KeyPool(stored_bits=int(self.stored[pair]), capacity_bits=16 * MIB),
                )
                for pair in LINKS
                if site in pair
            )
            event = LinksMeasured(at=self.show.now, node_id=simulated_id(site), links=measures)
            weighed = self.show.network.weighed(event)
            assert isinstance(weighed, LinksMeasured)
            if self.show.network.is_light(weighed):
                self.show.network.show(weighed)
            else:
                self.show.feed(weighed)
                self.journaled += 1
        self.show.settle()

    def live(self, used: tuple[str, ...]) -> None:
        """A step of time: the demand is drawn from the links that it uses, all make what they make."""
        for pair, (mib, rate) in LINKS.items():
            drawn = DEMAND_BPS if simulated_link_id(*pair) in used else 0
            level = self.stored[pair] + (rate - drawn) * STEP_S
            self.stored[pair] = min(mib * MIB, max(0.0, level))
        self.show.advance(STEP_S)
        self.tell()


@pytest.mark.parametrize("strategy", ["min-hop", "exponential-store"])
def test_ways_change_before_a_store_falls_below_the_floor(strategy: str) -> None:
    vienna = Vienna()
    show = vienna.show
    show.feed(
        AssociationRequested(
            at=show.now,
            request_id="r",
            source="sae:for",
            destination="sae:brt",
            qos=AppQos(min_bandwidth_bps=DEMAND_BPS),
            service=Service(
                service_class=ServiceClass.BEST_EFFORT,  # no link makes as much: it lives on what is stored
                strategy=strategy,
                constraints=Constraints(min_stored_bits=FLOOR),
            ),
        )
    )
    show.settle()
    (one,) = show.network.associations.values()
    names = show.network.state.node_name
    ways: list[tuple[str, float]] = []
    for _ in range(int(200 * 60 / STEP_S)):
        way = "none" if one.reasons else "-".join(names(node) for node in one.path.nodes)
        if not ways or ways[-1][0] != way:
            ways.append((way, (show.now - vienna.began) / 60))
        if way == "none":
            break
        vienna.live(one.path.links)
    assert [way for way, _ in ways] == ["FOR-ERD-BRT", "FOR-ERD-SIE-BRT", "FOR-ERD-GUD-BRT", "none"]
    assert [minutes for _, minutes in ways] == pytest.approx([0, 60, 144, 175], abs=1.0)
    assert one.state is AssociationState.ACTIVE
    assert one.reasons[0].startswith("link FOR-ERD has ")
    assert vienna.journaled < 60  # of 400 times 5 reports
