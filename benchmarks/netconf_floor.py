"""The floor under a NETCONF server in Python: asyncssh and lxml and nothing else.

It cuts the input at the end-of-chunks mark, parses each rpc, looks at the name of the operation and answers
bytes that were made once, as long as those a real answer has. It holds no data and checks nothing.
"""

import asyncssh
from lxml import etree

from benchmarks.netconf_load import END, HELLO_END
from benchmarks.netconf_node import BASE, LINKS, node
from keyweave_yang.encode import encode_configuration, encode_node

HELLO = (
    f'<hello xmlns="{BASE}"><capabilities><capability>urn:ietf:params:netconf:base:1.1</capability>'
    f"</capabilities><session-id>1</session-id></hello>]]>]]>"
).encode()


def _reply(body: bytes) -> bytes:
    text = f'<rpc-reply xmlns="{BASE}" message-id="1">'.encode() + body + b"</rpc-reply>"
    return b"\n#%d\n%b%b" % (len(text), text, END)


def _answers() -> dict[str, bytes]:
    whole = etree.tostring(encode_node(node()))
    config = etree.tostring(encode_configuration(node()))
    return {
        "get": _reply(b"<data>" + whole + b"</data>"),
        "get-config": _reply(b"<data>" + config + b"</data>"),
        "one": _reply(b"<data>" + config[: len(config) // (3 * LINKS)].replace(b"<", b" ") + b"</data>"),
    }


class _Channel(asyncssh.SSHServerSession[bytes]):
    def __init__(self, answers: dict[str, bytes]) -> None:
        self._answers = answers
        self._rest = b""
        self._greeted = False
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None

    def connection_made(self, chan: "asyncssh.SSHServerChannel[bytes]") -> None:
        self._channel = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "netconf"

    def session_started(self) -> None:
        assert self._channel is not None
        self._channel.write(HELLO)

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:  # noqa: ARG002
        assert self._channel is not None
        self._rest += data
        if not self._greeted:
            _, mark, rest = self._rest.partition(HELLO_END)
            if not mark:
                return
            self._greeted, self._rest = True, rest
        while END in self._rest:
            message, _, self._rest = self._rest.partition(END)
            operation = etree.fromstring(message[message.index(b"<") :])[0]
            name = etree.QName(operation).localname
            if name == "get-config" and operation.find(".//{*}qkdl_id") is not None:
                name = "one"
            self._channel.write(self._answers.get(name, _reply(b"<ok/>")))


class _Login(asyncssh.SSHServer):
    def __init__(self, user: str, key: asyncssh.SSHKey, answers: dict[str, bytes]) -> None:
        self._user = user
        self._key = key
        self._answers = answers

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == self._user and key.public_data == self._key.public_data

    def session_requested(self) -> "asyncssh.SSHServerSession[bytes]":
        return _Channel(self._answers)


async def serve(public_key: str, user: str) -> int:
    """Listen on a free port of the loopback; returns it."""
    key, answers = asyncssh.import_public_key(public_key), _answers()
    server = await asyncssh.create_server(
        lambda: _Login(user, key, answers),
        "127.0.0.1",
        0,
        config=None,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        gss_host=None,
        encoding=None,
    )
    return server.get_port()
