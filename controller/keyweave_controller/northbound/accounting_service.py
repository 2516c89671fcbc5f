"""The Accounting service: what was delivered over which path, and what it costs."""

# ruff: noqa: N802 - methods are called as the proto calls them

from keyweave_controller.engine.ports import Engine
from keyweave_controller.northbound import views
from keyweave_controller.northbound.access import Access, Caller
from keyweave_controller.northbound.calls import unary
from keyweave_controller.northbound.refusals import InvalidField
from keyweave_core.model import ids
from keyweave_core.model.ids import AppId
from keyweave_proto.v1 import keyweave_pb2 as pb
from keyweave_proto.v1 import keyweave_pb2_grpc as pb_grpc


class AccountingService(pb_grpc.AccountingServicer):
    """keyweave.v1.Accounting over the running engine."""

    def __init__(self, engine: Engine, access: Access) -> None:
        self.access = access
        self._engine = engine

    @unary()
    async def ListUsage(self, request: pb.ListUsageRequest, _caller: Caller) -> pb.ListUsageResponse:
        """Usage of one association, or of all."""
        wanted = _app_id("app_id", request.app_id) if request.app_id else None
        records = self._engine.management.usage()
        shown = [views.usage(record) for record in records if wanted in (None, record.app_id)]
        return pb.ListUsageResponse(records=shown)

    @unary()
    async def GetBill(self, request: pb.GetBillRequest, _caller: Caller) -> pb.Bill:
        """The bill of some associations, or of all."""
        wanted = [_app_id("app_ids", text) for text in request.app_ids]
        tariff = self._engine.management.tariff
        return views.bill(self._engine.management.bill(tariff, wanted or None), tariff)


def _app_id(field: str, text: str) -> AppId:
    try:
        return ids.app_id(text)
    except ValueError as error:
        raise InvalidField(field, str(error)) from error
