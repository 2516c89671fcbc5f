"""The optical layer at work in a rehearsed network: light that is wished, channels that move, new plants."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.controller.control.optical.plants import bright, module, square
from tests.controller.control.plays import ask, live_one

from keyweave_controller.control import facts, plant_links
from keyweave_controller.control.actions import Answer, Configure
from keyweave_controller.control.configuration import LinkFacts, Policy
from keyweave_controller.control.events import (
    ClassicalWished,
    ClassicalWithdrawn,
    ControllerStarted,
    InventoryNode,
    PlantConfigured,
)
from keyweave_controller.control.network import Network
from keyweave_controller.control.optical.compute import compute_channels
from keyweave_controller.control.optical.equipment import ClassicalChannel, QuantumChannel
from keyweave_controller.control.optical.plant import Plant
from keyweave_controller.control.optical.review import review
from keyweave_controller.control.optical.wishes import ChannelWish
from keyweave_controller.control.state import AssociationState
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate, simulated_id, simulated_link_id
from keyweave_controller.management.alarms import AlarmType
from keyweave_core.model.link import Role

AB, BC, AC = (simulated_link_id(a, b) for a, b in (("A", "B"), ("B", "C"), ("A", "C")))
NODE_A, NODE_B = simulated_id("A"), simulated_id("B")


def plant_of(*, wavelengths: str = "30-36", channel: int = 34) -> Plant:
    """A-B over fibre AB and A-C over AB, BC, each between modules of their own."""
    plant = square()
    modules = (
        module("A", 1, role=Role.TRANSMITTER, wavelengths=wavelengths),
        module("B", 1, role=Role.RECEIVER, wavelengths=wavelengths),
        module("A", 2, role=Role.TRANSMITTER, wavelengths=wavelengths),
        module("C", 2, role=Role.RECEIVER, wavelengths=wavelengths),
    )
    ref = {(one.site, one.interface_id): one.ref for one in modules}
    channels = (
        QuantumChannel(
            link="A-B", transmitter=ref["A", 1], receiver=ref["B", 1], fibres=("AB",), channel=channel
        ),
        QuantumChannel(
            link="C-A", transmitter=ref["A", 2], receiver=ref["C", 2], fibres=("AB", "BC"), channel=36
        ),
    )
    return replace(plant, modules=modules, channels=channels)


@pytest.fixture
def show() -> Rehearsal:
    return rehearsed()


def rehearsed() -> Rehearsal:
    """A triangle; its modules are on the channels of `plant_of`."""
    spans = [
        Span(a="A", b="B", skr_bps=1_000_000, wavelength=34),
        Span(a="A", b="C", skr_bps=1_000_000, wavelength=36),
        Span(a="B", b="C", skr_bps=1_000_000, wavelength=30),
    ]
    sites = {site: (f"sae:{site}",) for site in "ABC"}
    show = Rehearsal(nodes=simulate(spans, sites))
    show.start(Policy(optimise_every_s=0.0))
    return show


def configure(show: Rehearsal, plant: Plant | None) -> Answer:
    request_id = f"plant {len(show.events)}"
    show.feed(PlantConfigured(at=show.now, request_id=request_id, plant=plant))
    show.settle()
    return show.answers()[request_id]


def wish(show: Rehearsal, light: ClassicalChannel, *, settle: bool = True) -> str:
    request_id = f"light {len(show.events)}"
    show.feed(ClassicalWished(at=show.now, request_id=request_id, channel=light))
    if settle:
        show.settle()
    return request_id


def answer_to(show: Rehearsal, light: ClassicalChannel) -> Answer:
    request_id = wish(show, light)
    return show.answers()[request_id]


def wavelengths(show: Rehearsal, link_id: str) -> list[int | None]:
    """What the ends of a link hold."""
    return [
        link.physical.wavelength
        for node in show.nodes.values()
        for link in node.fixed.links
        if link.link_id == link_id and link.physical
    ]


def alarms(show: Rehearsal) -> list[tuple[str, str]]:
    return [(one.type, one.resource) for one in show.management.alarms()]


def channel_of(show: Rehearsal, link: str) -> int:
    plant = show.network.state.plant
    assert plant is not None
    return next(one.channel for one in plant.channels if one.link == link)


def test_routing_takes_the_shared_risks_of_a_plant_at_once(show: Rehearsal) -> None:
    assert not configure(show, plant_of()).reasons
    state = show.network.state
    assert facts.of_link(state, state.links[AB]).risk_groups == {"duct-AB"}
    assert facts.of_link(state, state.links[AC]).risk_groups == {"duct-AB", "duct-BC"}
    assert facts.of_link(state, state.links[BC]).risk_groups == set()
    assert not configure(show, None).reasons
    assert facts.of_link(state, state.links[AB]).risk_groups == set()


def test_facts_of_the_settings_go_first_and_shared_risks_add_up(show: Rehearsal) -> None:
    configure(show, plant_of())
    told = LinkFacts(link="B-A", risk_groups=("bridge",), latency_ms=7.0)
    show.network.state.link_facts = {"B-A": told}
    known = facts.of_link(show.network.state, show.network.links[AB])
    assert known.risk_groups == {"bridge", "duct-AB"}
    assert known.latency_us == 7_000
    assert known.windows is None


def test_what_links_promise_is_asked_of_their_channels(show: Rehearsal) -> None:
    configure(show, plant_of())
    ask(show, "A", "B", rate_bps=90_000, priority=3)
    (ab, ac) = plant_links.demands(show.network.state)
    reserved = sum(show.network.links[AB].reserved_bps.values())
    assert (ab.link, ab.priority) == ("A-B", 3)
    assert ab.skr_bps * 0.9 == pytest.approx(reserved, abs=1)
    assert (ac.link, ac.skr_bps, ac.priority) == ("C-A", 0, 0)


def test_light_that_hurts_nobody_is_on_at_once(show: Rehearsal) -> None:
    configure(show, plant_of())
    answer = answer_to(show, bright("x", "A", "DA"))
    assert not answer.reasons
    assert [one.name for one in show.network.state.plant.classical] == ["x"]
    assert not [one for one in show.actions if isinstance(one, Configure)]


def test_light_on_a_channel_that_is_taken_has_it_retuned_receiver_first(show: Rehearsal) -> None:
    configure(show, plant_of())
    request_id = wish(show, bright("x", "A", "AB", channel=34, dbm=-30), settle=False)
    assert request_id not in show.answers()  # nobody is told before the channel has moved
    show.work(NODE_B)
    assert sorted(one or 0 for one in wavelengths(show, AB)) == [34, 35]
    show.settle()
    assert not show.answers()[request_id].reasons
    assert wavelengths(show, AB) == [35, 35]
    assert channel_of(show, "A-B") == 35
    written = [one.node_id for one in show.actions if isinstance(one, Configure)]
    assert written == [NODE_B, NODE_A]
    # The same request again gets the same answer and moves nothing.
    show.feed(ClassicalWished(at=show.now, request_id=request_id, channel=bright("x", "A", "AB", channel=34)))
    show.settle()
    assert wavelengths(show, AB) == [35, 35]


def test_an_agent_that_refuses_has_everything_taken_back(show: Rehearsal) -> None:
    configure(show, plant_of())
    show.nodes[NODE_A].refusal = "out of my range"
    request_id = wish(show, bright("x", "A", "AB", channel=34, dbm=-30))
    reasons = show.answers()[request_id].reasons
    assert reasons == ("link A-B could not move: node A refused: out of my range",)
    assert wavelengths(show, AB) == [34, 34]
    assert channel_of(show, "A-B") == 34
    assert show.network.state.plant.classical == ()
    assert show.network.state.retuning is None


def test_an_agent_that_cannot_be_reached_is_asked_again_and_then_taken_back(show: Rehearsal) -> None:
    configure(show, plant_of())
    request_id = wish(show, bright("x", "A", "AB", channel=34, dbm=-30), settle=False)
    show.nodes[NODE_A].reachable = False
    show.settle()
    assert "try again" in answer_to(show, bright("y", "A", "DA")).reasons[0]
    show.advance(120.0)
    assert "node A could not be reached" in show.answers()[request_id].reasons[0]
    assert wavelengths(show, AB) == [34, 34]
    # One that is known to be away is not even begun.
    show.disconnect(NODE_A)
    again = answer_to(show, bright("x", "A", "AB", channel=34, dbm=-30))
    assert again.reasons == ("link A-B has to move, and node A cannot be reached",)


def test_light_that_would_bring_a_link_down_is_refused_with_the_level_that_would_do(show: Rehearsal) -> None:
    configure(show, plant_of())
    ask(show, "A", "B", rate_bps=600_000)
    answer = answer_to(show, bright("x", "A", "AB", "BC", dbm=20))
    assert "classical channel x" in answer.reasons[0]
    (offered,) = answer.alternatives
    most_dbm = float(offered.note.split()[1])
    assert not answer_to(show, bright("x", "A", "AB", "BC", dbm=most_dbm)).reasons
    assert answer_to(show, bright("x", "A", "AB", "BC", dbm=most_dbm + 0.2)).reasons


def test_light_is_withdrawn_by_name(show: Rehearsal) -> None:
    def withdraw(name: str) -> Answer:
        request_id = f"off {len(show.events)}"
        show.feed(ClassicalWithdrawn(at=show.now, request_id=request_id, name=name))
        return show.answers()[request_id]

    assert withdraw("x").reasons == ("no fibre plant is configured",)
    configure(show, plant_of())
    wish(show, bright("x", "A", "DA"))
    assert "no classical channel 'y'" in withdraw("y").reasons[0]
    assert not withdraw("x").reasons
    assert show.network.state.plant.classical == ()


def test_a_wish_that_the_plant_cannot_hold_is_refused_by_name(show: Rehearsal) -> None:
    configure(show, plant_of())
    answer = answer_to(show, bright("x", "A", "BC"))
    assert answer.reasons == ("classical 'x': fibres: 'BC' does not begin at A",)


def test_a_channel_that_falls_below_its_demand_raises_an_alarm_until_the_light_is_gone(
    show: Rehearsal,
) -> None:
    lit = replace(plant_of(), classical=(bright("loud", "A", "AB", "BC", dbm=25),))
    configure(show, lit)
    assert (AlarmType.CHANNEL_BELOW_DEMAND, f"link:{AB}") in alarms(show)
    assert show.network.links[AB].status == "ACTIVE"  # the plant warns; what the agents measure decides
    configure(show, plant_of())
    assert not alarms(show)


def test_a_channel_of_a_new_plant_that_has_to_move_moves_by_itself(show: Rehearsal) -> None:
    taken = replace(plant_of(), classical=(bright("x", "A", "AB", channel=34, dbm=-30),))
    assert not configure(show, taken).reasons
    assert wavelengths(show, AB) == [35, 35]
    assert channel_of(show, "A-B") == 35


def test_demand_that_grows_has_a_channel_move_when_it_is_looked_at_again(show: Rehearsal) -> None:
    """Beside loud light the far wavelength makes more key than the near one."""
    plant = plant_of(channel=30)
    plant = replace(
        plant,
        classical=(bright("loud", "A", "AB", channel=28, dbm=10),),
        channels=(replace(plant.channels[0], calibration=0.2), plant.channels[1]),
    )
    configure(show, plant)
    for node_id in (NODE_A, NODE_B):
        show.connect(node_id)
    show.advance(61.0)
    assert channel_of(show, "A-B") == 30
    state = show.network.state
    (now, _) = review(plant, plant.channels, ())
    best, _ = compute_channels(plant, ChannelWish(a="A", b="B", link="A-B", calibration=0.2))
    assert best[0].figures.skr_bps > now.now.figures.skr_bps
    between = (best[0].figures.skr_bps + now.now.figures.skr_bps) / 2
    ask(show, "A", "B", rate_bps=int(between * 0.9 * 0.99))
    (asked, _) = plant_links.demands(state)
    assert now.now.figures.skr_bps < asked.skr_bps <= best[0].figures.skr_bps
    show.advance(61.0)
    assert channel_of(show, "A-B") == best[0].channel
    assert wavelengths(show, AB) == [best[0].channel] * 2


def test_a_move_to_other_fibres_is_no_disagreement_about_the_loss(show: Rehearsal) -> None:
    """Over the longer way the light loses 6 dB more; one end is read long before the other."""
    plant = plant_of()
    configure(show, plant)
    dark = replace(plant, fibres=tuple(replace(one, in_service=one.name != "BC") for one in plant.fibres))
    assert not configure(show, dark).reasons
    assert show.network.state.plant is not None
    (moved,) = (one for one in show.network.state.plant.channels if one.link == "C-A")
    assert moved.fibres == ("DA", "CD")
    show.connect(NODE_A)
    link = show.network.links[AC]
    assert not link.faults
    assert {end.loss_db for end in link.ends.values()} == {9.0}
    assert facts.of_link(show.network.state, link).risk_groups == {"duct-DA", "duct-CD"}


def test_ends_that_are_on_another_channel_than_the_plant_says_are_told_when_read(show: Rehearsal) -> None:
    configure(show, plant_of(channel=33))
    assert wavelengths(show, AB) == [34, 34]
    for node_id in (NODE_A, NODE_B):
        show.connect(node_id)
    show.settle()
    assert wavelengths(show, AB) == [33, 33]
    steps = len([one for one in show.actions if isinstance(one, Configure)])
    show.connect(NODE_A)
    show.settle()
    assert len([one for one in show.actions if isinstance(one, Configure)]) == steps


def test_two_links_between_the_same_sites_are_told_apart_by_their_ids(show: Rehearsal) -> None:
    spans = [Span(a="A", b="B", wavelength=34), Span(a="A", b="C", wavelength=36)]
    nodes = simulate(spans, {})
    twin = "11111111-2222-4333-8444-555555555555"
    for node in nodes.values():
        first = next((link for link in node.fixed.links if link.link_id == AB), None)
        if first is not None:
            node.fixed = replace(node.fixed, links=(*node.fixed.links, replace(first, link_id=twin)))
    show = Rehearsal(nodes=nodes)
    show.start()
    configure(show, plant_of(channel=33))
    for node_id in nodes:
        show.connect(node_id)
    show.settle()
    assert wavelengths(show, AB) == wavelengths(show, twin) == [34, 34]  # nobody knows which is meant
    plant = plant_of(channel=33)
    by_id = replace(plant, channels=(replace(plant.channels[0], link=twin), plant.channels[1]))
    configure(show, by_id)
    for node_id in nodes:
        show.connect(node_id)
    show.settle()
    assert (wavelengths(show, AB), wavelengths(show, twin)) == ([34, 34], [33, 33])


def test_a_node_that_refuses_the_channel_of_the_plant_is_left_alone_for_a_while(show: Rehearsal) -> None:
    configure(show, plant_of(channel=33))
    show.nodes[NODE_A].refusal = "out of my range"
    show.connect(NODE_A)
    show.settle()
    asked = len([one for one in show.actions if isinstance(one, Configure)])
    show.connect(NODE_A)
    show.settle()
    assert len([one for one in show.actions if isinstance(one, Configure)]) == asked


def start(show: Rehearsal, plant: Plant | None) -> None:
    inventory = tuple(InventoryNode(name=node.name) for node in show.nodes.values())
    show.feed(ControllerStarted(at=show.now, policy=show.network.policy, inventory=inventory, plant=plant))


def test_the_plant_of_the_settings_counts_until_another_is_configured(show: Rehearsal) -> None:
    start(show, plant_of())
    assert show.network.state.plant == plant_of()
    other = plant_of(channel=33)
    configure(show, other)
    start(show, plant_of())
    assert show.network.state.plant == other
    configure(show, None)
    assert show.network.state.plant == plant_of()
    start(show, None)
    assert show.network.state.plant is None


def test_what_was_granted_outlives_a_restart(show: Rehearsal) -> None:
    start(show, plant_of())
    for node_id in show.nodes:
        show.connect(node_id)
    wish(show, bright("x", "A", "AB", channel=34, dbm=-30))
    plain = json.loads(json.dumps(show.network.to_snapshot()))
    show.network = Network.from_snapshot(plain)
    start(show, plant_of())
    assert channel_of(show, "A-B") == 35
    assert [one.name for one in show.network.state.plant.classical] == ["x"]


def test_a_restart_in_the_middle_of_a_move_ends_it(show: Rehearsal) -> None:
    configure(show, plant_of())
    request_id = wish(show, bright("x", "A", "AB", channel=34, dbm=-30), settle=False)
    show.work(NODE_B)
    plain = json.loads(json.dumps(show.network.to_snapshot()))
    show.network, show.waiting = Network.from_snapshot(plain), {}
    start(show, None)
    for node_id in show.nodes:
        show.connect(node_id)
    show.advance(10.0)
    assert not show.answers()[request_id].reasons
    assert wavelengths(show, AB) == [35, 35]


def test_associations_stay_where_they_are_while_their_link_is_retuned(show: Rehearsal) -> None:
    configure(show, plant_of())
    ask(show, "A", "B", rate_bps=50_000)
    one = live_one(show)
    path = one.path
    wish(show, bright("x", "A", "AB", channel=34, dbm=-30), settle=False)
    assert show.network.links[AB].resting
    show.settle()
    assert (one.state, one.path) == (AssociationState.ACTIVE, path)
    show.advance(11.0)
    assert not show.network.links[AB].resting


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("AB", "BC", "DA", "CD")),
            st.integers(30, 36),
            st.sampled_from(("", "A", "B", "C")),
            st.booleans(),
        ),
        max_size=8,
    )
)
def test_whatever_is_wished_and_refused_both_ends_are_on_the_channel_of_the_plant(
    wishes: list[tuple[str, int, str, bool]],
) -> None:
    show = rehearsed()
    configure(show, plant_of())
    for place, (fibre, channel, refuses, away) in enumerate(wishes):
        for node in show.nodes.values():
            node.refusal = "no" if node.name == refuses and not away else ""
            node.reachable = not (node.name == refuses and away)
        wish(show, bright(f"light {place}", fibre[0], fibre, channel=channel, dbm=-40))
        show.advance(30.0)
        for node_id, node in show.nodes.items():
            node.refusal = ""
            show.connect(node_id)
        show.advance(700.0)
        for node_id in show.nodes:
            show.connect(node_id)
        show.settle()
        assert show.network.state.retuning is None
        assert wavelengths(show, AB) == [channel_of(show, "A-B")] * 2
        assert wavelengths(show, AC) == [channel_of(show, "C-A")] * 2
        assert not show.network.state.plant_faults
