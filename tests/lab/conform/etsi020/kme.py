"""A key manager of 020, right in everything but the defect it is told to have."""

import asyncio
import base64
import json
import re
import uuid
from contextlib import suppress
from typing import Any

from tests.lab.conform.tiny_https import Request, Response

from keyweave_core.errors import KeyweaveError
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.tls import TlsSettings, client_context
from keyweave_lab.conform.https import open_line, place_of

PREFIX = "https://qkd.etsi.org/gs020-interop-kms/"
SAE = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]{1,64}\Z")


class Problem(Exception):
    """Leave with this problem."""

    def __init__(self, status: int, ending: str, **details: str) -> None:
        self.status, self.ending, self.details = status, ending, details


class Kme:
    """One key manager; `callback` is the one place that its peer may be acknowledged at."""

    def __init__(self, tls: TlsSettings, defect: str = "", *, synchronous: bool = True) -> None:
        self.tls = tls
        self.defect = defect
        self.synchronous = synchronous
        self.callback_port = 0
        self.keys: dict[str, tuple[str, str]] = {}  # value, state
        self.tasks: set[asyncio.Task[None]] = set()

    def has(self, *names: str) -> bool:
        return self.defect in names

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def handle(self, request: Request) -> Response:
        try:
            status, said = self._answer(request)
        except Problem as problem:
            status = 400 if self.has("mandatory-400") and problem.status == 503 else problem.status
            said = {"type": PREFIX + problem.ending, "status": status, "title": "x"}
            said["detail" if self.has("detail") else "details"] = problem.details
        except ValueError:
            status = 500 if self.has("no-json-500") else 400
            said = {"type": PREFIX + "invalid-parameter"}
        body = b"" if said is None else json.dumps(said).encode()
        return Response(
            status=status, body=body, type="text/html" if self.has("html") else "application/json"
        )

    def _answer(self, request: Request) -> tuple[int, Any]:
        if request.path == "/kmapi/versions":
            claims = self.synchronous or self.has("sync-claimed")
            versions = "v1" if self.has("versions-text") else ["v1"]
            return 200, {"versions": versions, "capabilities": ["synchronous_mode"] if claims else []}
        said = json.loads(request.body)
        if request.path == "/kmapi/v1/ext_keys/ack":
            return self._ack(said)
        if not isinstance(said, dict):
            raise Problem(400, "invalid-parameter")
        names = ["initiator_sae_id", "target_sae_ids"]
        names.append("keys" if request.path.endswith("ext_keys") else "key_ids")
        for name in names:
            if name not in said and not (self.has("missing") and name == "initiator_sae_id"):
                raise Problem(400, "missing-parameters", missing=name)
        initiator = said.get("initiator_sae_id", "x")
        if not SAE.match(initiator) and not (self.has("long") and len(initiator) > 64):
            raise Problem(400, "invalid-parameter", initiator_sae_id="x")
        callback = self._callback(said.get("ack_callback_url"))
        work = self._ext_keys if request.path == "/kmapi/v1/ext_keys" else self._void
        statuses = work(said)
        acks = [self._ack_of(said, key_id, status) for key_id, status in statuses.items()]
        if callback is None or self.has("200-async"):
            return 200, acks
        if not (self.has("no-ack") and work == self._ext_keys):
            self._tell(callback, acks)
        return 202, None

    def _callback(self, url: str | None) -> str | None:
        if url is None:
            if self.synchronous and not self.has("202-always"):
                return None
            if self.has("202-always", "sync-claimed"):
                return f"https://localhost:{self.callback_port}/nowhere"
            raise Problem(400, "missing-parameters", missing="ack_callback_url")
        if not url.startswith("https://") and not self.has("http"):
            raise Problem(400, "invalid-parameter", ack_callback_url="x")
        url = url.replace("http://", "https://")
        if place_of(url).port != self.callback_port and not self.has("elsewhere"):
            raise Problem(400, "invalid-parameter", ack_callback_url="x")
        return url

    def _ext_keys(self, said: dict[str, Any]) -> dict[str, str]:
        if said.get("extension_mandatory") and not self.has("mandatory-ignored"):
            raise Problem(503, "unsupported-mandatory-extension", unsupported_mandatory_extension="x")
        target = said["target_sae_ids"][0]
        back = target == said.get("initiator_sae_id")
        if target != "bob" and not self.has("back" if back else "unknown"):
            raise Problem(400, "key-routing-error", target_sae_id_not_recognized=target)
        fresh: dict[str, str] = {}
        for key in said["keys"]:
            key_id, value = key["key_id"], key["value"]
            if not self.has("no-uuid"):
                uuid.UUID(key_id)
            if not self.has("no-base64"):
                base64.b64decode(value, validate=True)
            known = self.keys.get(key_id)
            if known is not None:
                if known[0] != value and not self.has("other"):
                    if self.has("half"):
                        self.keys |= {k["key_id"]: (k["value"], "relayed") for k in said["keys"][1:]}
                    raise Problem(400, "invalid-parameter", key_id=key_id)
                if (known[1] == "voided" and not self.has("resurrects")) or self.has("once"):
                    raise Problem(400, "invalid-parameter", key_id=key_id)
            fresh[key_id] = value
        self.keys |= {key_id: (value, "relayed") for key_id, value in fresh.items()}
        return dict.fromkeys(fresh, "done" if self.has("done") else "relayed")

    def _void(self, said: dict[str, Any]) -> dict[str, str]:
        if not said["key_ids"] and not said.get("all_confirmation") and not self.has("void-all"):
            raise Problem(400, "no-key-ids-or-confirmation", no_all_confirmation="x")
        found = {}
        for key_id in said["key_ids"]:
            known = self.keys.get(key_id)
            if known is None:
                found[key_id] = "key not present"
            elif self.has("keeps"):
                found[key_id] = "failed to void"
            elif known[1] == "voided" and self.has("void-once"):
                found[key_id] = "failed"
            else:
                self.keys[key_id] = (known[0], "voided")
                found[key_id] = "voided"
        return found

    def _ack(self, said: Any) -> tuple[int, Any]:
        if isinstance(said, dict) and self.has("ack-object-taken"):
            return 200, None
        if not isinstance(said, list):
            raise Problem(400, "ack-not-understood")
        if any(one["ack_status"] == "perhaps" for one in said) and not self.has("perhaps"):
            raise Problem(400, "ack-not-understood")
        return 200, None

    def _ack_of(self, said: dict[str, Any], key_id: str, status: str) -> dict[str, Any]:
        return {
            "key_id_container": [{"key_id": key_id}],
            "ack_status": status,
            "initiator_sae_id": said.get("initiator_sae_id", "x"),
            "target_sae_ids": ["mallory"] if self.has("parties") else said["target_sae_ids"],
        }

    def _tell(self, callback: str, acks: list[dict[str, Any]]) -> None:
        task = asyncio.create_task(self._post(callback, acks))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _post(self, callback: str, acks: list[dict[str, Any]]) -> None:
        for said in acks if self.has("ack-object") else [acks]:
            await self._say(callback, said)

    async def _say(self, callback: str, said: Any) -> None:
        for _ in range(1 if self.has("no-retry") else 3):
            with suppress(KeyweaveError):
                place = place_of(callback)
                line = await open_line(place, client_context(self.tls), SystemClock(), limit_s=2.0)
                try:
                    body = json.dumps(said).encode()
                    if (await line.ask("POST", place.prefix, body, limit_s=2.0)).status == 200:
                        return
                finally:
                    await line.close()
            await asyncio.sleep(0.05)
