"""Plants for the tests of the optical layer: a small one by hand, and any number drawn."""

from hypothesis import strategies as st

from keyweave_controller.control.optical.equipment import (
    ClassicalChannel,
    Fibre,
    Module,
    ModuleRef,
    QuantumChannel,
    Switch,
)
from keyweave_controller.control.optical.plant import Plant
from keyweave_core.model.ids import InterfaceId
from keyweave_core.model.link import Role

T12 = "bb84-t12-1ghz"


def ref(site: str, number: int = 1) -> ModuleRef:
    return ModuleRef(site=site, interface_id=InterfaceId(number))


def module(
    site: str,
    number: int = 1,
    *,
    at: str = "",
    role: Role = Role.TRANSCEIVER,
    profile: str = T12,
    wavelengths: str = "30-36",
    most_db: float = 24.0,
) -> Module:
    return Module(
        site=site,
        interface_id=InterfaceId(number),
        at=at or f"{site}-switch",
        role=role,
        profile=profile,
        wavelength_range=wavelengths,
        max_absorption_db=most_db,
    )


def square() -> Plant:
    """A, B, C, D in a ring: A-B-C is 20 km, A-D-C 30 km; a switch of 1 dB and a free module everywhere."""
    ring = (("AB", "A", "B", 10.0), ("BC", "B", "C", 10.0), ("CD", "C", "D", 15.0), ("DA", "D", "A", 15.0))
    return Plant(
        sites=("A", "B", "C", "D"),
        fibres=tuple(Fibre(name=n, a=a, b=b, km=km, ducts=(f"duct-{n}",)) for n, a, b, km in ring),
        switches=tuple(
            Switch(
                name=f"{site}-switch",
                site=site,
                insertion_db=1.0,
                ports=8,
                fibres=tuple(n for n, a, b, _ in ring if site in (a, b)),
            )
            for site in "ABCD"
        ),
        modules=(
            module("A", role=Role.TRANSMITTER),
            module("B"),
            module("C", role=Role.RECEIVER),
            module("D"),
        ),
    )


def bright(name: str, source: str, *fibres: str, channel: int = 45, dbm: float = -3.0) -> ClassicalChannel:
    return ClassicalChannel(name=name, source=source, fibres=fibres, channel=channel, launch_dbm=dbm)


def a_to_c(*fibres: str, channel: int = 34, link: str = "A-C") -> QuantumChannel:
    way = fibres or ("AB", "BC")
    return QuantumChannel(link=link, transmitter=ref("A"), receiver=ref("C"), fibres=way, channel=channel)


@st.composite
def classical_on(draw: st.DrawFn, plant: Plant, name: str) -> ClassicalChannel | None:
    """A walk from anywhere, with a level that data links have or a little more."""
    source = site = draw(st.sampled_from(plant.sites))
    names: list[str] = []
    seen = {site}
    for _ in range(draw(st.integers(1, 3))):
        onward = [f for f in plant.fibres if site in (f.a, f.b) and f.other(site) not in seen]
        if not onward:
            break
        fibre = draw(st.sampled_from(onward))
        names.append(fibre.name)
        site = fibre.other(site)
        seen.add(site)
    if not names:
        return None
    return ClassicalChannel(
        name=name,
        source=source,
        fibres=tuple(names),
        channel=draw(st.one_of(st.integers(10, 60), st.just(1310))),
        launch_dbm=draw(st.floats(-30, 10)),
    )


@st.composite
def plants(draw: st.DrawFn, *, dark: bool = False) -> Plant:
    """Three to five sites with a switch each, fibres, modules, and classical light unless `dark`."""
    sites = tuple("ABCDE"[: draw(st.integers(3, 5))])
    pairs = [(a, b) for place, a in enumerate(sites) for b in sites[place + 1 :]]
    fibres: list[Fibre] = []
    for a, b in pairs:
        for twin in range(draw(st.sampled_from((1, 1, 2, 0)))):
            fibres.append(  # noqa: PERF401  # drawn one by one
                Fibre(
                    name=f"{a}{b}{twin}",
                    a=a,
                    b=b,
                    km=draw(st.floats(0.1, 40)),
                    connectors_db=draw(st.floats(0, 2)),
                    ducts=(draw(st.sampled_from(("north", "south"))),),
                    in_service=draw(st.integers(0, 9)) > 0,
                )
            )
    switches = tuple(
        Switch(
            name=f"{site}-switch",
            site=site,
            insertion_db=draw(st.floats(0, 2)),
            ports=64,
            fibres=tuple(f.name for f in fibres if site in (f.a, f.b)),
        )
        for site in sites
    )
    modules = tuple(
        module(
            site,
            number,
            role=draw(st.sampled_from((*Role, Role.TRANSCEIVER))),
            profile=draw(st.sampled_from((T12, T12, T12, "cv-het-100mbaud", "bb84-one-decoy"))),
            wavelengths=draw(st.sampled_from(("30-33", "32", "31-36,1310", "30-32,1310"))),
            most_db=draw(st.floats(6, 24)),
        )
        for site in sites
        for number in range(1, 1 + draw(st.sampled_from((2, 3, 1, 0))))
    )
    plant = Plant(
        sites=sites,
        fibres=tuple(fibres),
        switches=switches,
        modules=modules,
        guard_channels=draw(st.integers(0, 1)),
    )
    lit = [
        draw(classical_on(plant, f"light-{n}"))
        for n in range(0 if dark else draw(st.sampled_from((2, 3, 4, 1, 0))))
    ]
    return Plant(
        sites=plant.sites,
        fibres=plant.fibres,
        switches=plant.switches,
        modules=plant.modules,
        guard_channels=plant.guard_channels,
        classical=tuple(each for each in lit if each is not None),
    )
