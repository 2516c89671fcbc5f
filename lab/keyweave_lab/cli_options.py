"""Options that several verbs of the `keyweave` command take, as groups.

Rule of this file: a group is a dataclass whose fields are options; a verb takes a group as one argument, and
`grouped` shows its fields to the command line. What is wrong with an option is told before anybody is called.
"""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import StrEnum
from functools import wraps
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keyweave_core.errors import InvalidInput
from keyweave_lab.cli_frame import DEFAULT_LAB, Address, Ca, Cert, Form, Key, LabDir, Output

if TYPE_CHECKING:
    from keyweave_lab.dial import Controller
    from keyweave_proto.v1 import keyweave_pb2 as pb

MOST_BPS = 2**32 - 1


class Technology(StrEnum):
    """Kinds of QKD module, by the names of the proto in small letters."""

    CV_QKD = "cv-qkd"
    DV_QKD = "dv-qkd"
    DV_QKD_COW = "dv-qkd-cow"
    DV_QKD_2WS = "dv-qkd-2ws"


class ServiceClass(StrEnum):
    """Classes of service."""

    GUARANTEED = "guaranteed"
    BEST_EFFORT = "best-effort"
    SCHEDULED = "scheduled"


LATEST = 253_402_300_799.0
"""End of the year 9999, seconds since 1970: no later moment can be sent."""


class Protection(StrEnum):
    """What happens when a path fails."""

    RESTORATION = "none"
    ONE_TO_ONE = "1:1"
    ONE_PLUS_ONE = "1+1"


class Disjointness(StrEnum):
    """What protecting paths may not share."""

    LINKS = "links"
    NODES = "nodes"
    RISKS = "risks"


class KeyMode(StrEnum):
    """What keys may be made of."""

    QKD_ONLY = "qkd-only"
    HYBRID = "hybrid"
    PQC_FALLBACK = "pqc-fallback"


class RelayMethod(StrEnum):
    """How keys travel from hop to hop."""

    ONE_TIME_PAD = "one-time-pad"
    AES_256_GCM = "aes-256-gcm"
    XOR_ANNOUNCE = "xor-announce"


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Which controller is asked, and the form of its answer."""

    lab: LabDir = DEFAULT_LAB
    address: Address = ""
    ca: Ca = None
    cert: Cert = None
    key: Key = None
    output: Form = Output.TABLE
    json: Annotated[bool, typer.Option("--json", help="The same as -o json.")] = False

    @property
    def form(self) -> Output:
        """The form that was asked for."""
        return Output.JSON if self.json else self.output

    @property
    def where(self) -> tuple[Path, str, Path | None, Path | None, Path | None]:
        """The arguments of `cli_frame.dialled`."""
        return self.lab, self.address, self.ca, self.cert, self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What every path must keep."""

    hops: Annotated[int, typer.Option("--hops", min=0, max=256, help="At most so many links; 0: any.")] = 0
    latency: Annotated[
        float | None, typer.Option("--latency", min=0, help="At most so many ms of fibre, one way.")
    ] = None
    trust: Annotated[
        int, typer.Option("--trust", min=0, max=100, help="Every relay is trusted so much, of 100.")
    ] = 0
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", help="A node not to relay over, or a link (A-B). Repeat.")
    ] = None
    include: Annotated[
        list[str] | None, typer.Option("--include", help="A node or link (A-B) to go over. Repeat.")
    ] = None
    technology: Annotated[
        list[Technology] | None, typer.Option("--technology", help="Modules of this kind only. Repeat.")
    ] = None
    risk: Annotated[
        list[str] | None, typer.Option("--risk", help="A shared-risk group to stay out of. Repeat.")
    ] = None
    domain: Annotated[
        list[str] | None, typer.Option("--domain", help="Relays in this domain only. Repeat.")
    ] = None
    stored_bits: Annotated[
        int, typer.Option("--stored-bits", min=0, help="Every link has so much key in store.")
    ] = 0
    key_age: Annotated[int | None, typer.Option("--key-age", min=0, help="No key in store is older, s.")] = (
        None
    )
    direct: Annotated[bool, typer.Option("--direct", help="One link, no relay.")] = False

    def message(self, controller: "Controller") -> "pb.Constraints":
        """As the controller takes it. Asks it for the names of nodes where one of a node or link is given."""
        from keyweave_proto.v1 import keyweave_pb2 as pb

        named = [*(self.exclude or ()), *(self.include or ())]
        nodes = nodes_among(controller, named)
        return pb.Constraints(
            max_hops=self.hops,
            max_latency_ms=self.latency,
            min_trust=self.trust,
            exclude_nodes=[one for one in self.exclude or () if one in nodes],
            exclude_links=[one for one in self.exclude or () if one not in nodes],
            include_nodes=[one for one in self.include or () if one in nodes],
            include_links=[one for one in self.include or () if one not in nodes],
            exclude_risks=self.risk or (),
            technologies=[f"TECHNOLOGY_{one.name}" for one in self.technology or ()],
            domains=self.domain or (),
            min_stored_bits=self.stored_bits,
            max_key_age_s=self.key_age,
            direct_only=self.direct,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How an association is to be served."""

    service_class: Annotated[ServiceClass, typer.Option("--class", help="What is promised.")] = (
        ServiceClass.GUARANTEED
    )
    protection: Annotated[
        Protection,
        typer.Option("--protection", help="1:1: a path stands by; 1+1: keys are split over disjoint paths."),
    ] = Protection.RESTORATION
    ways: Annotated[int, typer.Option("--ways", min=2, max=8, help="Paths of 1+1.")] = 2
    disjointness: Annotated[
        Disjointness, typer.Option("--disjointness", help="What protecting paths may not share.")
    ] = Disjointness.NODES
    preemptible: Annotated[
        bool,
        typer.Option("--preemptible/--not-preemptible", help="May a higher priority take its place?"),
    ] = True
    key_bits: Annotated[
        int, typer.Option("--key-bits", min=64, max=65536, help="Size of the keys it mostly fetches.")
    ] = 256
    strategy: Annotated[
        str, typer.Option("--strategy", help="How paths are chosen; else as the policy says.")
    ] = ""
    start: Annotated[
        str, typer.Option("--start", help="Of class scheduled: +SECONDS from now, or 2030-01-31T12:00:00Z.")
    ] = ""
    key_mode: Annotated[
        KeyMode | None,
        typer.Option("--key-mode", help="What keys may be made of; else as the tenant or the policy says."),
    ] = None
    relay_method: Annotated[
        RelayMethod | None,
        typer.Option("--relay-method", help="How keys travel; else as the tenant or the policy says."),
    ] = None
    threshold: Annotated[
        int | None,
        typer.Option("--threshold", min=2, max=8, help="Of 1+1: so many shares make a key; else all."),
    ] = None

    def message(self, bounds: "pb.Constraints", now: float) -> "pb.Service":
        """As the controller takes it; InvalidInput for a start that is no time."""
        from keyweave_proto.v1 import keyweave_pb2 as pb

        service = pb.Service(
            service_class=f"SERVICE_CLASS_{self.service_class.name}",
            protection=f"PROTECTION_{self.protection.name}",
            disjointness=f"DISJOINTNESS_{self.disjointness.name}",
            ways=self.ways,
            preemptible=self.preemptible,
            key_bits=self.key_bits,
            strategy=self.strategy,
            constraints=bounds,
            key_mode=f"KEY_MODE_{self.key_mode.name}" if self.key_mode else "KEY_MODE_UNSPECIFIED",
            relay_method=f"RELAY_METHOD_{self.relay_method.name}"
            if self.relay_method
            else "RELAY_METHOD_UNSPECIFIED",
            share_threshold=self.threshold,
        )
        if self.start:
            service.starts_at.FromMilliseconds(round(moment(self.start, now) * 1000))
        return service

    def end(self, lifetime_s: float | None, now: float) -> int | None:
        """When it is over, ms since 1970: so long after its start, or after now; None: never.

        InvalidInput for a scheduled one of which start or lifetime is not said.
        """
        if self.service_class is ServiceClass.SCHEDULED and (not self.start or lifetime_s is None):
            raise InvalidInput("--class scheduled needs --start, and --lifetime-s: how long from then on")
        if lifetime_s is None:
            return None
        end = (moment(self.start, now) if self.start else now) + lifetime_s
        if not end <= LATEST:
            raise InvalidInput(
                f"--lifetime-s {lifetime_s:g}: that is after the year 9999; leave it out for ever"
            )
        return round(end * 1000)


def nodes_among(controller: "Controller", texts: list[str]) -> set[str]:
    """Which of these name a node or an application; nobody is asked when there are none."""
    if not texts:
        return set()
    from keyweave_lab.cli_ask import CALL_TIMEOUT_S
    from keyweave_proto.v1 import keyweave_pb2 as pb

    known: set[str] = set()
    for node in controller.topology.ListNodes(pb.ListNodesRequest(), timeout=CALL_TIMEOUT_S).nodes:
        known |= {node.name, node.node_id, *node.consumers}
    return known & set(texts)


def moment(text: str, now: float) -> float:
    """Seconds since 1970 of `+SECONDS` or a time with its offset; InvalidInput when it is neither."""
    from datetime import datetime

    try:
        if text.startswith("+"):
            seconds = now + float(text[1:])
        else:
            found = datetime.fromisoformat(text)
            seconds = found.timestamp() if found.tzinfo else nan
    except ValueError:
        seconds = nan
    if not 0 <= seconds <= LATEST:
        raise InvalidInput(f"{text[:60]!r} is no time: give +SECONDS from now, or 2030-01-31T12:00:00Z")
    return seconds


def grouped(verb: Callable[..., None]) -> Callable[..., None]:
    """The verb with every group among its arguments opened into options."""
    parameters: list[inspect.Parameter] = []
    groups: dict[str, type[Any]] = {}
    for parameter in inspect.signature(verb).parameters.values():
        kind = parameter.annotation
        if isinstance(kind, type) and is_dataclass(kind):
            groups[parameter.name] = kind
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    parameters += [_option(field) for kind in groups.values() for field in fields(kind)]

    @wraps(verb)
    def opened(**given: Any) -> None:
        made = {
            name: kind(**{field.name: given.pop(field.name) for field in fields(kind)})
            for name, kind in groups.items()
        }
        verb(**given, **made)

    signature = inspect.Signature(parameters)
    vars(opened)["__signature__"] = signature
    opened.__annotations__ = {one.name: one.annotation for one in signature.parameters.values()}
    return opened


def _option(field: "Field[Any]") -> inspect.Parameter:
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if field.default is MISSING else field.default,
        annotation=field.type,
    )
