"""Bounds of a module's settings, also when they come from a file."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import pytest

from keyweave_agents.quantum.module_settings import ModuleSettings, split_address
from keyweave_core.errors import SettingsError
from keyweave_core.model.ids import InterfaceId, LinkId, NodeId
from keyweave_core.runtime.settings import parse_settings

GOOD = ModuleSettings(
    interface_id=InterfaceId(1),
    link_id=LinkId("7b0b2c7e-5a0e-4b9e-8f52-0a4c3a5d8e11"),
    remote_node_id=NodeId("0d1f8b2a-6a53-4c3c-9b0e-2f1f7e6d5c4b"),
    remote_interface_id=InterfaceId(2),
    role="transmitter",
    profile="bb84-t12-1ghz",
    distance_km=10,
    loss_db=2.0,
    connect="127.0.0.1:4000",
)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"interface_id": -1}, "interface_id is 0"),
        ({"interface_id": 2**32}, "interface_id is 0"),
        ({"remote_interface_id": -1}, "remote_interface_id"),
        ({"link_id": "A-B"}, "module 1: link_id: not a UUID"),
        ({"link_id": GOOD.link_id.upper()}, "lower case"),
        ({"remote_node_id": ""}, "remote_node_id: not a UUID"),
        ({"role": "both"}, "role is transmitter or receiver"),
        ({"profile": "magic"}, "profile 'magic' is not known; there are bb84-gys"),
        ({"distance_km": -1}, "distance_km"),
        ({"distance_km": float("nan")}, "distance_km"),
        ({"loss_db": -0.1}, "loss_db is 0"),
        ({"loss_db": float("inf")}, "loss_db"),
        ({"wavelength": 0}, "wavelength is 1..9999"),
        ({"wavelength_range": "30-"}, "module 1: wavelength_range: '30-' is no part"),
        ({"wavelength_range": "30-33"}, "wavelength 34 is not in its range 30-33"),
        ({"hold_off_s": 61}, "hold_off_s"),
        ({"silence_s": 0}, "silence_s"),
        ({"listen": "127.0.0.1:1"}, "exactly one of listen and connect"),
        ({"connect": None}, "exactly one of listen and connect"),
        ({"connect": "nowhere"}, "not host:port"),
        ({"connect": "a:70000"}, "not host:port"),
        ({"secret_rate_bps": 0}, "secret_rate_bps"),
        ({"secret_rate_bps": 1000, "loss_db": 90}, "makes no key"),
        ({"secret_rate_bps": 4_000_000_000}, "above the bound"),
    ],
)
def test_out_of_bounds(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        dataclasses.replace(GOOD, **change)


def test_the_wavelengths_that_it_can_be_told() -> None:
    assert GOOD.channels == "34"
    assert dataclasses.replace(GOOD, wavelength=1310, wavelength_range="30-36,1310").channels == "30-36,1310"


def test_addresses() -> None:
    assert split_address("127.0.0.1:4000") == ("127.0.0.1", 4000)
    assert split_address("[::1]:0") == ("::1", 0)
    for wrong in ("", ":1", "host", "host:", "host:x", "host:-1", "host:٣"):
        with pytest.raises(ValueError, match="not host:port"):
            split_address(wrong)


def test_a_published_rate_is_met() -> None:
    assert GOOD.calibration == 1.0
    assert dataclasses.replace(GOOD, secret_rate_bps=2_222_222).expected_rate_bps() == 2_222_222
    assert GOOD.expected_rate_bps() > 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    modules: tuple[ModuleSettings, ...] = ()


TOML = """
[[modules]]
interface_id = 1
link_id = "7b0b2c7e-5a0e-4b9e-8f52-0a4c3a5d8e11"
remote_node_id = "0d1f8b2a-6a53-4c3c-9b0e-2f1f7e6d5c4b"
remote_interface_id = 2
role = "transmitter"
profile = "bb84-t12-1ghz"
distance_km = 10
loss_db = 2
connect = "127.0.0.1:4000"
"""


def test_from_a_file() -> None:
    assert parse_settings(TOML, Agent, where="agent.toml").modules == (GOOD,)
    with pytest.raises(SettingsError, match=r"agent\.toml.*loss_db is 0"):
        parse_settings(TOML.replace("loss_db = 2", "loss_db = -2"), Agent, where="agent.toml")
    with pytest.raises(SettingsError, match="unknown key"):
        parse_settings(TOML + "colour = 1\n", Agent, where="agent.toml")
