"""The entries of the 015 tree (links, modules, applications) from domain values.

Rule of this file: one function an entry, children in schema order, the list key first. `part` says which
leaves: what is configured, what is observed, or both. An entry that would hold its key only is not written
for the observed part.
"""

from enum import Flag, auto

from lxml.etree import _Element

from keyweave_core.model.application import Application, AppQos, AppStatistics, KeyMode
from keyweave_core.model.link import Endpoint, Interface, Link, LinkPerformance, PhysicalSpec, VirtualSpec
from keyweave_yang.namespaces import etsi, kwq
from keyweave_yang.writing import boolean, decimal3, gauge, grow, identity, number, own_identity, prose, text

_UINT64_MAX = 2**64 - 1


class Part(Flag):
    """Which leaves of the tree are meant."""

    CONFIG = auto()
    STATE = auto()
    ALL = CONFIG | STATE


def write_qos(parent: _Element, qos: AppQos) -> None:
    """`app_qos`; nothing when every value is absent or the default."""
    if qos == AppQos():
        return
    holder = grow(parent, etsi("app_qos"))
    number(holder, etsi("max_bandwidth"), qos.max_bandwidth_bps)
    number(holder, etsi("min_bandwidth"), qos.min_bandwidth_bps)
    number(holder, etsi("jitter"), qos.jitter_ms)
    number(holder, etsi("ttl"), qos.ttl_s)
    if qos.clients_shared_path_enable:
        boolean(holder, etsi("clients_shared_path_enable"), value=True)
    if qos.clients_shared_keys_required:
        boolean(holder, etsi("clients_shared_keys_required"), value=True)


def write_application(parent: _Element, app: Application, part: Part) -> _Element | None:
    """One `qkd_app` below `parent`; None when the part holds nothing of it."""
    config, state = Part.CONFIG in part, Part.STATE in part
    observed = app.status is not None or app.creation_time is not None or app.statistics or app.origin
    if not config and not observed:
        return None
    entry = grow(parent, etsi("qkd_app"))
    text(entry, etsi("app_id"), app.app_id)
    if state:
        identity(entry, etsi("app_status"), app.status)
    if config:
        identity(entry, etsi("app_type"), app.type)
        text(entry, etsi("server_app_id"), app.server_app_id)
        for client in app.client_app_ids:
            text(entry, etsi("client_app_id"), client)
        number(entry, etsi("app_priority"), app.priority)
    if state:
        text(entry, etsi("creation_time"), app.creation_time)
    if config:
        text(entry, etsi("expiration_time"), app.expiration_time)
    if state and app.statistics:
        holder = grow(entry, etsi("app_statistics"))
        for row in app.statistics:
            _write_statistics(holder, row)
    if config:
        write_qos(entry, app.qos)
        for link_id in app.backing_link_ids:
            text(entry, etsi("backing_qkdl_id"), link_id)
        text(entry, etsi("local_qkdn_id"), app.local_node_id)
        text(entry, etsi("remote_qkdn_id"), app.remote_node_id)
        if app.key_mode is not KeyMode.QKD_ONLY:
            text(entry, kwq("key-mode"), app.key_mode)
        number(entry, kwq("share-threshold"), app.share_threshold)
    if state:
        text(entry, kwq("key-origin"), app.origin)
    return entry


def _write_statistics(parent: _Element, statistics: AppStatistics) -> None:
    row = grow(parent, etsi("statistics"))
    text(row, etsi("end_time"), statistics.end_time)
    text(row, etsi("start_time"), statistics.start_time)
    gauge(row, etsi("consumed_bits"), statistics.consumed_bits)
    _write_paths(row, statistics)


def write_last_period(parent: _Element, statistics: AppStatistics) -> None:
    """One `last-period` of an application that was taken from the node (augment of `event`)."""
    row = grow(parent, kwq("last-period"))
    text(row, kwq("end-time"), statistics.end_time)
    text(row, kwq("start-time"), statistics.start_time)
    number(row, kwq("consumed-bits"), statistics.consumed_bits, _UINT64_MAX)
    _write_paths(row, statistics)


def _write_paths(row: _Element, statistics: AppStatistics) -> None:
    for path in statistics.paths:
        usage = grow(row, kwq("path-usage"))
        text(usage, kwq("link-id"), path.link_id)
        text(usage, kwq("origin"), path.origin)
        number(usage, kwq("delivered-bits"), path.delivered_bits, _UINT64_MAX)
        number(usage, kwq("delivered-keys"), path.delivered_keys, _UINT64_MAX)


def write_interface_leaves(entry: _Element, interface: Interface) -> None:
    """What does not change of a module (also the payload of sdqkdn_interface_new)."""
    number(entry, etsi("qkdi_id"), interface.interface_id)
    text(entry, etsi("qkdi_model"), interface.model)
    identity(entry, etsi("qkdi_type"), interface.technology)
    if interface.device is not None or interface.port is not None:
        point = grow(entry, etsi("qkdi_att_point"))
        text(point, etsi("device"), interface.device)
        number(point, etsi("port"), interface.port)
    able = (interface.role_support, interface.wavelength_range, interface.max_absorption_db)
    if any(value is not None for value in able):
        holder = grow(entry, etsi("qkdi_capabilities"))
        identity(holder, etsi("role_support"), interface.role_support)
        text(holder, etsi("wavelength_range"), interface.wavelength_range)
        decimal3(holder, etsi("max_absorption"), interface.max_absorption_db)


def write_interface(parent: _Element, interface: Interface, part: Part) -> _Element | None:
    """One `qkd_interface` below `parent`; None when the part holds nothing of it."""
    if Part.CONFIG not in part and interface.status is None:
        return None
    entry = grow(parent, etsi("qkd_interface"))
    if Part.CONFIG in part:
        write_interface_leaves(entry, interface)
    else:
        number(entry, etsi("qkdi_id"), interface.interface_id)
    if Part.STATE in part:
        identity(entry, etsi("qkdi_status"), interface.status)
    return entry


def write_performance(parent: _Element, tag: str, figures: LinkPerformance, *, physical: bool) -> None:
    """The container `tag` with the figures; `physical`: with QBER and SNR. Nothing when there are none."""
    indicators = [
        ("QBER", None if figures.qber is None else figures.qber * 100),
        ("SNR", figures.snr_db),
    ]
    present = [(name, value) for name, value in indicators if physical and value is not None]
    rates = (figures.expected_consumption_bps, figures.skr_bps, figures.eskr_bps)
    if not present and all(rate is None for rate in rates):
        return
    holder = grow(parent, tag)
    gauge(holder, etsi("expected_consumption"), figures.expected_consumption_bps)
    gauge(holder, etsi("skr"), figures.skr_bps)
    gauge(holder, etsi("eskr"), figures.eskr_bps)
    for name, value in present:
        row = grow(holder, etsi("phys_perf"))
        identity(row, etsi("perf_type"), name)
        decimal3(row, etsi("value"), value)


def write_link(parent: _Element, link: Link, part: Part) -> _Element | None:
    """One `qkd_link` below `parent`; None when the part holds nothing of it.

    qkdl_status is the observed value wherever state is written, else the requested one, and only if set.
    """
    config, state = Part.CONFIG in part, Part.STATE in part
    observed = link.status is not None or link.pool is not None or link.performance != LinkPerformance()
    if not config and not observed:
        return None
    entry = grow(parent, etsi("qkd_link"))
    text(entry, etsi("qkdl_id"), link.link_id)
    identity(entry, etsi("qkdl_status"), link.status if state else link.requested_status)
    if config:
        boolean(entry, etsi("qkdl_enable"), link.enable)
        _write_endpoint(entry, etsi("qkdl_local"), link.local)
        _write_endpoint(entry, etsi("qkdl_remote"), link.remote)
        identity(entry, etsi("qkdl_type"), link.type)
        for app_id in link.applications:
            text(entry, etsi("qkdl_applications"), app_id)
        if link.virtual is not None:
            _write_virtual(entry, link.virtual)
        if link.physical is not None:
            _write_physical(entry, link.physical)
    if state:
        physical = link.physical is not None
        write_performance(entry, etsi("qkdl_performance"), link.performance, physical=physical)
    if config:
        own_identity(entry, kwq("relay-method"), link.relay_method)
        if link.physical is not None:
            decimal3(entry, kwq("distance-km"), link.physical.distance_km)
    if state and link.pool is not None:
        pool = grow(entry, kwq("key-pool"))
        number(pool, kwq("stored-bits"), link.pool.stored_bits, _UINT64_MAX)
        number(pool, kwq("capacity-bits"), link.pool.capacity_bits, _UINT64_MAX)
        number(pool, kwq("oldest-key-age"), link.pool.oldest_age_s)
    if state and link.quarantine is not None:
        holder = grow(entry, kwq("quarantine"))
        prose(holder, kwq("reason"), link.quarantine.reason)
        number(holder, kwq("discarded-bits"), link.quarantine.discarded_bits, _UINT64_MAX)
        number(holder, kwq("spent-bits"), link.quarantine.spent_bits, _UINT64_MAX)
    return entry


def _write_endpoint(parent: _Element, tag: str, endpoint: Endpoint | None) -> None:
    if endpoint is not None:
        holder = grow(parent, tag)
        text(holder, etsi("qkdn_id"), endpoint.node_id)
        number(holder, etsi("qkdi_id"), endpoint.interface_id)


def _write_virtual(entry: _Element, spec: VirtualSpec) -> None:
    text(entry, etsi("virt_prev_hop"), spec.prev_hop)
    for hop in spec.next_hops:
        text(entry, etsi("virt_next_hop"), hop)
    number(entry, etsi("virt_bandwidth"), spec.bandwidth_bps)


def _write_physical(entry: _Element, spec: PhysicalSpec) -> None:
    decimal3(entry, etsi("phys_channel_att"), spec.channel_att_db)
    number(entry, etsi("phys_wavelength"), spec.wavelength)
    identity(entry, etsi("phys_qkd_role"), spec.role)
