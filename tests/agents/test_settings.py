"""The settings file of an agent: a whole one is read, and every contradiction is named."""

from pathlib import Path

import pytest

from keyweave_agents.settings import AgentSettings, read_agent_settings
from keyweave_core.errors import SettingsError
from keyweave_core.model.node import TrustLevel
from keyweave_core.runtime.settings import parse_settings

NODE = "aaaaaaaa-0000-4000-8000-000000000000"
FAR = "bbbbbbbb-0000-4000-8000-000000000000"
LINK = "11111111-0000-4000-8000-000000000001"

WHOLE = f"""
[node]
node_id = "{NODE}"
location_id = "room 1"
state_dir = "state"
trust_level = "untrusted"

[netconf]
listen_port = 0
host_key = "ssh_host_key"
users = [{{ name = "controller", authorized_keys = "controller.pub" }}]

[keys]
neighbours = [{{ node_id = "{FAR}", link_id = "{LINK}", host = "127.0.0.1", port = 4001 }}]

[keys_tls]
certificate = "kme.crt"
private_key = "kme.key"
ca = "/etc/keyweave/ca.crt"

[service]
listen_port = 0
tls = {{ certificate = "kme.crt", private_key = "kme.key", ca = "ca.crt" }}

[[consumers]]
sae_id = "alice"
min_bandwidth_bps = 1000

[[modules]]
interface_id = 1
link_id = "{LINK}"
remote_node_id = "{FAR}"
remote_interface_id = 2
role = "transmitter"
profile = "bb84-t12-1ghz"
distance_km = 20.0
loss_db = 4.0
listen = "127.0.0.1:0"

[log]
level = "warning"
"""


def test_a_whole_file_is_read_and_paths_are_taken_from_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(WHOLE, encoding="utf-8")
    settings = read_agent_settings(file)
    assert settings.node.trust_level is TrustLevel.UNTRUSTED
    assert settings.node.state_dir == tmp_path / "state"
    assert settings.netconf.host_key == tmp_path / "ssh_host_key"
    assert settings.netconf.users[0].authorized_keys == tmp_path / "controller.pub"
    assert settings.keys_tls.certificate == tmp_path / "kme.crt"
    assert settings.keys_tls.ca == Path("/etc/keyweave/ca.crt")
    assert settings.service.tls.ca == tmp_path / "ca.crt"
    assert settings.modules[0].link_id == LINK
    assert settings.log.form == "json"


def test_the_example_of_the_manual_is_correct() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "agent.md").read_text(encoding="utf-8")
    example = manual.split("```toml\n")[1].split("```")[0]
    settings = parse_settings(example, AgentSettings, where="docs/agent.md")
    assert settings.keys.neighbours[0].link_id == settings.modules[0].link_id


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml"):
        read_agent_settings(tmp_path / "nowhere.toml")


MODULE = WHOLE[WHOLE.index("[[modules]]") : WHOLE.index("[log]")]
CONSUMER = WHOLE[WHOLE.index("[[consumers]]") : WHOLE.index("[[modules]]")]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("location_id =", "locatoin_id =", "locatoin_id"),
        ('location_id = "room 1"\n', "", "location_id"),
        (f'node_id = "{NODE}"', f'node_id = "{NODE.upper()}"', "lower case"),
        (f'node_id = "{NODE}"', 'node_id = "first"', "not a UUID"),
        ('"untrusted"', '"maybe"', "trust_level"),
        ("[netconf]\nlisten_port = 0", "[netconf]\nlisten_port = 66000", "66000"),
        ('users = [{ name = "controller", authorized_keys = "controller.pub" }]', "users = []", "no users"),
        ('name = "controller"', 'name = "a b"', "user name"),
        ('" }]\n\n[keys]', '" }, { name = "controller", authorized_keys = "b" }]\n\n[keys]', "twice"),
        (CONSUMER, CONSUMER * 2, "sae_id alice"),
        (MODULE, MODULE * 2, "interface_id 1"),
        (MODULE, MODULE + MODULE.replace("interface_id = 1", "interface_id = 7"), f"link_id {LINK}"),
        (MODULE, "", "no module"),
        (f'remote_node_id = "{FAR}"', f'remote_node_id = "{NODE}"', "is this node"),
        (f'remote_node_id = "{FAR}"', f'remote_node_id = "{LINK}"', "keys.neighbours"),
        ("[keys]\nneighbours", "[keys]\nneighbours = []\n#", "no entry for its link"),
        ("[service]\n", "[service]\nmax_key_bits = 65536\n", "max_key_bits 65536"),
        ("[service]\n", "[service]\nmax_keys_per_request = 1000\n", "max_keys_per_request 1000"),
        ("[service]\n", "[service]\nmin_key_bits = 8\n", "min_key_bits 8"),
        ("[service]\n", "[service]\ndefault_key_bits = 512\n", "default_key_bits 512"),
        ("listen_port = 0", "listen_port = 4000", "both listen on 127.0.0.1 port 4000"),
        ('level = "warning"', 'level = "loud"', "loud"),
        ('profile = "bb84-t12-1ghz"', 'profile = "magic"', "magic"),
    ],
)
def test_what_is_wrong_is_named_with_the_file(old: str, new: str, complaint: str) -> None:
    assert old in WHOLE
    with pytest.raises(SettingsError) as caught:
        parse_settings(WHOLE.replace(old, new), AgentSettings, where="agent.toml")
    assert complaint in str(caught.value)
    assert "agent.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_audit_record_lies_in_the_state_of_the_agent_unless_it_is_told_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(WHOLE)
    assert read_agent_settings(file).service.audit.directory == tmp_path / "state" / "audit"
    elsewhere = '[service]\nrevoked = "revoked.pem"\naudit = { directory = "records", files = 2 }\n'
    file.write_text(WHOLE.replace("[service]\n", elsewhere))
    service = read_agent_settings(file).service
    assert (service.audit.directory, service.audit.files) == (tmp_path / "records", 2)
    assert service.revoked == tmp_path / "revoked.pem"
