"""What happens around every call: who is it, may they, and what becomes of an error.

Rule of this file: a method of a service does its work and raises errors of our tree; naming the caller,
refusing, mapping to google.rpc.Status and logging happen here, once, for all of them.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import wraps
from typing import Any, NoReturn, Protocol, TypeVar, cast

import grpc
from google.protobuf.message import Message
from grpc_status import rpc_status

from keyweave_controller.northbound.access import Access, Caller, may_change
from keyweave_controller.northbound.refusals import NotAllowed, status_of
from keyweave_core.errors import InternalFault, KeyweaveError, Refused
from keyweave_core.runtime.log import get_logger

Context = grpc.aio.ServicerContext[Any, Any]
RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)


class Guarded(Protocol):
    """A service whose methods are guarded."""

    access: Access


ServiceT = TypeVar("ServiceT", bound=Guarded)


def unary(
    *, changes: bool = False
) -> Callable[
    [Callable[[ServiceT, RequestT, Caller], Awaitable[ResponseT]]],
    Callable[[ServiceT, RequestT, Context], Awaitable[ResponseT]],
]:
    """Guard a method that answers once; `changes`: it changes the network, viewers are refused."""

    def guard(
        method: Callable[[ServiceT, RequestT, Caller], Awaitable[ResponseT]],
    ) -> Callable[[ServiceT, RequestT, Context], Awaitable[ResponseT]]:
        @wraps(method)
        async def guarded(service: ServiceT, request: RequestT, context: Context) -> ResponseT:
            try:
                return await method(service, request, _admit(service.access, context, changes))
            except Exception as error:  # noqa: BLE001 - the seam: nothing travels to a caller unmapped
                await _fail(context, error, method.__qualname__)

        return guarded

    return guard


def stream(
    method: Callable[[ServiceT, RequestT], AsyncIterator[ResponseT]],
) -> Callable[[ServiceT, RequestT, Context], AsyncIterator[ResponseT]]:
    """Guard a method that answers with a stream, which only looks."""

    @wraps(method)
    async def guarded(service: ServiceT, request: RequestT, context: Context) -> AsyncIterator[ResponseT]:
        try:
            _admit(service.access, context, changes=False)
            async for response in method(service, request):
                yield response
        except Exception as error:  # noqa: BLE001 - the seam, as above
            await _fail(context, error, method.__qualname__)

    return guarded


def _admit(access: Access, context: Context, changes: bool) -> Caller:
    try:
        caller = access.identify(cast("dict[str, list[bytes]]", context.auth_context()))
        if changes:
            may_change(caller)
    except Refused as error:
        raise NotAllowed(str(error)) from error
    return caller


async def _fail(context: Context, error: Exception, method: str) -> NoReturn:
    if not isinstance(error, KeyweaveError):
        get_logger("northbound").exception("call failed", method=method)
        error = InternalFault(str(error))
    await context.abort_with_status(rpc_status.to_status(status_of(error)))
    raise error  # abort_with_status has raised already; its type does not say so
