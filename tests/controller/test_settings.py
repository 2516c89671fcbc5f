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


def test_a_fibre_plant_is_read_and_a_bad_one_found_with_the_settings(folder):
    assert read(folder).plant() is None
    text = WHOLE + '\n[optical]\nplant = "plant.toml"\n'
    with pytest.raises(SettingsError, match=r"optical\.plant: no such file"):
        read(folder, text)
    (folder / "plant.toml").write_text('sites = ["A"]\n')
    plant = read(folder, text).plant()
    assert plant is not None
    assert plant.sites == ("A",)
    (folder / "plant.toml").write_text("sites = 3\n")
    with pytest.raises(SettingsError, match=r"plant\.toml.*sites"):
        read(folder, text)


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


WINDOW = """link = "A-B"
windows = [{{ starts_at = {}, ends_at = 2030-01-01T00:20:00Z, rate_bps = 1 }}]"""


class TestWhatTheOperatorKnows:
    """`trust` and `domain` of agents, [[links]], strategies of [policy]."""

    LINK = """
[[links]]
link = "B-A"
risk_groups = ["duct7", "bridge", "duct7"]
latency_ms = 0.4
windows = [
  { starts_at = 2030-01-01T00:10:00Z, ends_at = 2030-01-01T00:20:00Z, rate_bps = 500 },
  { starts_at = 2030-01-01T01:00:00+01:00, ends_at = 2030-01-01T00:05:00Z, rate_bps = 900 },
]
"""

    def test_facts_reach_the_deciding_code(self, folder):
        text = WHOLE.replace('consumers = ["sae-a"]', 'consumers = ["sae-a"]\ntrust = 40\ndomain = "north"')
        settings = read(folder, text + self.LINK)
        assert [(one.name, one.trust, one.domain) for one in settings.inventory] == [
            ("A", 40, "north"),
            ("B", 100, ""),
        ]
        (known,) = settings.link_facts
        assert (known.link, known.risk_groups, known.latency_ms) == ("A-B", ("bridge", "duct7"), 0.4)
        assert known.windows is not None
        assert [(one.duration_s, one.rate_bps) for one in known.windows] == [(300, 900), (600, 500)]

    def test_a_link_may_be_named_by_its_id(self, folder):
        link_id = "0A0B0000-0000-4000-8000-000000000000"
        settings = read(folder, WHOLE + f'[[links]]\nlink = "{link_id}"\n')
        assert settings.link_facts[0].link == link_id.lower()
        assert settings.link_facts[0].windows is None

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ('link = "A-C"', "'A-C' is no id of a link, nor two names of agents"),
            ('link = "A-A"', "'A-A' is no id of a link"),
            ('link = "A-B"\n[[links]]\nlink = "B-A"', "links: link given twice: A-B"),
            ('link = "A-B"\nlatency_ms = -1.0', "latency_ms of link A-B must be 0..10000"),
            ('link = "A-B"\nlatency_ms = nan', "latency_ms of link A-B must be 0..10000"),
            ('link = "A-B"\nrisk_groups = [""]', "a risk group of link A-B needs"),
            ('link = "A-B"\nduct = "x"', "unknown key links.0.duct"),
            (WINDOW.format("2030-01-01T00:10:00"), "starts_at needs an offset"),
            (WINDOW.format("2030-01-01T00:30:00Z"), "a window from"),
        ],
    )
    def test_wrong_links_are_told(self, folder, text, complaint):
        with pytest.raises(SettingsError, match=complaint):
            read(folder, WHOLE + f"[[links]]\n{text}\n")

    def test_wrong_trust_and_strategies_are_told(self, folder):
        with pytest.raises(SettingsError, match=r"trust of A must be 0\.\.100, not 101"):
            read(folder, WHOLE.replace('consumers = ["sae-a"]', "trust = 101"))
        policy = 'usable_share = 0.8\nscheduled_strategy = "best"'
        with pytest.raises(SettingsError, match=r"policy.scheduled_strategy: .*'best'; there are .*balanced"):
            read(folder, WHOLE.replace("usable_share = 0.8", policy))
        settings = read(folder, WHOLE.replace("usable_share = 0.8", policy.replace("best", "widest")))
        assert settings.policy.scheduled_strategy == "widest"
