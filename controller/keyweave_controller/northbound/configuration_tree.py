"""The operator's configuration as YANG data of `keyweave-qkd-network`, and back.

Rule of this file: pure. What is decoded was validated against the modules before. Defaults of the module
stand for leaves that are missing; a leaf at its default is written only where it was configured otherwise
before, so that running says what deviates. Configuration of other modules is carried along as text.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from decimal import Decimal
from typing import Any, TypeVar

from lxml import etree

from keyweave_controller.control.configuration import (
    ORIGIN_PRICES,
    ConfiguredAssociation,
    OperatorConfiguration,
    Policy,
    Tariff,
    Tenant,
)
from keyweave_controller.northbound import markup
from keyweave_controller.northbound.markup import QKD, found, found_all, found_number, kwn
from keyweave_controller.northbound.service_tree import put_service, read_moment, read_service
from keyweave_core.errors import SchemaViolation
from keyweave_core.model.application import AppQos, KeyMode, RelayMethod
from keyweave_core.model.ids import SaeId
from keyweave_core.netconf.protocol.messages import parse_xml

Named = TypeVar("Named", ConfiguredAssociation, Tenant)
Value = TypeVar("Value")
Usual = TypeVar("Usual")

POLICY_PATH = "/keyweave-qkd-network:policy"
"""The instance path of the policy."""

_OWN = frozenset({kwn("policy"), kwn("tariff"), kwn("tenants"), kwn("key-associations")})


def decode(elements: Iterable[etree._Element]) -> OperatorConfiguration:
    """What validated top-level elements configure; policy and tariff as they are with the module's defaults.

    Raises SchemaViolation for what the module's types let through and no value can hold.
    """
    tops = {str(element.tag): element for element in elements}
    tenants, associations = tops.get(kwn("tenants")), tops.get(kwn("key-associations"))
    return OperatorConfiguration(
        policy=_policy(tops.get(kwn("policy"))),
        tariff=_tariff(tops.get(kwn("tariff"))),
        tenants=() if tenants is None else tuple(map(_tenant, tenants.iterchildren(kwn("tenant")))),
        associations=()
        if associations is None
        else tuple(map(_association, associations.iterchildren(kwn("association")))),
        others="".join(_canonical(element) for tag, element in tops.items() if tag not in _OWN),
    )


def encode(configuration: OperatorConfiguration, policy: Policy, tariff: Tariff) -> list[etree._Element]:
    """The top-level elements of a configuration whose policy and tariff, in force, are these."""
    trees = [_policy_tree(policy), _tariff_tree(tariff)]
    tenants, associations = markup.qkd_tree("tenants"), markup.qkd_tree("key-associations")
    for tenant in configuration.tenants:
        _put_tenant(tenants, tenant)
    for one in configuration.associations:
        put_association(associations, one)
    trees += [tenants, associations]
    others = configuration.others
    return [
        *(one for one in trees if len(one)),
        *(parse_xml(f"<configuration>{others}</configuration>".encode()) if others else ()),
    ]


def _canonical(element: etree._Element) -> str:
    """The text of an element; equal trees have equal text."""
    return etree.tostring(element, method="c14n", exclusive=True, with_tail=False).decode()


def merged(
    base: OperatorConfiguration, old: OperatorConfiguration, new: OperatorConfiguration
) -> OperatorConfiguration:
    """`base` with what differs between `old` and `new`.

    So a commit changes what its client changed, and neither what another interface changed meanwhile nor a
    policy that still is the one of the settings file.
    """
    return OperatorConfiguration(
        policy=base.policy if old.policy == new.policy else new.policy,
        tariff=base.tariff if old.tariff == new.tariff else new.tariff,
        tenants=_merged_named(base.tenants, old.tenants, new.tenants),
        associations=_merged_named(base.associations, old.associations, new.associations),
        others=base.others if old.others == new.others else new.others,
    )


def _merged_named(base: Sequence[Named], old: Sequence[Named], new: Sequence[Named]) -> tuple[Named, ...]:
    before = {one.name: one for one in old}
    wanted = {one.name: one for one in new}
    result = {one.name: one for one in base}
    for name in before.keys() - wanted.keys():
        result.pop(name, None)
    result.update({name: one for name, one in wanted.items() if before.get(name) != one})
    return tuple(result.values())


def _policy(element: etree._Element | None) -> Policy:
    usual = Policy()
    if element is None:
        return usual
    values: dict[str, Any] = {}
    for name, default in _defaults(usual):
        # A bool is an int, so it is asked about first.
        kind = markup.truth if isinstance(default, bool) else type(default)
        values[name] = _read(element, name.replace("_", "-"), kind, default)
    with _refusals("policy"):
        return Policy(**values)


def _defaults(usual: Policy) -> Iterator[tuple[str, bool | int | float | str]]:
    """Name and default of every leaf of the policy."""
    return ((one.name, getattr(usual, one.name)) for one in fields(usual))


def _tariff(element: etree._Element | None) -> Tariff:
    usual = Tariff()
    if element is None:
        return usual
    with _refusals("tariff"):
        return Tariff(
            currency=_read(element, "currency", str, usual.currency),
            per_mbit=_read(element, "per-mbit", Decimal, usual.per_mbit),
            per_key=_read(element, "per-key", Decimal, usual.per_key),
            per_further_hop=_read(element, "per-further-hop", Decimal, usual.per_further_hop),
            decimals=_read(element, "decimals", int, usual.decimals),
            **{name: _read(element, name.replace("_", "-"), Decimal, None) for name in ORIGIN_PRICES},
        )


def _read(element: etree._Element, name: str, read: Callable[[str], Value], usual: Usual) -> Value | Usual:
    value = found(element, kwn(name))
    return usual if value is None else read(value)


@contextmanager
def _refusals(top: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        # Values name the field that is wrong as the first word.
        words = str(error)
        leaf = words.partition(" ")[0].replace("_", "-")
        path = f"/keyweave-qkd-network:{top}"
        raise SchemaViolation(words, path=f"{path}/{leaf}" if " must be " in words else path) from error


def _policy_tree(policy: Policy) -> etree._Element:
    element = markup.qkd_tree("policy")
    for name, default in _defaults(Policy()):
        value = getattr(policy, name)
        if value == default:
            continue
        if isinstance(default, bool):
            markup.flag(element, _leaf(name), value)
        elif isinstance(default, int):
            markup.number(element, _leaf(name), value)
        elif isinstance(default, float):
            markup.decimal(element, _leaf(name), value, 6 if name == "usable_share" else 3)
        else:
            markup.text(element, _leaf(name), value)
    return element


def _tariff_tree(tariff: Tariff) -> etree._Element:
    element, usual = markup.qkd_tree("tariff"), Tariff()
    for name in ("currency", "per_mbit", "per_key", "per_further_hop", "decimals", *ORIGIN_PRICES):
        value = getattr(tariff, name)
        if value != getattr(usual, name):
            markup.text(element, _leaf(name), f"{value:f}" if isinstance(value, Decimal) else str(value))
    return element


def _leaf(name: str) -> str:
    return kwn(name.replace("_", "-"))


def _tenant(element: etree._Element) -> Tenant:
    return Tenant(
        name=found(element, kwn("name")) or "",
        description=found(element, kwn("description")) or "",
        applications=tuple(map(SaeId, found_all(element, kwn("application")))),
        max_associations=found_number(element, kwn("max-associations")),
        max_bandwidth_bps=found_number(element, kwn("max-bandwidth-bps")),
        key_mode=_read(element, "key-mode", KeyMode, None),
        relay_method=_read(element, "relay-method", RelayMethod, None),
    )


def _put_tenant(parent: etree._Element, tenant: Tenant) -> None:
    element = etree.SubElement(parent, kwn("tenant"))
    markup.text(element, kwn("name"), tenant.name)
    markup.text(element, kwn("description"), tenant.description)
    markup.texts(element, kwn("application"), tenant.applications)
    markup.number(element, kwn("max-associations"), tenant.max_associations)
    markup.number(element, kwn("max-bandwidth-bps"), tenant.max_bandwidth_bps)
    markup.member(element, kwn("key-mode"), tenant.key_mode)
    markup.member(element, kwn("relay-method"), tenant.relay_method)


def _association(element: etree._Element) -> ConfiguredAssociation:
    name = found(element, kwn("name")) or ""
    path = association_path(name)
    return ConfiguredAssociation(
        name=name,
        source=SaeId(found(element, kwn("source")) or ""),
        destination=SaeId(found(element, kwn("destination")) or ""),
        qos=_qos(element.find(kwn("qos"))),
        priority=found_number(element, kwn("priority")) or 0,
        service=read_service(element, path),
        expires_at=read_moment(element, "expires-at", path),
        tenant=found(element, kwn("tenant")) or "",
    )


def _qos(element: etree._Element | None) -> AppQos:
    if element is None:
        return AppQos()
    return AppQos(
        min_bandwidth_bps=found_number(element, kwn("min-bandwidth-bps")),
        max_bandwidth_bps=found_number(element, kwn("max-bandwidth-bps")),
        jitter_ms=found_number(element, kwn("jitter-ms")),
        ttl_s=found_number(element, kwn("ttl-s")),
        clients_shared_path_enable=found(element, kwn("shared-path")) in ("true", "1"),
        clients_shared_keys_required=found(element, kwn("shared-keys")) in ("true", "1"),
    )


def put_association(
    parent: etree._Element, one: ConfiguredAssociation, *, names: bool = True
) -> etree._Element:
    """A new entry of the list of associations with all that can be configured of it; `names` as in
    `put_service`.
    """
    element = etree.SubElement(parent, kwn("association"))
    markup.text(element, kwn("name"), one.name)
    markup.text(element, kwn("source"), one.source)
    markup.text(element, kwn("destination"), one.destination)
    if one.qos != AppQos():
        qos = etree.SubElement(element, kwn("qos"))
        markup.number(qos, kwn("min-bandwidth-bps"), one.qos.min_bandwidth_bps)
        markup.number(qos, kwn("max-bandwidth-bps"), one.qos.max_bandwidth_bps)
        markup.number(qos, kwn("jitter-ms"), one.qos.jitter_ms)
        markup.number(qos, kwn("ttl-s"), one.qos.ttl_s)
        if one.qos.clients_shared_path_enable:
            markup.flag(qos, kwn("shared-path"), True)
        if one.qos.clients_shared_keys_required:
            markup.flag(qos, kwn("shared-keys"), True)
    if one.priority:
        markup.number(element, kwn("priority"), one.priority)
    put_service(element, one.service, names=names)
    markup.moment(element, kwn("expires-at"), one.expires_at)
    markup.text(element, kwn("tenant"), one.tenant)
    return element


def association_path(name: str) -> str:
    """The instance path of an entry; its names are of the module `keyweave-qkd-network`."""
    quoted = f'"{name}"' if "'" in name else f"'{name}'"
    return f"/keyweave-qkd-network:key-associations/association[name={quoted}]"


def entry_path(about: str) -> str:
    """The instance path of what an answer is about (`Answer.about`); '' for nothing."""
    kind, _, name = about.partition("/")
    if kind == "association":
        return association_path(name)
    if kind == "tenant":
        quoted = f'"{name}"' if "'" in name else f"'{name}'"
        return f"/keyweave-qkd-network:tenants/tenant[name={quoted}]"
    return ""


NAMESPACES = {"keyweave-qkd-network": QKD}
"""What the prefixes of these paths stand for."""
