"""Fields of requests that several services read.

Rule of this file: what is wrong is an InvalidField with the path of the field in its message.
"""

from keyweave_controller.northbound.refusals import InvalidField
from keyweave_core.model.application import AppQos
from keyweave_core.model.ids import SaeId
from keyweave_proto.v1 import keyweave_pb2 as pb

MAX_SAE = 255
"""Longest name of an application, characters."""


def sae(field: str, text: str) -> SaeId:
    """The name of an application."""
    if not text.strip():
        raise InvalidField(field, "must name an application")
    if len(text) > MAX_SAE:
        raise InvalidField(field, f"at most {MAX_SAE} characters, not {len(text)}")
    if not text.isprintable():
        raise InvalidField(field, "must be printable text")
    return SaeId(text)


def qos(field: str, wish: pb.Qos) -> AppQos:
    """What an application is to get; zero is no value where it would mean nothing."""

    def given(name: str) -> int | None:
        return getattr(wish, name) if wish.HasField(name) else None

    for name in ("ttl_s", "max_bandwidth_bps"):
        if given(name) == 0:
            raise InvalidField(f"{field}.{name}", "must be above 0 when it is given")
    low, high = given("min_bandwidth_bps"), given("max_bandwidth_bps")
    if low is not None and high is not None and high < low:
        raise InvalidField(f"{field}.max_bandwidth_bps", f"{high} is below the minimum of {low} bit/s")
    return AppQos(
        min_bandwidth_bps=low,
        max_bandwidth_bps=high,
        jitter_ms=given("jitter_ms"),
        ttl_s=given("ttl_s"),
        clients_shared_path_enable=wish.shared_path,
        clients_shared_keys_required=wish.shared_keys,
    )
