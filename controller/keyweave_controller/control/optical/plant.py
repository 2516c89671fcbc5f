"""A fibre plant as its operator describes it: one value that holds together.

Rule of this file: a plant refers only to what it has. What can never be right is refused with table, entry
and key; what may change from day to day (light that disturbs other light, a rate that is too low) is no error
here: `review` judges it.

    module ── switch ══ fibre ══ switch ── module         a module hangs on a switch of its site,
    module ══ fibre ══ module                             or straight on the end of a fibre

A fibre is one strand, used in both directions. A switch joins whatever hangs on it, wavelength by wavelength
(each fibre port has a multiplexer). Light passes a site only through a switch that holds both fibres.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from keyweave_controller.control.optical.equipment import (
    ClassicalChannel,
    Fibre,
    Module,
    ModuleRef,
    QuantumChannel,
    Switch,
)
from keyweave_controller.control.optical.timed import Satellite, Sharing, partners_of
from keyweave_core.model.link import Role
from keyweave_core.physics.raman import Scattering


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """Everything. Names are unique in their table, those of fibres and switches in both.

    `guard_channels` (0..72) keeps a quantum channel away from its neighbours on the DWDM grid. ValueError
    naming table, entry and key for a reference to nothing, a switch without ports left, a channel whose
    fibres do not lead where it says, a module used twice that is not shared, or shared by more than its bound
    allows.
    """

    sites: tuple[str, ...] = ()
    fibres: tuple[Fibre, ...] = ()
    switches: tuple[Switch, ...] = ()
    modules: tuple[Module, ...] = ()
    classical: tuple[ClassicalChannel, ...] = ()
    channels: tuple[QuantumChannel, ...] = ()
    shared: tuple[Sharing, ...] = ()
    satellites: tuple[Satellite, ...] = ()
    guard_channels: int = 0
    scattering: Scattering = field(default_factory=Scattering)

    def __post_init__(self) -> None:
        _check(self)


def risk_groups(plant: Plant, link: str) -> frozenset[str]:
    """The ducts that a physical QKD link lies in; what shares one fails with it.

    `link` as in `QuantumChannel.link` ("A-B" finds "B-A"). Empty when the plant has no channel of that link.
    """
    found = channel_of(plant, link)
    if found is None:
        return frozenset()
    ducts = {fibre.name: fibre.ducts for fibre in plant.fibres}
    return frozenset(duct for name in found.fibres for duct in ducts[name])


def channel_of(plant: Plant, link: str) -> QuantumChannel | None:
    """The quantum channel of a link, by its id or the names of its sites in either order."""
    for channel in plant.channels:
        if link in (channel.link, *spellings(channel)):
            return channel
    return None


def spellings(channel: QuantumChannel) -> tuple[str, ...]:
    """ "A-B" and "B-A" when the channel's link is named by its sites; nothing when it is named by its id."""
    one, other = channel.transmitter.site, channel.receiver.site
    both = (f"{one}-{other}", f"{other}-{one}")
    return both if channel.link in both else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    sites: frozenset[str]
    fibres: dict[str, Fibre]
    switches: dict[str, Switch]
    switch_of: dict[tuple[str, str], str]  # (fibre, site): the switch it ends on there
    modules: dict[ModuleRef, Module]
    shared: frozenset[ModuleRef]


def with_link_ids(plant: Plant, ids: Mapping[str, str]) -> Plant:
    """The plant with the links that are named by their sites ("A-B") called by their ids.

    `ids` maps "A-B" or "B-A" to an id; links it does not know keep their name. ValueError as `Plant` when two
    channels would get one id.
    """
    named: list[QuantumChannel] = []
    for channel in plant.channels:
        known = [ids[spelling] for spelling in spellings(channel) if spelling in ids]
        named.append(replace(channel, link=known[0]) if known else channel)
    over_satellites = (replace(one, link=ids.get(one.link, one.link)) for one in plant.satellites)
    return replace(plant, channels=tuple(named), satellites=tuple(over_satellites))


def _check(plant: Plant) -> None:
    """ValueError for the first thing that does not fit; the order is that of the tables."""
    if not 0 <= plant.guard_channels <= 72:
        raise ValueError(f"guard_channels: guard_channels is 0..72, not {plant.guard_channels}")
    _unique("sites", plant.sites)
    _unique("fibres", [fibre.name for fibre in plant.fibres])
    names = [fibre.name for fibre in plant.fibres] + [switch.name for switch in plant.switches]
    _unique("switches", names, also=" (fibres and switches share their names)")
    _unique("modules", [str(module.ref) for module in plant.modules])
    _unique("classical", [channel.name for channel in plant.classical])
    parts = _Parts(
        sites=frozenset(plant.sites),
        fibres={fibre.name: fibre for fibre in plant.fibres},
        switches={switch.name: switch for switch in plant.switches},
        switch_of={},
        modules={module.ref: module for module in plant.modules},
        shared=frozenset(sharing.module for sharing in plant.shared),
    )
    for fibre in plant.fibres:
        for key, site in (("a", fibre.a), ("b", fibre.b)):
            _site(parts, f"fibres {fibre.name!r}: {key}", site)
    for switch in plant.switches:
        _check_switch(switch, parts)
    used: dict[str, int] = {}
    for module in plant.modules:
        _check_module(module, parts)
        used[module.at] = used.get(module.at, 0) + 1
    for switch in plant.switches:
        wanted = len(switch.fibres) + used.get(switch.name, 0)
        if wanted > switch.ports:
            raise ValueError(
                f"switches {switch.name!r}: ports: {wanted} are needed ({len(switch.fibres)} fibres, "
                f"{used.get(switch.name, 0)} modules), and it has {switch.ports}"
            )
    for classical in plant.classical:
        _check_classical(classical, parts)
    _check_channels(plant.channels, parts)
    _check_timed(plant, parts)


def _check_switch(switch: Switch, parts: _Parts) -> None:
    at = f"switches {switch.name!r}"
    _site(parts, f"{at}: site", switch.site)
    for name in switch.fibres:
        fibre = parts.fibres.get(name)
        if fibre is None or switch.site not in (fibre.a, fibre.b):
            raise ValueError(f"{at}: fibres: no fibre {name[:60]!r} ends at {switch.site}")
        before = parts.switch_of.setdefault((name, switch.site), switch.name)
        if before != switch.name or switch.fibres.count(name) > 1:
            raise ValueError(f"{at}: fibres: {name!r} ends on {before!r} already")


def _check_module(module: Module, parts: _Parts) -> None:
    at = f"modules '{module.ref}'"
    _site(parts, f"{at}: site", module.site)
    switch, fibre = parts.switches.get(module.at), parts.fibres.get(module.at)
    if switch is not None and switch.site == module.site:
        return
    if fibre is None or module.site not in (fibre.a, fibre.b):
        raise ValueError(f"{at}: at: no switch or fibre {module.at[:60]!r} at {module.site}")
    holder = parts.switch_of.get((fibre.name, module.site))
    if holder is not None:
        raise ValueError(
            f"{at}: at: {fibre.name!r} ends on switch {holder!r} there; hang the module on the switch"
        )


def _check_classical(channel: ClassicalChannel, parts: _Parts) -> None:
    at = f"classical {channel.name!r}"
    _site(parts, f"{at}: source", channel.source)
    _walk(parts, f"{at}: fibres", channel.source, channel.fibres)


def _check_channels(channels: Iterable[QuantumChannel], parts: _Parts) -> None:
    links: set[str] = set()
    busy: dict[ModuleRef, str] = {}
    for channel in channels:
        at = f"channels {channel.link!r}"
        for key, ref, wrong in (
            ("transmitter", channel.transmitter, Role.RECEIVER),
            ("receiver", channel.receiver, Role.TRANSMITTER),
        ):
            module = parts.modules.get(ref)
            if module is None:
                raise ValueError(f"{at}: {key}: there is no module {str(ref)[:80]!r}")
            if module.role is wrong:
                raise ValueError(f"{at}: {key}: module {ref} is a {wrong}")
            if ref in busy and ref not in parts.shared:
                raise ValueError(f"{at}: {key}: module {ref} serves {busy[ref]!r} already")
            busy[ref] = channel.link
        if parts.shared.issuperset((channel.transmitter, channel.receiver)):
            raise ValueError(f"{at}: receiver: both modules are shared, and their turns would not meet")
        sender, taker = parts.modules[channel.transmitter], parts.modules[channel.receiver]
        if sender.profile != taker.profile:
            raise ValueError(f"{at}: receiver: is a {taker.profile}, the transmitter a {sender.profile}")
        one, other = sender.site, taker.site
        known_as = {channel.link}
        if channel.link in (f"{one}-{other}", f"{other}-{one}"):
            known_as |= {f"{one}-{other}", f"{other}-{one}"}
        if known_as & links:
            raise ValueError(f"{at}: link: is given twice; between the same sites give ids")
        links |= known_as
        end = _walk(parts, f"{at}: fibres", one, channel.fibres)
        if end != other:
            raise ValueError(f"{at}: fibres: they lead from {one} to {end}, not to {other}")
        _check_transit(parts, f"{at}: fibres", sender, taker, channel.fibres)


def _check_timed(plant: Plant, parts: _Parts) -> None:
    _unique("shared", [str(sharing.module) for sharing in plant.shared])
    for sharing in plant.shared:
        at = f"shared '{sharing.module}'"
        if sharing.module not in parts.modules:
            raise ValueError(f"{at}: module: there is no such module")
        number = len(partners_of(plant.channels, sharing.module))
        if number and sharing.policy.least_unserved_s(number) > sharing.policy.unserved_s:
            raise ValueError(
                f"{at}: policy: {number} links can each be served every "
                f"{sharing.policy.least_unserved_s(number)} s, not within {sharing.policy.unserved_s} s"
            )
    _unique("satellites", [satellite.link for satellite in plant.satellites])
    for satellite in plant.satellites:
        if any(satellite.link in (channel.link, *spellings(channel)) for channel in plant.channels):
            raise ValueError(f"satellites {satellite.link!r}: link: has a channel through fibre already")


def _check_transit(parts: _Parts, at: str, sender: Module, taker: Module, names: tuple[str, ...]) -> None:
    """Light passes every site through a switch that holds both what it comes from and what it goes to."""
    site, held_by = sender.site, sender.at
    for name in names:
        if parts.switch_of.get((name, site), name) != held_by:
            raise ValueError(f"{at}: {name!r} cannot be reached from {held_by!r} at {site}")
        site = parts.fibres[name].other(site)
        held_by = parts.switch_of.get((name, site), name)
    if taker.at != held_by:
        raise ValueError(f"{at}: module {taker.ref} hangs on {taker.at!r}, the light arrives at {held_by!r}")


def _walk(parts: _Parts, at: str, start: str, names: tuple[str, ...]) -> str:
    """The site where these fibres lead from `start`; every site at most once."""
    site, seen = start, {start}
    for name in names:
        fibre = parts.fibres.get(name)
        if fibre is None:
            raise ValueError(f"{at}: there is no fibre {name[:60]!r}")
        if site not in (fibre.a, fibre.b):
            raise ValueError(f"{at}: {name!r} does not begin at {site}")
        site = fibre.other(site)
        if site in seen:
            raise ValueError(f"{at}: they come to {site} twice")
        seen.add(site)
    return site


def _site(parts: _Parts, at: str, site: str) -> None:
    if site not in parts.sites:
        raise ValueError(f"{at}: there is no site {site[:60]!r}")


def _unique(table: str, names: Iterable[str], *, also: str = "") -> None:
    seen: set[str] = set()
    for name in names:
        if not name or len(name) > 220:
            raise ValueError(f"{table} {name[:60]!r}: name: a name has 1 to 200 characters")
        if name in seen:
            raise ValueError(f"{table} {name[:60]!r}: name: is given twice{also}")
        seen.add(name)
