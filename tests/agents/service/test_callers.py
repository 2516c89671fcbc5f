"""From the names of a certificate to the application that calls."""

import pytest

from keyweave_agents.service.answers014 import route
from keyweave_agents.service.callers import Callers, sae_of
from keyweave_agents.service.settings import ConsumerSettings, SaeIdentity, ServiceSettings
from keyweave_agents.service.wire014 import BadRequest
from keyweave_core.errors import Refused, SettingsError
from keyweave_core.model.ids import SaeId
from keyweave_core.runtime.settings import parse_settings
from keyweave_core.runtime.tls import PeerNames

NAMES = PeerNames(uris=("urn:sae:a",), dns=("a.example",), common_names=("A",))


@pytest.mark.parametrize(
    ("rule", "sae"), [("auto", "urn:sae:a"), ("san-uri", "urn:sae:a"), ("san-dns", "a.example"), ("cn", "A")]
)
def test_the_rule_chooses_the_name_and_takes_it_whole(rule: SaeIdentity, sae: str) -> None:
    assert sae_of(NAMES, rule) == sae


def test_auto_falls_back_to_the_common_name_only_without_any_uri() -> None:
    assert sae_of(PeerNames(dns=("a.example",), common_names=("A",)), "auto") == "A"


@pytest.mark.parametrize(
    ("names", "rule", "reason"),
    [
        (PeerNames(), "auto", "no common name"),
        (PeerNames(uris=("urn:a", "urn:b"), common_names=("A",)), "auto", "2 URI in subjectAltName"),
        (PeerNames(common_names=("A", "B")), "cn", "2 common name"),
        (PeerNames(common_names=("A",)), "san-uri", "no URI in subjectAltName"),
        (PeerNames(dns=("a", "b")), "san-dns", "2 DNS name"),
        (PeerNames(common_names=("a" * 257,)), "cn", "no SAE id"),
        (PeerNames(common_names=("a\nb",)), "cn", "no SAE id"),
        (PeerNames(common_names=("",)), "cn", "no SAE id"),
    ],
)
def test_a_certificate_without_one_clear_name_is_refused(
    names: PeerNames, rule: SaeIdentity, reason: str
) -> None:
    with pytest.raises(Refused, match=reason):
        sae_of(names, rule)


def test_ids_are_compared_exactly() -> None:
    callers = Callers([SaeId("A")], "cn")
    assert callers.caller(PeerNames(common_names=("A",))) == "A"
    assert callers.serves(SaeId("A"))
    for text in ("a", "A ", " A"):
        with pytest.raises(Refused, match="no consumer"):
            callers.caller(PeerNames(common_names=(text,)))


def test_routes() -> None:
    assert route(b"/api/v1/keys/urn%3Asae%3Aa%2Fb/status") == ("status", "urn:sae:a/b")
    assert route(b"/api/v1/keys/urn:sae:a/status") == ("status", "urn:sae:a"), "a colon needs no encoding"
    assert route(b"/api/v1/keys/a+b/enc_keys") == ("enc_keys", "a+b"), "a plus is a plus in a path"
    assert route(b"/api/v1/keys/%C3%A4/dec_keys") == ("dec_keys", "ä")
    assert route(b"/api/v1/keys/%252F/dec_keys") == ("dec_keys", "%2F"), "decoded once"
    assert route(b"/api/v1/keys/../status") == ("status", ".."), "a name, not a step"
    assert route(b"//api/v1/keys/a/status") is None
    with pytest.raises(BadRequest):
        route(b"/api/v1/keys/%C3/status")


SERVICE = """
listen_port = 0
[tls]
certificate = "a.pem"
private_key = "a.key"
ca = "ca.pem"
"""


def test_settings_have_defaults_within_the_examples_of_the_standard() -> None:
    settings = parse_settings(SERVICE, ServiceSettings, where="agent.toml")
    assert (settings.default_key_bits, settings.max_keys_per_request, settings.sae_identity) == (
        256,
        128,
        "auto",
    )
    assert settings.tls.minimum_version == "1.3"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("listen_port = 70000", "listen_port 70000: not a port"),
        ("default_key_bits = 100", "default_key_bits 100: not a multiple of 8"),
        ("max_key_bits = 128", "min_key_bits <= default_key_bits <= max_key_bits"),
        ("max_keys_per_request = 0", "max_keys_per_request 0"),
        ("max_body_bytes = 1", "max_body_bytes 1"),
        ("request_wait_s = 0", "request_wait_s 0"),
        ("request_wait_s = -1.0", "request_wait_s -1.0"),
        ('sae_identity = "header"', "Invalid enum value 'header'"),
        ("kme_id = 5", "unknown key kme_id"),
    ],
)
def test_settings_out_of_bounds_are_refused_by_name(line: str, reason: str) -> None:
    text = f"{line}\n{SERVICE.replace('listen_port = 0', '') if 'listen_port' in line else SERVICE}"
    with pytest.raises(SettingsError, match=reason):
        parse_settings(text, ServiceSettings, where="agent.toml")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"sae_id": ""}, "printable"),
        ({"sae_id": "a\tb"}, "printable"),
        ({"sae_id": "a", "priority": -1}, "priority -1"),
        ({"sae_id": "a", "ttl_s": 2**32}, "ttl_s"),
        ({"sae_id": "a", "min_bandwidth_bps": 2, "max_bandwidth_bps": 1}, "above"),
    ],
)
def test_consumers_out_of_bounds_are_refused_by_name(values: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        ConsumerSettings(**values)  # type: ignore[arg-type]  # the point of the test
