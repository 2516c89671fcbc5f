"""Plant files: TOML in, a `Plant` out, and every complaint names file, table and key.

Rule of this file: the same reader as for settings: an unknown key is fatal, and what does not fit together is
refused as a whole. The tables are the fields of `control.optical.plant.Plant`:

    sites = ["Norte", "Quevedo"]          # names of the nodes; other places that light passes, too
    guard_channels = 0

    [[fibres]]
    name = "QN"
    a = "Norte"
    b = "Quevedo"
    km = 3.9
    loss_db = 3.0                         # measured; or attenuation_db_per_km and connectors_db
    ducts = ["M-30"]

    [[switches]]
    name = "norte-osw"
    site = "Norte"
    insertion_db = 1.0
    ports = 16
    fibres = ["QN"]

    [[modules]]
    site = "Norte"
    interface_id = 1
    at = "norte-osw"                      # a switch of the site, or a fibre that ends there
    role = "TRANSMITTER"
    profile = "bb84-t12-1ghz"
    wavelength_range = "30-36"
    max_absorption_db = 24.0

    [[classical]]
    name = "norte-quevedo-100g"
    source = "Norte"
    fibres = ["QN"]
    channel = 21
    launch_dbm = -3.0

    [[channels]]
    link = "Norte-Quevedo"                # or the id of the link
    transmitter = {site = "Norte", interface_id = 1}
    receiver = {site = "Quevedo", interface_id = 1}
    fibres = ["QN"]
    channel = 34

    [[shared]]                            # a module that several channels name
    module = {site = "Norte", interface_id = 1}
    policy = {switch_s = 20, dwell_s = 120, unserved_s = 900}

    [[satellites]]
    link = "Norte-Teide"
    passes = [{starts_at = 1790000000, ends_at = 1790000420, losses = [[0, 37.5], [210, 27.0], [419, 37.5]]}]
"""

import dataclasses
import json
from enum import Enum
from pathlib import Path
from typing import Any

from keyweave_controller.control.optical.plant import Plant
from keyweave_core.runtime.settings import parse_settings, read_settings


def read_plant(path: Path) -> Plant:
    """The plant of a file; SettingsError naming file, table and key for anything that is wrong."""
    return read_settings(path, Plant)


def parse_plant(text: str, *, where: str) -> Plant:
    """Like `read_plant`, from text; `where` names the source in errors."""
    return parse_settings(text, Plant, where=where)


def plant_text(plant: Plant) -> str:
    """The plant as such a file, without what is at its default; `parse_plant` gives the same plant."""
    plain: list[str] = []
    tables: list[str] = []
    for name, value in _told(plant):
        if dataclasses.is_dataclass(value):
            tables += ["", f"[{name}]", *(f"{key} = {_value(inner)}" for key, inner in _told(value))]
        elif isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
            for entry in value:
                tables += ["", f"[[{name}]]", *(f"{key} = {_value(inner)}" for key, inner in _told(entry))]
        else:
            plain.append(f"{name} = {_value(value)}")
    return "\n".join((*plain, *tables)).strip("\n") + "\n"


def _told(value: Any) -> list[tuple[str, Any]]:
    """The fields of a dataclass that say something."""
    found = []
    for field in dataclasses.fields(value):
        held = getattr(value, field.name)
        made = field.default_factory
        usual = field.default if made is dataclasses.MISSING else made()
        if held is not None and held != usual:
            found.append((field.name, held))
    return found


def _value(value: Any) -> str:
    if dataclasses.is_dataclass(value):
        return "{" + ", ".join(f"{key} = {_value(inner)}" for key, inner in _told(value)) + "}"
    if isinstance(value, tuple):
        return f"[{', '.join(_value(inner) for inner in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    text = value.value if isinstance(value, Enum) else str(value)
    # A JSON string is a TOML basic string, but for DEL, which JSON leaves as it is.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
