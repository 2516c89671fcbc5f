"""The service gnmi.gNMI on one system.

Rule of this file: a method does its work and raises errors of our tree; who calls, how many at a time, what
an error becomes and what is logged happens around it, once. What a caller may see and change is asked of the
same access control as for NETCONF: Set counts as edit-config, Get and Subscribe as get.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import grpc
from lxml import etree

from keyweave_core.errors import Exhausted, InternalFault, KeyweaveError
from keyweave_core.netconf.protocol.elements import element as new_element
from keyweave_core.netconf.protocol.rpc_errors import BASE
from keyweave_core.netconf.server.access import User
from keyweave_core.netconf.server.stores.datastores import Editor
from keyweave_core.netconf.server.system import System
from keyweave_core.runtime.log import Logger
from keyweave_gnmi.callers import Callers
from keyweave_gnmi.limits import GnmiLimits
from keyweave_gnmi.models import capabilities, check_extensions
from keyweave_gnmi.reading import get
from keyweave_gnmi.statuses import status_of
from keyweave_gnmi.streaming import Subscriber
from keyweave_gnmi.subscribing import Answering
from keyweave_gnmi.text_paths import path_text
from keyweave_gnmi.views import Views
from keyweave_gnmi.writing import SetReader
from keyweave_proto.gnmi import gnmi_ext_pb2 as ext
from keyweave_proto.gnmi import gnmi_pb2 as pb
from keyweave_proto.gnmi import gnmi_pb2_grpc as pb_grpc

Context = grpc.aio.ServicerContext[Any, Any]


class GnmiService(pb_grpc.gNMIServicer):
    """The four methods."""

    def __init__(self, system: System, callers: Callers, limits: GnmiLimits, log: Logger) -> None:
        self._system = system
        self._callers = callers
        self._limits = limits
        self._log = log
        self._answering = Answering(system, limits)
        self._sets = SetReader(
            self._answering.reader,
            system.places,
            max_paths=limits.max_paths,
            max_elements=limits.max_path_elements,
        )
        self._streams: Counter[str] = Counter()
        self.views = Views(system, refresh_s=limits.refresh_s, log=log)

    async def Capabilities(  # noqa: N802 - the name on the wire
        self, request: pb.CapabilityRequest, context: Context
    ) -> pb.CapabilityResponse:
        """What is served."""
        try:
            self._admit(context, "get", request.extension)
            return capabilities(self._system.modules)
        except Exception as error:  # noqa: BLE001 - the seam: nothing travels to a caller unmapped
            await self._fail(context, error, "Capabilities")

    async def Get(self, request: pb.GetRequest, context: Context) -> pb.GetResponse:  # noqa: N802
        """A snapshot."""
        try:
            user = self._admit(context, "get", request.extension)
            return await get(request, user, self._answering, self.views)
        except Exception as error:  # noqa: BLE001 - the seam, as above
            await self._fail(context, error, "Get")

    async def Set(self, request: pb.SetRequest, context: Context) -> pb.SetResponse:  # noqa: N802
        """One change of running, whole or not at all."""
        try:
            user = self._admit(context, "edit-config", request.extension)
            change = self._sets.read(request)
            await self._system.datastores.rewrite(Editor(0, user), change)
        except Exception as error:  # noqa: BLE001 - the seam, as above
            await self._fail(context, error, "Set")
        done = [pb.UpdateResult(path=path, op=pb.UpdateResult.DELETE) for path in request.delete]
        done += [pb.UpdateResult(path=each.path, op=pb.UpdateResult.REPLACE) for each in request.replace]
        done += [pb.UpdateResult(path=each.path, op=pb.UpdateResult.UPDATE) for each in request.update]
        self._log.info(
            "set", user=user.name, peer=context.peer(), paths=[path_text(each.path) for each in done[:20]]
        )
        return pb.SetResponse(
            prefix=request.prefix, response=done, timestamp=round(self._system.clock.now() * 1e9)
        )

    async def Subscribe(  # noqa: N802
        self, requests: AsyncIterator[pb.SubscribeRequest], context: Context
    ) -> None:
        """A stream of what is and what changes."""
        try:
            user = self._admit(context, "get", ())
            with self._one_stream(user):
                await Subscriber(
                    user,
                    self._answering,
                    self.views,
                    self._system.clock,
                    requests=aiter(requests),
                    send=context.write,
                ).run()
        except Exception as error:  # noqa: BLE001 - the seam, as above
            await self._fail(context, error, "Subscribe")

    @property
    def streams(self) -> int:
        """Subscribe calls that are open."""
        return self._streams.total()

    def _admit(self, context: Context, operation: str, extensions: Iterable[ext.Extension]) -> User:
        user = self._callers.identify(context.auth_context())
        self._system.access.check_operation(user, _operation(operation))
        check_extensions(extensions)
        return user

    @contextmanager
    def _one_stream(self, user: User) -> Iterator[None]:
        if self.streams >= self._limits.max_streams:
            raise Exhausted(f"{self.streams} subscriptions are open, as many as allowed")
        if self._streams[user.name] >= self._limits.max_streams_per_user:
            raise Exhausted(f"{user.name} has {self._streams[user.name]} subscriptions, as many as allowed")
        self._streams[user.name] += 1
        try:
            yield
        finally:
            self._streams[user.name] -= 1
            if not self._streams[user.name]:
                del self._streams[user.name]

    async def _fail(self, context: Context, error: Exception, method: str) -> NoReturn:
        if not isinstance(error, KeyweaveError):
            self._log.exception("call failed", method=method)
            error = InternalFault("an unexpected fault of this server, see its log")
        code, text = status_of(error)
        self._log.info("refused", method=method, peer=context.peer(), code=code.name, reason=text)
        await context.abort(code, text)
        raise error  # abort has raised already; its type does not say so


def _operation(name: str) -> etree._Element:
    return new_element(f"{{{BASE}}}{name}", {None: BASE})
