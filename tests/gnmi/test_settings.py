"""The table [gnmi]: the example of the manual, bounds, and that reading it loads no gRPC."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from keyweave_core.errors import SettingsError
from keyweave_core.runtime.settings import parse_settings
from keyweave_gnmi.limits import GnmiLimits
from keyweave_gnmi.settings import GnmiSettings

MANUAL = Path(__file__).parents[2] / "docs" / "gnmi.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A settings file with that table alone."""

    gnmi: GnmiSettings


def example() -> str:
    return MANUAL.read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0]


def test_the_example_of_the_manual_is_correct() -> None:
    settings = parse_settings(example(), File, where="docs/gnmi.md").gnmi
    assert settings.listen_port == 9339
    assert settings.users[0].groups == ("auditor",)
    assert settings.anchored(Path("/etc")).files.ca == Path("/etc/ca.pem")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("listen_port = 9339", "listen_port = 70000", "70000"),
        ('name = "collector"', 'name = "a b"', "user name"),
        ('groups = ["auditor"] }', 'groups = ["auditor"] }, { name = "collector" }', "named twice"),
        ("refresh_s = 1.0", "refresh_s = 0.0", "refresh_s"),
        ("refresh_s = 1.0", "max_message_bytes = 100", "4096 or more"),
        ('ca = "ca.pem"', "", "ca"),
        ('map = "common-name"', 'map = "shoe-size"', "shoe-size"),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, complaint: str) -> None:
    assert old in example()
    with pytest.raises(SettingsError, match=complaint):
        parse_settings(example().replace(old, new), File, where="here")


def test_limits_must_make_sense() -> None:
    with pytest.raises(ValueError, match="max_streams"):
        GnmiLimits(max_streams=0)


def test_reading_settings_loads_no_grpc() -> None:
    program = (
        "import sys, keyweave_gnmi.settings\n"
        "raise SystemExit(any(name.partition('.')[0] in ('grpc', 'google') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == 0
