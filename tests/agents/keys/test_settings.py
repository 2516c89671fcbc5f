"""Settings of the key manager refuse what cannot work."""

import pytest
from tests.agents.keys.network import uid

from keyweave_agents.keys.settings import KeyLimits, KeySettings, Neighbour
from keyweave_core.errors import SettingsError
from keyweave_core.runtime.settings import parse_settings


def test_a_whole_table_is_read() -> None:
    text = f"""
    listen_port = 7000
    buffer_keys = 32
    [limits]
    keys_per_request = 16
    [[neighbours]]
    node_id = "{uid(1)}"
    link_id = "{uid(2)}"
    host = "10.0.0.1"
    port = 7001
    """
    settings = parse_settings(text, KeySettings, where="test")
    assert settings.limits.keys_per_request == 16
    assert settings.neighbours == (Neighbour(node_id=uid(1), link_id=uid(2), host="10.0.0.1", port=7001),)
    assert settings.key_ttl_s == 3600


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("pool_capacity_bits = 1000", "pool_capacity_bits must be 1024"),
        ("buffer_keys = 0", "buffer_keys must be 1"),
        ("default_key_bits = 100", "multiple of 8"),
        ("default_key_bits = 32", "default_key_bits must be 64"),
        ("key_ttl_s = 0", "key_ttl_s must be 1"),
        ("statistics_period_s = 0", "statistics_period_s must be"),
        ("listen_port = 70000", "listen_port must be 0"),
        ("limits.max_key_bits = 12", "max_key_bits must be 64"),
        ("limits.keys_per_batch = 5000", "keys_per_batch must be 1"),
        ("bufer_keys = 3", "unknown key bufer_keys"),
    ],
)
def test_each_bound_names_its_key(line: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        parse_settings(line, KeySettings, where="test")


def test_neighbours_are_checked() -> None:
    with pytest.raises(ValueError, match="not a UUID"):
        Neighbour(node_id="x", link_id=uid(1), host="h", port=1)
    with pytest.raises(ValueError, match="lower case"):
        Neighbour(node_id=uid(0xABC).upper(), link_id=uid(1), host="h", port=1)
    with pytest.raises(ValueError, match="port"):
        Neighbour(node_id=uid(1), link_id=uid(1), host="h", port=0)
    twice = Neighbour(node_id=uid(1), link_id=uid(2), host="h", port=1)
    with pytest.raises(ValueError, match="one link twice"):
        KeySettings(neighbours=(twice, twice))


def test_limits_are_multiples_of_a_byte() -> None:
    with pytest.raises(ValueError, match="multiples of 8"):
        KeyLimits(max_key_bits=1001)
