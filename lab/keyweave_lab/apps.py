"""Applications (SAEs) that fetch keys by ETSI GS QKD 014, as a customer's encryptor would.

Rule of this file: it speaks the public interface only: HTTPS with a client certificate, JSON, nothing of the
agent's inside. What it gets is compared and digested; a key is never shown.
"""

import base64
import hashlib
import shlex
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import httpx

from keyweave_core.errors import PeerUnreachable, Unavailable
from keyweave_core.runtime.tls import TlsSettings, client_context


class KeyRequestFailed(Unavailable):
    """The key manager answered with an error. `status` is the HTTP status, `message` its text."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"HTTP {status}: {message or 'no body'}")
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedKey:
    """One key as an application holds it: its id, the SHA-256 digest of its bits, and its length.

    `link_id` is the virtual link the key was relayed over, when the key manager tells it; `origin` what it
    was made of, told of every key that is not of QKD alone.
    """

    key_id: str
    digest: str
    bits: int
    link_id: str | None = None
    origin: str = "qkd"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppAddress:
    """Where an application fetches its keys, and as whom."""

    sae_id: str
    base_url: str  # https://host:port of its own key manager
    tls: TlsSettings

    def keys_url(self, other: str, method: str) -> str:
        """The URL of one 014 method; `other` is the application at the far end."""
        return f"{self.base_url}/api/v1/keys/{quote(other, safe='')}/{method}"

    def curl(self, other: str, method: str, query: str = "") -> str:
        """The shell command that does the same by hand."""
        url = self.keys_url(other, method) + (f"?{query}" if query else "")
        files = (("--cacert", self.tls.ca), ("--cert", self.tls.certificate), ("--key", self.tls.private_key))
        options = " ".join(f"{name} {shlex.quote(str(_short(path)))}" for name, path in files)
        return f"curl -s {options} {shlex.quote(url)}"


def _short(path: Path) -> Path:
    """The path as seen from the working directory when it lies below it."""
    absolute = path.resolve()
    here = Path.cwd()
    return absolute.relative_to(here) if absolute.is_relative_to(here) else absolute


class App:
    """One application with a kept-alive connection to its key manager."""

    def __init__(
        self, address: AppAddress, *, timeout_s: float = 15.0, context: ssl.SSLContext | None = None
    ):
        self.address = address
        self._client = httpx.AsyncClient(verify=context or client_context(address.tls), timeout=timeout_s)

    async def __aenter__(self) -> "App":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def enc_keys(
        self,
        slave: str,
        *,
        number: int = 1,
        size_bits: int | None = None,
        with_path: bool = False,
        also: Sequence[str] = (),
    ) -> list[FetchedKey]:
        """Ask for new keys shared with `slave`, and with those of `also`. Raises KeyRequestFailed or
        PeerUnreachable.
        """
        body: dict[str, object] = {"number": number}
        if also:
            body["additional_slave_SAE_IDs"] = list(also)
        if size_bits is not None:
            body["size"] = size_bits
        if with_path:
            body["extension_optional"] = [{"keyweave_relay_link": True}]
        return await self._ask(self.address.keys_url(slave, "enc_keys"), body)

    async def dec_keys(self, master: str, key_ids: Sequence[str]) -> list[FetchedKey]:
        """Fetch the keys that `master` got, by their ids. Errors as `enc_keys`."""
        body: dict[str, object] = {"key_IDs": [{"key_ID": key_id} for key_id in key_ids]}
        return await self._ask(self.address.keys_url(master, "dec_keys"), body)

    async def status(self, slave: str) -> dict[str, object]:
        """The 014 status towards `slave`. Errors as `enc_keys`."""
        answer: dict[str, object] = (
            await self._send("GET", self.address.keys_url(slave, "status"), None)
        ).json()
        return answer

    async def _ask(self, url: str, body: dict[str, object]) -> list[FetchedKey]:
        answer = (await self._send("POST", url, body)).json()
        return [_digest(entry) for entry in answer["keys"]]

    async def _send(self, method: str, url: str, body: dict[str, object] | None) -> httpx.Response:
        try:
            response = await self._client.request(method, url, json=body)
        except httpx.HTTPError as error:
            raise PeerUnreachable(f"{url}: {str(error) or type(error).__name__}") from error
        if response.status_code != httpx.codes.OK:
            raise KeyRequestFailed(response.status_code, _message(response))
        return response


def _digest(entry: dict[str, object]) -> FetchedKey:
    content = base64.b64decode(str(entry["key"]), validate=True)
    extension = entry.get("key_extension")
    told = extension if isinstance(extension, dict) else {}
    link = told.get("keyweave_relay_link")
    return FetchedKey(
        key_id=str(entry["key_ID"]),
        digest=hashlib.sha256(content).hexdigest(),
        bits=len(content) * 8,
        link_id=None if link is None else str(link),
        origin=str(told.get("keyweave_origin", "qkd")),
    )


def _message(response: httpx.Response) -> str:
    """The error object of the standard as one line: its message and the values of its details."""
    try:
        answer = response.json()
    except ValueError:
        return response.text[:200]
    if not isinstance(answer, dict):
        return ""
    details = answer.get("details")
    said = [str(value) for entry in details for value in entry.values()] if isinstance(details, list) else []
    return ": ".join(
        [str(answer.get("message", "")), "; ".join(said)] if said else [str(answer.get("message", ""))]
    )
