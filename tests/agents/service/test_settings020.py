"""The table [etsi020]: what it must say, and which callbacks a peer may name."""

from pathlib import Path
from typing import Any

import pytest

from keyweave_agents.service.settings020 import Etsi020Settings, PeerSettings
from keyweave_core.model.ids import SaeId
from keyweave_core.runtime.tls import TlsSettings

TLS = TlsSettings(certificate=Path("c"), private_key=Path("k"), ca=Path("ca"))


def peer(**more: Any) -> PeerSettings:
    said: dict[str, Any] = {
        "name": "y",
        "url": "https://border.y.example:8020",
        "certificate_name": "urn:uuid:y",
        "sae_ids": (SaeId("carol"),),
    }
    return PeerSettings(**(said | more))


def table(*peers: PeerSettings, **more: Any) -> Etsi020Settings:
    return Etsi020Settings(**({"listen_port": 0, "tls": TLS, "peers": peers} | more))


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"name": ""}, "name"),
        ({"name": "a b"}, "name"),
        ({"url": "http://y"}, "want https"),
        ({"url": "https://u:p@y"}, "no user"),
        ({"url": "https://y/path"}, "no path"),
        ({"certificate_name": ""}, "certificate_name"),
        ({"sae_ids": ()}, "nobody is behind"),
        ({"sae_ids": (SaeId("x" * 65),)}, "1..64"),
        ({"sae_ids": (SaeId("x"), SaeId("x"))}, "twice"),
        ({"sae_prefixes": ("",)}, "empty prefix"),
        ({"may_reach": ("",)}, "empty prefix"),
        ({"callbacks": ("ftp://y",)}, "want https"),
        ({"max_rate_bps": 0}, "max_rate_bps"),
    ],
)
def test_a_peer_that_cannot_be(more: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        peer(**more)


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"wait_s": 0}, "wait_s"),
        ({"tombstone_s": 10}, "tombstone_s"),
        ({"max_targets": 0}, "max_targets"),
        ({"max_keys_per_request": 2000}, "max_keys_per_request"),
        ({"max_keys_remembered": 0}, "max_keys_remembered"),
        ({"min_key_bits": 4}, "min_key_bits"),
        ({"max_requests_per_s": 0}, "max_requests_per_s"),
        ({"callback_url": "https://x?q"}, "no user, query"),
        ({"listen_port": 70_000}, "listen_port"),
        ({"tls": TlsSettings(certificate=Path("c"), private_key=Path("k"), ca=Path("a"),
                             minimum_version="1.2")}, "TLS 1.3"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be(more: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        table(**more)


def test_peers_that_cannot_be_told_apart() -> None:
    with pytest.raises(ValueError, match="name y stands there twice"):
        table(peer(), peer(certificate_name="other", sae_ids=(SaeId("dave"),)))
    with pytest.raises(ValueError, match="carol belongs to"):
        table(peer(), peer(name="z", certificate_name="z", sae_prefixes=("ca",), sae_ids=()))


@pytest.mark.parametrize(
    ("callback", "place"),
    [
        ("https://border.y.example:8020/kmapi/v1/ext_keys/ack", ("border.y.example", 8020)),
        ("https://BORDER.y.example:8020", ("border.y.example", 8020)),
        ("https://border.y.example:8020/", ("border.y.example", 8020)),
        ("https://other.example/hook", ("other.example", 443)),
        ("https://other.example:443/hook/", ("other.example", 443)),
        ("https://border.y.example/kmapi/v1/ext_keys/ack", None),
        ("https://border.y.example:8020/kmapi/v1/ext_keys", None),
        ("https://other.example/hook/../x", None),
        ("https://127.0.0.1:8020/kmapi/v1/ext_keys/ack", None),
        ("https://border.y.example:8020@evil/kmapi/v1/ext_keys/ack", None),
        ("https://border.y.example:x/", None),
        ("https://[::1/", None),
        ("https://", None),
    ],
)
def test_callbacks(callback: str, place: tuple[str, int] | None) -> None:
    found = peer(callbacks=("https://other.example/hook",)).answers_at(callback)
    assert (found and found[:2]) == place


def test_what_the_key_manager_and_the_controller_are_told(tmp_path: Path) -> None:
    made = table(
        peer(ca=Path("y.pem"), may_reach=("urn:sae:x:",)),
        peer(name="z", certificate_name="z", sae_ids=(), sae_prefixes=("z-",)),
        max_targets=3,
    )
    assert made.foreign == (SaeId("carol"),)
    assert [domain.name for domain in made.beyond.domains] == ["y", "z"]
    assert made.beyond.rules.targets == 3
    y, z = made.beyond.domains
    assert (y.holds(SaeId("carol")), y.holds(SaeId("z-1")), z.holds(SaeId("z-1"))) == (True, False, True)
    assert (y.reaches(SaeId("urn:sae:x:1")), y.reaches(SaeId("bob")), z.reaches(SaeId("bob"))) == (
        True,
        False,
        True,
    )
    anchored = made.anchored(tmp_path)
    assert anchored.peers[0].ca == tmp_path / "y.pem"
    assert anchored.tls.ca == tmp_path / "ca"
