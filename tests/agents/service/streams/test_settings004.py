"""The table [etsi004] of an agent's settings file."""

from pathlib import Path

import pytest
from tests.agents.test_settings import WHOLE

from keyweave_agents.service.settings004 import UriName
from keyweave_agents.settings import AgentSettings, read_agent_settings
from keyweave_core.errors import SettingsError
from keyweave_core.model.ids import SaeId
from keyweave_core.runtime.settings import parse_settings

TABLE = """
[etsi004]
listen_port = 25575
max_chunk_bytes = 256
uri_rule = "host"

[etsi004.tls]
certificate = "kme.crt"
private_key = "kme.key"
ca = "/etc/keyweave/ca.crt"

[[etsi004.uris]]
uri = "server://kms-7"
sae_id = "alice"
"""


def test_a_whole_table_is_read_and_its_files_are_found(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(WHOLE + TABLE)
    streams = read_agent_settings(path).etsi004
    assert streams is not None
    assert streams.tls is not None
    assert streams.tls.certificate == tmp_path / "kme.crt"
    assert streams.tls.ca == Path("/etc/keyweave/ca.crt")
    assert (streams.max_chunk_bytes, streams.uri_rule, streams.edition) == (256, "host", "2.1.1")
    assert streams.uris == (UriName(uri="server://kms-7", sae_id=SaeId("alice")),)


def test_without_the_table_there_are_no_streams() -> None:
    assert parse_settings(WHOLE, AgentSettings, where="x").etsi004 is None


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ('"host"', '"guess"', "uri_rule"),
        ("max_chunk_bytes = 256", 'edition = "3.1.1"', "edition"),
        ("max_chunk_bytes = 256", "max_chunk_bytes = 2048", "keys.limits"),
        ("max_chunk_bytes = 256", "max_chunks = 7", "max_chunks 7"),
        ("max_chunk_bytes = 256", "max_bytes = 7", "unknown key etsi004.max_bytes"),
        ("max_chunk_bytes = 256", "plain = true", "either a table tls, or plain"),
        ("listen_port = 25575", "", "listen_port"),
    ],
)
def test_what_is_wrong_is_named(before: str, after: str, what: str) -> None:
    with pytest.raises(SettingsError, match=what):
        parse_settings(WHOLE + TABLE.replace(before, after), AgentSettings, where="x")


def test_two_servers_on_one_port_and_keys_too_few_for_an_offer() -> None:
    twice = WHOLE.replace("[service]\nlisten_port = 0", "[service]\nlisten_port = 25575")
    with pytest.raises(SettingsError, match="etsi004 and service both listen"):
        parse_settings(twice + TABLE, AgentSettings, where="x")
    few = WHOLE.replace("[service]", "[service]\nmax_keys_per_request = 8")
    few = few.replace("[keys_tls]", "[keys.limits]\nkeys_per_request = 8\n\n[keys_tls]")
    with pytest.raises(SettingsError, match="etsi004 wants 64"):
        parse_settings(few + TABLE, AgentSettings, where="x")
