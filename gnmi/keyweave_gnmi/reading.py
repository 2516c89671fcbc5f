"""Get: a snapshot of what paths name (gNMI clause 3.3).

Rule of this file: one notification a path, in the order asked; what is not there makes a notification without
updates, a path that the schema does not have is an error. JSON tells a subtree as one value, PROTO each leaf.
"""

import asyncio
from collections.abc import Iterator

from keyweave_core.errors import Exhausted
from keyweave_core.netconf.ports import Kind
from keyweave_core.netconf.server.access import User
from keyweave_gnmi.faults import Unsupported
from keyweave_gnmi.matching import Found, Selection, find, leaves
from keyweave_gnmi.models import chosen_modules
from keyweave_gnmi.paths import Pattern, to_path
from keyweave_gnmi.subscribing import Answering
from keyweave_gnmi.values import check_encoding
from keyweave_gnmi.views import View, Views
from keyweave_proto.gnmi import gnmi_pb2 as pb

_CONFIG = {pb.GetRequest.ALL: None, pb.GetRequest.CONFIG: True, pb.GetRequest.STATE: False}
# What we observe is all of processes and of the devices outside: operational state is all the state.
_CONFIG[pb.GetRequest.OPERATIONAL] = False


async def get(request: pb.GetRequest, user: User, answering: Answering, views: Views) -> pb.GetResponse:
    """Answer a Get; paths default to the root.

    Raises BadPath, BadValue or Unsupported, Exhausted when the answer would be too big.
    """
    check_encoding(request.encoding)
    if request.type not in _CONFIG:
        raise Unsupported(f"data type {request.type} is not known here")
    answering.few_enough(len(request.path))
    paths = list(request.path) or [pb.Path()]
    patterns = [answering.pattern(request.prefix, path) for path in paths]
    selection = Selection(chosen_modules(request.use_models, answering.modules), _CONFIG[request.type])
    if request.type == pb.GetRequest.CONFIG:
        view = views.config(user)
    else:
        view = await views.operational(user)
    response = pb.GetResponse()
    size, most = 0, answering.limits.max_message_bytes
    for pattern in patterns:
        notification = pb.Notification(
            timestamp=view.at_ns,
            prefix=pb.Path(origin=pattern.origin, target=pattern.target),
            update=_updates(pattern, view, request.encoding, selection, answering),
        )
        size += notification.ByteSize()
        if size > most:
            raise Exhausted(f"an answer of more than {most} bytes: ask for less, or subscribe with ONCE")
        response.notification.append(notification)
        await asyncio.sleep(0)  # many paths into a big tree: others get their turns
    return response


def _updates(
    pattern: Pattern, view: View, encoding: int, selection: Selection, answering: Answering
) -> Iterator[pb.Update]:
    for found in find(answering.reader, pattern, view.elements):
        for part in _parts(found, encoding, selection, answering):
            yield pb.Update(
                path=to_path(part.steps, qualified=pattern.qualified),
                val=answering.values.write(part, encoding, selection),
            )


def _parts(found: Found, encoding: int, selection: Selection, answering: Answering) -> Iterator[Found]:
    """What becomes an update of its own."""
    held = leaves(answering.reader, found, selection)
    if encoding == pb.PROTO:
        yield from held
        return
    node = found.node
    present = node is not None and node.kind is Kind.CONTAINER and node.presence and selection.takes(node)
    if node is None or present or next(held, None) is not None:
        yield found
