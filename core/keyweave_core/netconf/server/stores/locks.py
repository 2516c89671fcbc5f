"""Global locks of datastores (RFC 6241 clauses 7.5 and 7.6)."""

from keyweave_core.netconf.protocol.rpc_errors import RpcError, base_info
from keyweave_core.netconf.server.stores.snapshots import Lock, Store


class Locks:
    """Who holds which; `held` is to be read only."""

    def __init__(self) -> None:
        self.held: dict[Store, Lock] = {}

    def refuse(self, session_id: int, store: Store) -> None:
        """RpcError in-use when another session holds the lock."""
        held = self.held.get(store)
        if held is not None and held.session_id != session_id:
            raise RpcError("in-use", f"{store} is locked by session {held.session_id}")

    def refuse_second(self, store: Store) -> None:
        """RpcError lock-denied when anybody holds the lock."""
        held = self.held.get(store)
        if held is not None:
            raise denied(f"{store} is locked by session {held.session_id}", held.session_id)

    def take(self, session_id: int, store: Store, now_s: float) -> None:
        """Note a lock that nothing speaks against."""
        self.held[store] = Lock(session_id, now_s)

    def give(self, session_id: int, store: Store) -> None:
        """Free a lock; RpcError operation-failed when the session does not hold it."""
        held = self.held.get(store)
        if held is None or held.session_id != session_id:
            raise RpcError("operation-failed", f"this session holds no lock of {store}", type="protocol")
        del self.held[store]

    def of(self, session_id: int) -> list[Store]:
        """What a session has locked."""
        return [store for store, held in self.held.items() if held.session_id == session_id]


def denied(message: str, session_id: int) -> RpcError:
    """A lock cannot be had because of a session (0: of nobody's)."""
    return RpcError("lock-denied", message, type="protocol", info=base_info(session_id=str(session_id)))
