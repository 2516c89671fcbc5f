"""What a key manager of whatever make may ask and tell our SDN agent.

Rule of this file: a registration is answered when the key stream stands along the whole path, or was refused,
or not in time. `GET /link/status` tells what this node knows: an agent sees no other node's keys.
"""

from keyweave_agents.keys.plan import AssociationWanted
from keyweave_agents.quicks import messages as said
from keyweave_agents.quicks.caller import Caller
from keyweave_agents.quicks.door import Call, CallProblem, Door, Reply
from keyweave_agents.quicks.remote_keys import RemoteKeys, registration_wish
from keyweave_core.model.ids import SaeId
from keyweave_core.runtime.log import Logger

_LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "critical": "error"}


class AgentDoor:
    """Serves the calls of the node's key manager."""

    def __init__(self, keys: RemoteKeys, caller: Caller, *, registration_s: float, log: Logger) -> None:
        self._keys = keys
        self._caller = caller
        # Earlier than the caller, which would otherwise end the call while its answer is on the way.
        self._wait_s = 0.8 * registration_s
        self._log = log

    def serve(self, door: Door) -> None:
        """Put every call of the interface on `door`."""
        door.on("GET", "/version", self._version)
        door.on("GET", "/link/status", self._link_status)
        door.on("POST", "/link/registration", self._register)
        door.on("PATCH", "/link/registration", self._joined)
        door.on("DELETE", "/link/{key_stream_id}", self._closed)
        door.on("POST", "/notification/registration", self._introduced)
        door.on("PATCH", "/notification/status", self._status)
        door.on("PUT", "/notification/event", self._event)

    async def _version(self, _call: Call) -> Reply:
        return 200, said.write(said.Version(version=said.VERSION))

    async def _link_status(self, call: Call) -> Reply:
        master, slave = call.query.get("master_sae_id", ""), call.query.get("slave_sae_id", "")
        if not master or not slave:
            raise CallProblem(400, "master_sae_id and slave_sae_id are wanted")
        served = self._keys.serving(SaeId(master), (SaeId(slave),))
        if served is None:
            raise CallProblem(404, f"no key stream of {master} with {slave} stands here")
        offers = await self._caller.ask("GET", "/monitor/capabilities", said.Capabilities)
        info = offers.etsi_014_info
        if info is None:
            raise CallProblem(501, "the key manager says nothing of 014")
        plan = self._keys.known_stream(served[0])
        return 200, said.write(
            said.Status014(
                source_KME_ID=info.KME_ID,
                target_KME_ID=(plan.remote_node if plan is not None else None) or "",
                master_SAE_ID=master,
                slave_SAE_ID=slave,
                key_size=info.key_size,
                stored_key_count=info.stored_key_count,
                max_key_count=info.max_key_count,
                max_key_per_request=info.max_key_per_request,
                max_key_size=info.max_key_size,
                min_key_size=info.min_key_size,
                max_SAE_ID_count=info.max_SAE_ID_count,
            )
        )

    async def _register(self, call: Call) -> Reply:
        registration = said.read(call.body, said.Registration)
        if registration.options.multipath:
            raise CallProblem(501, "keys are not split over several paths on this interface")
        wish: AssociationWanted = registration_wish(registration)
        answer = await self._keys.registered(wish, self._wait_s)
        if answer is None:
            raise CallProblem(503, "the controller did not answer in time")
        if not isinstance(answer[-1], said.RelayOrder):
            raise CallProblem(403, "; ".join(str(reason) for reason in answer) or "refused")
        stream, order = str(answer[0]), answer[-1]
        granted = order.qos_request.etsi_004
        return 201, said.write(
            said.Registered(
                key_stream_id=stream,
                next_node_info=order.next_node_info,
                qos=said.QosGranted(
                    max_bps=0 if granted is None else granted.max_bps,
                    min_bps=0 if granted is None else granted.min_bps,
                    priority=0 if granted is None else granted.priority,
                    ttl=0 if granted is None else granted.ttl,
                ),
            )
        )

    async def _joined(self, call: Call) -> Reply:
        joined = said.read(call.body, said.Joined)
        if self._keys.known_stream(joined.key_stream_id) is None:
            raise CallProblem(404, f"there is no key stream {joined.key_stream_id}")
        self._log.info("application_joined", key_stream=joined.key_stream_id, application=joined.destination)
        return 200, b""

    async def _closed(self, call: Call) -> Reply:
        plan = self._keys.known_stream(call.path["key_stream_id"])
        if plan is None:
            raise CallProblem(404, f"there is no key stream {call.path['key_stream_id']}")
        self._keys.ended(plan)
        return 200, b""

    async def _introduced(self, call: Call) -> Reply:
        who = said.read(call.body, said.Introduction)
        self._log.info(
            "key_manager_introduced", kms_id=who.kms_id, vendor=who.model.device_vendor, links=who.link_ids
        )
        self._keys.introduced()
        return 201, b""

    async def _status(self, call: Call) -> Reply:
        report = said.read(call.body, said.StatusReport)
        self._log.info("key_manager_status", state=report.state, reason=report.reason)
        return 200, b""

    async def _event(self, call: Call) -> Reply:
        report = said.read(call.body, said.EventReport)
        getattr(self._log, _LEVELS[report.level])("key_manager_event", code=report.code, reason=report.reason)
        return 200, b""
