"""What holds for every plant: bounds, wavelengths, noise, moves."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.controller.control.optical.plants import classical_on, plants

from keyweave_controller.control.optical.compute import compute_channels
from keyweave_controller.control.optical.equipment import Module, ModuleRef, QuantumChannel
from keyweave_controller.control.optical.grid import channels_in, clash
from keyweave_controller.control.optical.plant import Plant, risk_groups
from keyweave_controller.control.optical.review import SkrDemand, Verdict, permit, review
from keyweave_controller.control.optical.wishes import ChannelWish

demands_bps = st.sampled_from((0, 1000, 200_000, 2_000_000))


def filled(plant: Plant, demand_bps: int) -> Plant:
    """The plant with as many links as find a place, one after the other."""
    for a in plant.sites:
        for b in plant.sites:
            if a < b:
                found, _ = compute_channels(plant, ChannelWish(a=a, b=b, demand_bps=demand_bps, number=1))
                if found:
                    channel = found[0].as_channel(f"{a}-{b}")
                    plant = replace(plant, channels=(*plant.channels, channel))
    return plant


def best_bps(plant: Plant, wish: ChannelWish) -> int:
    found, _ = compute_channels(plant, wish)
    return found[0].figures.skr_bps if found else 0


def clashes(plant: Plant) -> list[tuple[str, str]]:
    return [
        (one.link, other.link)
        for one in plant.channels
        for other in plant.channels
        if one.link < other.link and set(one.fibres) & set(other.fibres) and clash(one.channel, other.channel)
    ]


def modules_of(plant: Plant) -> dict[ModuleRef, Module]:
    return {module.ref: module for module in plant.modules}


@given(plants(), demands_bps, st.integers(1, 5), st.integers(1, 3))
def test_candidates_keep_every_bound(plant: Plant, demand_bps: int, number: int, routes: int) -> None:
    plant = filled(plant, demand_bps)
    modules = modules_of(plant)
    busy = {ref for channel in plant.channels for ref in (channel.transmitter, channel.receiver)}
    wish = ChannelWish(a="A", b="C", demand_bps=demand_bps, number=number, routes=routes)
    found, reasons = compute_channels(plant, wish)
    assert (len(found) > 0) != (len(reasons) > 0)
    assert len(found) <= number
    assert [one.figures.skr_bps for one in found] == sorted((o.figures.skr_bps for o in found), reverse=True)
    for one in found:
        ends = (modules[one.transmitter], modules[one.receiver])
        assert one.figures.skr_bps >= max(1, demand_bps)
        assert not busy & {one.transmitter, one.receiver}
        for module in ends:
            assert one.loss_db <= module.max_absorption_db
            assert one.channel in channels_in(module.wavelength_range)
        there = [(each.fibres, each.channel) for each in plant.channels]
        there += [(each.fibres, each.channel) for each in plant.classical]
        for fibres, channel in there:
            assert not (set(fibres) & set(one.fibres) and clash(one.channel, channel))
        assert all(fibre.in_service for fibre in plant.fibres if fibre.name in one.fibres)
        assert (one.loudest != "") == (one.noise_w_per_nm > 0)
        made = replace(plant, channels=(*plant.channels, one.as_channel("new")))  # it fits the plant
        assert risk_groups(made, "new") == one.ducts


@given(plants())
def test_links_that_find_a_place_never_share_a_wavelength(plant: Plant) -> None:
    assert clashes(filled(plant, 0)) == []


@given(plants(), st.data())
def test_more_classical_light_never_gives_more_key(plant: Plant, data: st.DataObject) -> None:
    """Over all routes: the answer for every candidate only falls, so the best one does."""
    more = data.draw(classical_on(plant, "more"))
    wish = ChannelWish(a="A", b="C", routes=20, number=1)
    if more is not None:
        lit = replace(plant, classical=(*plant.classical, more))
        assert best_bps(lit, wish) <= best_bps(plant, wish)


@given(plants(), st.data())
def test_louder_light_never_gives_more_key(plant: Plant, data: st.DataObject) -> None:
    louder_db = data.draw(st.floats(0, 20))
    louder = replace(
        plant,
        classical=tuple(
            replace(one, launch_dbm=min(30.0, one.launch_dbm + louder_db)) for one in plant.classical
        ),
    )
    wish = ChannelWish(a="A", b="B", routes=20, number=1)
    assert best_bps(louder, wish) <= best_bps(plant, wish)


@given(plants(dark=True), st.data())
def test_more_loss_never_gives_more_key_in_the_dark(plant: Plant, data: st.DataObject) -> None:
    """Only in the dark: loss before the receiver also weakens light that comes from behind it."""
    extra_db = data.draw(st.floats(0, 10))
    worse = replace(
        plant, fibres=tuple(replace(f, connectors_db=f.connectors_db + extra_db) for f in plant.fibres)
    )
    wish = ChannelWish(a="A", b="C", routes=20, number=1)
    assert best_bps(worse, wish) <= best_bps(plant, wish)


@given(plants(), st.data(), demands_bps)
def test_moves_help_who_moves_and_hurt_nobody(plant: Plant, data: st.DataObject, demand_bps: int) -> None:
    plant = filled(plant, 0)
    lights = [data.draw(classical_on(plant, f"new-{number}")) for number in range(2)]
    lit = replace(plant, classical=(*plant.classical, *(one for one in lights if one is not None)))
    demands = tuple(
        SkrDemand(link=channel.link, skr_bps=demand_bps, priority=place % 3)
        for place, channel in enumerate(plant.channels)
    )
    judged = review(lit, lit.channels, demands)
    assert [one.link for one in judged] == [channel.link for channel in lit.channels]
    moved: list[QuantumChannel] = []
    for channel, one in zip(lit.channels, judged, strict=True):
        assert (one.move is not None) == (one.verdict is Verdict.MOVES)
        assert (one.reasons == ()) == (one.verdict is Verdict.KEEPS)
        if one.move is None:
            moved.append(channel)
            continue
        assert (one.move.transmitter, one.move.receiver) == (channel.transmitter, channel.receiver)
        assert one.move.figures.skr_bps >= max(1, demand_bps)
        moved.append(one.move.as_channel(channel.link))
    after = replace(lit, channels=tuple(moved))
    assert {link for pair in clashes(after) for link in pair} <= {
        one.link for one in judged if one.verdict is Verdict.FAILS
    }
    again = review(after, after.channels, demands)
    for one, other in zip(judged, again, strict=True):
        if one.verdict is not Verdict.FAILS:
            assert other.verdict is Verdict.KEEPS
            assert other.now.figures.skr_bps >= max(1, demand_bps)


@given(plants(), demands_bps)
def test_reviewing_what_was_just_made_changes_nothing(plant: Plant, demand_bps: int) -> None:
    plant = filled(plant, demand_bps)
    demands = tuple(SkrDemand(link=channel.link, skr_bps=demand_bps) for channel in plant.channels)
    assert {one.verdict for one in review(plant, plant.channels, demands)} <= {Verdict.KEEPS}


@given(plants(), st.data())
def test_what_is_permitted_brings_nobody_down(plant: Plant, data: st.DataObject) -> None:
    plant = filled(plant, 1000)
    light = data.draw(classical_on(plant, "new"))
    if light is None:
        return
    demands = tuple(SkrDemand(link=channel.link, skr_bps=1000) for channel in plant.channels)
    answer = permit(plant, light, demands)
    if answer.granted:
        assert all(one.verdict is not Verdict.FAILS for one in answer.judgements)
    else:
        assert answer.reasons
        if answer.most_dbm is not None:
            assert permit(plant, replace(light, launch_dbm=answer.most_dbm), demands).granted


@given(plants())
def test_the_order_of_the_tables_changes_nothing(plant: Plant) -> None:
    turned = replace(
        plant,
        sites=plant.sites[::-1],
        fibres=plant.fibres[::-1],
        switches=plant.switches[::-1],
        modules=plant.modules[::-1],
        classical=plant.classical[::-1],
    )
    wish = ChannelWish(a="A", b="C")
    assert compute_channels(turned, wish) == compute_channels(plant, wish) == compute_channels(plant, wish)
