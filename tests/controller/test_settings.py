"""Settings of the controller: what is read, and every complaint with its place."""

from decimal import Decimal
from pathlib import Path

import pytest

from keyweave_controller.settings import CallerRole, read_controller_settings
from keyweave_core.errors import SettingsError

WHOLE = """
[controller]
state_dir = "here"
[grpc]
certificate = "c.pem"
private_key = "c.key"
ca = "ca.pem"
listen_port = 0
callers = [{ name = "operator" }, { name = "eye", role = "viewer" }]
[southbound]
user = "controller"
private_key = "ssh"
poll_interval_s = 2
backoff = { first_s = 0.5, most_s = 4 }
[policy]
usable_share = 0.8
[accounting]
tariff = "tariff.toml"
[metrics]
listen = "[::1]:9100"
[[agents]]
name = "A"
host = "127.0.0.1"
port = 1830
host_key = "a.pub"
consumers = ["sae-a"]
[[agents]]
name = "B"
host = "127.0.0.1"
port = 1831
host_key = "a.pub"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("c.pem", "c.key", "ca.pem", "ssh", "a.pub"):
        (tmp_path / name).touch()
    (tmp_path / "tariff.toml").write_text('currency = "EUR"\nper_mbit = "0.90"\ndecimals = 3\n')
    return tmp_path


def read(folder: Path, text: str = WHOLE):
    path = folder / "controller.toml"
    path.write_text(text)
    return read_controller_settings(path)


def test_a_whole_file_with_paths_relative_to_it(folder):
    settings = read(folder)
    assert settings.controller.state_dir == folder / "here"
    assert settings.database_url == f"sqlite:///{folder / 'here' / 'controller.sqlite'}"
    assert settings.grpc.certificate == folder / "c.pem"
    assert [caller.role for caller in settings.grpc.callers] == [CallerRole.OPERATOR, CallerRole.VIEWER]
    assert settings.southbound.poll_interval_s == 2.0
    assert settings.southbound.backoff.most_s == 4.0
    assert settings.policy.usable_share == 0.8
    assert settings.metrics.endpoint() == ("::1", 9100)
    assert [node.name for node in settings.inventory] == ["A", "B"]
    assert settings.inventory[0].consumers == ("sae-a",)
    assert settings.agents[0].host_key == folder / "a.pub"
    assert settings.tariff().per_mbit == Decimal("0.90")


def test_what_may_be_left_out(folder):
    text = '[grpc]\ncertificate="c.pem"\nprivate_key="c.key"\nca="ca.pem"\n'
    settings = read(folder, text + '[southbound]\nuser="u"\nprivate_key="ssh"\n')
    assert settings.agents == ()
    assert settings.tariff().per_mbit == 0
    assert settings.log.level == "info"


def test_a_database_of_its_own(folder):
    text = WHOLE.replace("[policy]", '[database]\nurl = "postgresql+psycopg://db/keyweave"\n[policy]')
    assert read(folder, text).database_url == "postgresql+psycopg://db/keyweave"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("usable_share", "usable_shade", "policy.usable_shade"),
        ("usable_share = 0.8", "usable_share = 1.8", "usable_share must be"),
        ('name = "B"', 'name = "A"', "name given twice: A"),
        ("port = 1831", "port = 1830", "host and port given twice"),
        ("port = 1831", "port = 0", "port of B must be"),
        (
            'host_key = "a.pub"\nconsumers',
            'host_key = "z.pub"\nconsumers',
            "host_key of agent A: no such file",
        ),
        ('"c.pem"', '"d.pem"', "grpc.certificate: no such file"),
        ("listen_port = 0", "listen_port = 70000", "listen_port must be"),
        ("listen_port = 0", 'listen_port = "0"', "listen_port"),
        ('user = "controller"', 'user = ""', "user must not be empty"),
        ("poll_interval_s = 2", "poll_interval_s = 0", "poll_interval_s must be"),
        ("first_s = 0.5", "first_s = 5", "first_s"),
        ('"[::1]:9100"', '"9100"', "host:port"),
        ('role = "viewer"', 'role = "king"', "king"),
        ('name = "eye"', 'name = "operator"', "grpc.callers given twice"),
        ("[southbound]", "[southbound", "line"),
        (
            'consumers = ["sae-a"]\n[[agents]]',
            'consumers = ["s", "s"]\n[[agents]]',
            "consumer given twice: s",
        ),
    ],
)
def test_complaints_name_file_key_and_reason(folder, old, new, complaint):
    assert old in WHOLE
    with pytest.raises(SettingsError) as caught:
        read(folder, WHOLE.replace(old, new, 1))
    assert "controller.toml" in str(caught.value)
    assert complaint in str(caught.value)


def test_a_bad_tariff_is_found_with_the_settings(folder):
    (folder / "tariff.toml").write_text("per_mbit = -1\n")
    with pytest.raises(SettingsError, match=r"tariff\.toml.*per_mbit"):
        read(folder)


def test_no_file(tmp_path):
    with pytest.raises(SettingsError, match="cannot read"):
        read_controller_settings(tmp_path / "none.toml")


def test_the_documented_defaults_are_the_defaults(folder):
    page = Path(__file__).parents[2] / "docs" / "controller-settings.md"
    example = page.read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0]
    for name in ("controller.pem", "controller.key", "ssh-user", "norte.pub"):
        (folder / name).touch()
    shown = read(folder, example)
    needed = ("[grpc]", "[southbound]", "[[agents]]", "name", "host", "port")
    minimal = "\n".join(
        line for line in example.splitlines() if "no default" in line or line.startswith(needed)
    )
    assert shown == read(folder, minimal)


NETCONF = """
[netconf]
host_key = "ssh"
listen_port = 0
[[netconf.users]]
name = "ana"
authorized_keys = "a.pub"
groups = ["auditor"]
recovery = true
"""


def test_the_netconf_table(folder):
    assert read(folder).netconf is None
    settings = read(folder, WHOLE + NETCONF)
    assert settings.netconf is not None
    assert settings.netconf.host_key == folder / "ssh"
    (user,) = settings.netconf.users
    assert (user.authorized_keys, user.groups, user.recovery) == (folder / "a.pub", ("auditor",), True)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('host_key = "ssh"', 'host_key = "nowhere"', "netconf.host_key: no such file"),
        ('authorized_keys = "a.pub"', 'authorized_keys = "b.pub"', "netconf.users ana: no such file"),
        ("listen_port = 0", "listen_port = 70000", "listen_port"),
        ('authorized_keys = "a.pub"', "", "ana has neither authorized_keys nor password_hash"),
    ],
)
def test_complaints_about_netconf_name_the_place(folder, old, new, complaint):
    with pytest.raises(SettingsError, match=complaint):
        read(folder, WHOLE + NETCONF.replace(old, new))


def test_gnmi_wants_netconf_beside_it(folder):
    gnmi = '[gnmi]\ncertificate = "c.pem"\nprivate_key = "c.key"\nca = "ca.pem"\n'
    with pytest.raises(SettingsError, match="that table is missing"):
        read(folder, WHOLE + gnmi)
    settings = read(folder, WHOLE + NETCONF + gnmi)
    assert settings.gnmi is not None
    assert settings.gnmi.ca == folder / "ca.pem"
    with pytest.raises(SettingsError, match=r"gnmi\.ca: no such file"):
        read(folder, WHOLE + NETCONF + gnmi.replace("ca.pem", "nowhere.pem"))
