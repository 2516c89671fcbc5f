"""A laboratory over a fibre plant: what its modules can be told, and whether both speak of one network.

Rule of this file: pure, but for `plant_named`, which reads a file. Interfaces of the laboratory are numbered
from 1 in the order of a node's links; the plant's modules are found by site and number.
"""

from pathlib import Path
from typing import Any

from keyweave_controller.control.optical.equipment import ModuleRef
from keyweave_controller.control.optical.plant import Plant
from keyweave_controller.plant_file import read_plant
from keyweave_core.errors import InvalidInput
from keyweave_core.model.ids import InterfaceId
from keyweave_lab.topology import Topology
from keyweave_lab.topology_file import shipped_topologies


def plant_named(name: str) -> Plant:
    """The plant of a file, or of the shipped one of this name; SettingsError as `read_plant`."""
    path, shipped = Path(name), shipped_topologies() / f"{name}.toml"
    return read_plant(shipped if not path.exists() and shipped.is_file() else path)


def module_light(plant: Plant | None, site: str, number: int) -> dict[str, Any]:
    """Wavelength and range of one module as its agent's settings have them; nothing without a plant."""
    if plant is None:
        return {}
    ref = ModuleRef(site=site, interface_id=InterfaceId(number))
    ranges = {module.ref: module.wavelength_range for module in plant.modules}
    if ref not in ranges:
        return {}
    for channel in plant.channels:
        if ref in (channel.transmitter, channel.receiver):
            return {"wavelength": channel.channel, "wavelength_range": ranges[ref]}
    return {}


def check_fits(plant: Plant, topology: Topology) -> None:
    """InvalidInput naming the first channel of the plant whose modules the laboratory does not join.

    A laboratory has one module a fibre and end; a module that serves several partners cannot be deployed.
    """
    if plant.shared:
        raise InvalidInput(f"shared '{plant.shared[0].module}': a laboratory has one module a link and end")
    for channel in plant.channels:
        sites = (channel.transmitter.site, channel.receiver.site)
        link = next((one for one in topology.links if {one.a, one.b} == set(sites)), None)
        if link is None:
            raise InvalidInput(f"channels {channel.link!r}: the topology has no link {'-'.join(sites)}")
        if link.a != channel.transmitter.site:
            raise InvalidInput(f"channels {channel.link!r}: transmitter: the laboratory has it at {link.a}")
        for key, ref in (("transmitter", channel.transmitter), ("receiver", channel.receiver)):
            number = topology.links_of(ref.site).index(link) + 1
            if ref.interface_id != number:
                raise InvalidInput(
                    f"channels {channel.link!r}: {key}: the laboratory has interface {number} of {ref.site} "
                    f"there, not {ref.interface_id}"
                )
