"""What an operator may switch on or off in a server, told from one place.

Rule of this file: hello, yang-library and the behaviour of operations all ask this value, so that nothing is
announced that is not served.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFeatures:
    """The optional parts of a server.

    `startup`: a startup datastore of its own (RFC 6241 clause 8.7); running then outlives the process only
    after it was copied there. Without it running itself is kept at every change.
    """

    startup: bool = False

    @property
    def netconf(self) -> tuple[str, ...]:
        """The features of ietf-netconf that the server has."""
        return (
            "writable-running",
            "candidate",
            "confirmed-commit",
            "rollback-on-error",
            "validate",
            "xpath",
            *(("startup",) if self.startup else ()),
        )
