"""The tree of errors of the whole project.

    KeyweaveError                       everything we raise on purpose; `str(e)` names what and where
    +-- InvalidInput                    the peer's or the user's fault; nothing was changed
    |   +-- SettingsError               a settings, topology or tariff file (file, key or line, reason)
    |   +-- MalformedMessage            bytes that are no message of the protocol
    |   +-- SchemaViolation             data that the YANG schema refuses (path, reason, error-tag)
    |   +-- Refused                     understood, and not granted (reasons)
    +-- Unavailable                     cannot be done now; the same call may succeed later
    |   +-- PeerUnreachable             the other end did not answer or closed
    |   +-- Exhausted                   no key (or no place) left
    |   +-- DeadlineExceeded            the bounded wait ended
    +-- InternalFault                   ours: an invariant does not hold

Rule of this file: a class says whose fault it is. Foreign errors are mapped (`raise ... from`) in the
adapter that met them, and never travel further. Protocol layers add leaves in their own modules
(`netconf.messages.RpcError`) below one of these.
"""


class KeyweaveError(Exception):
    """Root of everything the project raises on purpose."""


class InvalidInput(KeyweaveError):
    """What came in is wrong; nothing was changed."""


class SettingsError(InvalidInput):
    """A file of the operator is wrong; the text names the file, the key or line, and the reason."""


class MalformedMessage(InvalidInput):
    """Bytes that do not form a message of the protocol."""


class SchemaViolation(InvalidInput):
    """Data that the YANG schema refuses.

    `path` is the instance path of the offending node ('' for the root), `tag` the NETCONF error-tag that
    fits (RFC 6241 appendix A), `app_tag` the error-app-tag or None.
    """

    def __init__(
        self, message: str, *, path: str = "", tag: str = "invalid-value", app_tag: str | None = None
    ):
        super().__init__(f"{path}: {message}" if path else message)
        self.reason = message
        self.path = path
        self.tag = tag
        self.app_tag = app_tag


class Refused(InvalidInput):
    """Understood and not granted; `reasons` are whole sentences for the caller."""

    def __init__(self, *reasons: str):
        super().__init__("; ".join(reasons))
        self.reasons = reasons


class Unavailable(KeyweaveError):
    """Cannot be done now; the same call may succeed later."""


class PeerUnreachable(Unavailable):
    """The other end did not answer, refused the connection or closed it."""


class Exhausted(Unavailable):
    """No key, no place or no session left."""


class DeadlineExceeded(Unavailable):
    """A bounded wait ended."""


class InternalFault(KeyweaveError):
    """An invariant of ours does not hold: a defect to report."""
