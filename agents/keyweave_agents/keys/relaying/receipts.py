"""Acknowledgements on their way back: gathered, so that one tag proves many.

Rule of this file: what is owed to a neighbour goes out in one message a turn, or waits until there are bits
for its tag. A batch that is repeated is answered by the same message, every second time by a new one.
"""

from keyweave_agents.keys.relaying.frames import Ack
from keyweave_agents.keys.relaying.records import BatchKey, Record, Sent
from keyweave_agents.keys.relaying.sealed import write_acks
from keyweave_agents.keys.relaying.sealed_layout import MOST_ACKS
from keyweave_agents.keys.relaying.session import LinkSession
from keyweave_core.model.application import RelayMethod

KEY_AFTER_REPEATS = 3

_Owed = tuple[LinkSession, RelayMethod]


def ack_method(method: RelayMethod) -> RelayMethod:
    """How acknowledgements of keys that travel by `method` prove themselves."""
    return method if method is RelayMethod.AES_256_GCM else RelayMethod.OTP


class Receipts:
    """What this node has to acknowledge to the nodes before it."""

    def __init__(self) -> None:
        self._owed: dict[_Owed, dict[BatchKey, Record]] = {}

    def owe(self, record: Record) -> None:
        """A batch that came over a link is to be acknowledged there."""
        session = record.came_over
        if (
            session is not None and session.ready
        ):  # else the one before repeats the batch when it stands again
            self._owed.setdefault((session, ack_method(record.method)), {})[record.key] = record

    def again(self, record: Record) -> None:
        """It came once more: the acknowledgement may be lost, or still on its way."""
        ack = record.ack
        if ack is not None and ack.fresh:
            record.ack_repeats += 1
            if ack.method is not RelayMethod.OTP:
                if record.ack_repeats % KEY_AFTER_REPEATS == 0:  # they may not have our link key
                    ack.session.another_key()
            elif record.ack_repeats % 2:
                ack.session.send(ack.frame)
                return
        self.owe(record)

    def flush(self) -> None:
        """Send what is owed and can be proved now."""
        if not self._owed:
            return
        waiting: dict[_Owed, dict[BatchKey, Record]] = {}
        for owed, records in self._owed.items():
            session, method = owed
            due = {key: record for key, record in records.items() if record.came_over is session}
            while due and session.ready:
                if not session.affords(0, method):
                    waiting[owed] = due
                    break
                some = [due.pop(key) for key in list(due)[:MOST_ACKS]]
                acks = [
                    Ack(batch_id=key[0], link_id=key[1], keeper=record.keeper)
                    for key, record in ((record.key, record) for record in some)
                ]
                sent = Sent(session, session.number, session.seal(write_acks(acks), b"", method), method)
                for record in some:
                    record.ack = sent
        self._owed = waiting
