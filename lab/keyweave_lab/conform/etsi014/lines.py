"""How the suite reaches key managers: who asks, with which certificate, over which connection.

Rule of this file: connections are kept while the server keeps them, so that a run is not mostly handshakes.
"""

import ssl
import warnings
from dataclasses import dataclass

from keyweave_core.errors import SettingsError
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.tls import TlsSettings, client_context
from keyweave_lab.conform.https import Closed, Line, Place, Reply, open_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Sae:
    """An application: its id, its certificate, and its key manager."""

    id: str
    place: Place
    tls: TlsSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the caller decides. Times in seconds; None: the checks that need it are not applicable."""

    master: Sae
    slave: Sae
    third: Sae | None = None  # an application that is not named in requests, for entitlement
    foreign: TlsSettings | None = None  # a certificate of an authority that the key manager does not accept
    check_name: bool = True  # compare the host name with the server's certificate
    message_limit_s: float = 10.0  # one exchange
    check_limit_s: float = 90.0  # one check
    patience_s: float = 20.0  # what the network may take until there is a key
    bulk: int = 1024  # most keys in one request


class Lines:
    """Connections to the key managers of one run."""

    def __init__(self, options: Options, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._kept: dict[str, list[Line]] = {}

    def context(self, tls: TlsSettings) -> ssl.SSLContext:
        """The context that shows this certificate; raises SettingsError for files that are none."""
        ident = f"{tls.certificate}\0{tls.private_key}\0{tls.ca}"
        if ident not in self._contexts:
            with_1_2 = TlsSettings(
                certificate=tls.certificate, private_key=tls.private_key, ca=tls.ca, minimum_version="1.2"
            )
            self._contexts[ident] = client_context(with_1_2, check_hostname=self._options.check_name)
        return self._contexts[ident]

    def nameless(self, *, old: bool = False) -> ssl.SSLContext:
        """A context without a certificate; `old` offers TLS 1.0 and 1.1 alone, with the master's one."""
        tls = self._options.master.tls
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = self._options.check_name
        if old:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # being old is what it is for
                context.minimum_version = ssl.TLSVersion.TLSv1
                context.maximum_version = ssl.TLSVersion.TLSv1_1
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.load_cert_chain(tls.certificate, tls.private_key)
        try:
            context.load_verify_locations(cafile=tls.ca)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(f"{tls.ca}: no usable certificate of an authority") from error
        return context

    async def open(self, sae: Sae, context: ssl.SSLContext | None = None) -> Line:
        """A connection to the application's key manager, which the caller closes."""
        return await open_line(
            sae.place,
            context or self.context(sae.tls),
            self._clock,
            limit_s=self._options.message_limit_s,
        )

    async def ask(
        self,
        sae: Sae,
        verb: str,
        target: str,
        content: bytes,
        headers: dict[str, str],
        context: ssl.SSLContext | None = None,
    ) -> Reply:
        """One exchange; with a `context` over a connection of its own. Errors as `https.Line.ask`."""
        if context is not None:
            line = await self.open(sae, context)
            reply, line = await self._exchange(line, verb, target, content, headers)
            await line.close()
            return reply
        kept = self._kept.setdefault(f"{sae.tls.certificate} {sae.place.authority}", [])
        reply, line = await self._over(sae, kept, verb, target, content, headers)
        if line.reusable:
            kept.append(line)
        else:
            await line.close()
        return reply

    async def _over(
        self,
        sae: Sae,
        kept: list[Line],
        verb: str,
        target: str,
        content: bytes,
        headers: dict[str, str],
    ) -> tuple[Reply, Line]:
        """The exchange over a connection that is open, or over a new one."""
        while kept:
            line = kept.pop()
            try:
                return await self._exchange(line, verb, target, content, headers)
            except Closed:
                continue  # the server may close a resting connection at any moment (RFC 7230 6.3.1)
        return await self._exchange(await self.open(sae), verb, target, content, headers)

    async def _exchange(
        self, line: Line, verb: str, target: str, content: bytes, headers: dict[str, str]
    ) -> tuple[Reply, Line]:
        try:
            limit_s = self._options.message_limit_s
            return await line.ask(verb, target, content, headers, limit_s=limit_s), line
        except BaseException:
            await line.close()
            raise

    async def close(self) -> None:
        """Close what is open."""
        for kept in self._kept.values():
            for line in kept:
                await line.close()
        self._kept.clear()
