"""Following a controller: three streams of changes, told as lines in the order in which they came."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator

import grpc

from keyweave_core.model.units import show_bits, show_rate
from keyweave_lab import show
from keyweave_lab.dial import Controller
from keyweave_proto.v1 import keyweave_pb2 as pb

Update = pb.TopologyUpdate | pb.AssociationUpdate | pb.AlarmUpdate

_PENDING = 256
"""Updates kept between streams and writer; a full queue holds the streams, and the controller merges."""


def follow(controller: Controller, *, as_json: bool, write: Callable[[str], None]) -> None:
    """Write a line for each change, the present state first; returns only by an error or an interrupt.

    With `as_json` each line is one update message as JSON, otherwise a sentence for people.
    """
    streams = (
        controller.topology.Watch(pb.WatchTopologyRequest()),
        controller.associations.Watch(pb.WatchAssociationsRequest()),
        controller.alarms.Watch(pb.WatchAlarmsRequest()),
    )
    updates: queue.Queue[Update | grpc.RpcError | None] = queue.Queue(_PENDING)
    readers = [threading.Thread(target=_drain, args=(stream, updates), daemon=True) for stream in streams]
    for reader in readers:
        reader.start()
    fresh = Fresh()
    try:
        while (update := updates.get()) is not None:
            if isinstance(update, grpc.RpcError):
                raise update
            for line in (show.json_line(update),) if as_json else fresh(sentences(update)):
                write(line)
    finally:
        for stream in streams:
            stream.cancel()


class Fresh:
    """Leaves out sentences that say what was said last of the same thing: what changed is not in them."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}

    def __call__(self, lines: Iterable[str]) -> Iterator[str]:
        """Those that are new."""
        for line in lines:
            about = line.partition(": ")[0]
            if self._last.get(about) != line:
                self._last[about] = line
                yield line


def _drain(stream: Iterable[Update], updates: "queue.Queue[Update | grpc.RpcError | None]") -> None:
    try:
        for update in stream:
            updates.put(update)
    except grpc.RpcError as error:
        updates.put(error)
    else:
        updates.put(None)


def sentences(update: Update) -> list[str]:
    """One update as sentences for people."""
    match update:
        case pb.TopologyUpdate():
            return [
                *(_node(item) for item in update.nodes),
                *(_link(item) for item in update.links),
                *(f"node {item} removed" for item in update.removed_node_ids),
                *(f"link {item} removed" for item in update.removed_link_ids),
            ]
        case pb.AssociationUpdate():
            return [
                *(_association(item) for item in update.associations),
                *(f"association {item} forgotten" for item in update.removed_app_ids),
            ]
        case _:
            return [_alarm(item) for item in update.alarms]


def _node(item: pb.Node) -> str:
    return f"node {item.name}: " + ("connected" if item.connected else f"lost: {item.lost_reason}")


def _link(item: pb.Link) -> str:
    rate, stored = show_rate(item.skr_bps), show_bits(item.stored_bits)
    promised = show_rate(item.reserved_bps)
    text = f"link {item.a_name} - {item.b_name}: {show.link_word(item.status)}, {rate}, {promised} promised"
    text += f", {stored} stored"
    return f"{text}, {item.down_reason}" if item.down_reason else text


def _association(item: pb.Association) -> str:
    to = " and ".join((item.destination, *item.further_destinations))
    text = f"association {item.source} > {to}: {show.state_word(item.state)}"
    if item.HasField("path"):
        text += f" over {show.way_text(item.path, ' and ')}"
    return f"{text} ({'; '.join(item.reasons)})" if item.reasons else text


def _alarm(item: pb.Alarm) -> str:
    verb = "cleared" if item.HasField("cleared_at") else "raised"
    where = item.resource_name or item.resource
    return f"alarm {verb}: {item.type} at {where}: {item.text} ({len(item.affected_app_ids)} affected)"
