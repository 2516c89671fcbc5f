"""Negotiation of the quality of a key stream: what is asked for, what this key manager can do. Pure.

Rule of this file: a field that the application left open (0) is chosen here; a field that cannot be had as
asked becomes the nearest that can, and then the quality is not met as a whole (status 7). What is chosen
means:

    chunk_bytes  every key of the stream has this size
    max_bps      key is made at this rate at most, so the stream never takes more from the network
    min_bps      the minimum that the network is asked to reserve; 0: nothing is reserved
    jitter_bps   returned as asked: deliveries are neither delayed nor spread, nothing is promised
    priority     larger goes first, as in `app_priority`; an application cannot raise its own
    timeout_ms   how long OPEN_CONNECT and GET_KEY wait
    ttl_s        how long a chunk that nobody fetches is kept, and a stream that nobody uses
"""

from dataclasses import dataclass, replace

from keyweave_agents.service.streams.values import JSON, StreamQos


@dataclass(frozen=True, slots=True, kw_only=True)
class QosBounds:
    """What one application can have: `default` where it leaves the choice, `most`, and the `least` chunk."""

    default: StreamQos
    most: StreamQos
    least_chunk_bytes: int


def known_mimetype(mimetype: str) -> bool:
    """Whether metadata of this media type (or none) can be given."""
    return mimetype in ("", JSON)


def negotiate(asked: StreamQos, bounds: QosBounds) -> tuple[StreamQos, bool]:
    """The quality that is assigned, and whether it is all that was asked for."""
    most, default = bounds.most, bounds.default
    max_bps = min(asked.max_bps or default.max_bps, most.max_bps)
    assigned = StreamQos(
        chunk_bytes=min(
            max(asked.chunk_bytes or default.chunk_bytes, bounds.least_chunk_bytes), most.chunk_bytes
        ),
        max_bps=max_bps,
        min_bps=min(asked.min_bps or default.min_bps, most.min_bps, max_bps),
        jitter_bps=asked.jitter_bps,
        priority=min(asked.priority or default.priority, most.priority),
        timeout_ms=min(asked.timeout_ms or default.timeout_ms, most.timeout_ms),
        ttl_s=min(asked.ttl_s or default.ttl_s, most.ttl_s),
        mimetype=asked.mimetype if known_mimetype(asked.mimetype) else JSON,
    )
    return assigned, _met(asked, assigned)


def _met(asked: StreamQos, assigned: StreamQos) -> bool:
    chosen = {
        name: getattr(assigned, name)
        for name in ("chunk_bytes", "max_bps", "min_bps", "priority", "timeout_ms", "ttl_s")
        if not getattr(asked, name)
    }
    return replace(asked, **chosen) == assigned
