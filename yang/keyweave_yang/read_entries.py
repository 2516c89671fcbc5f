"""The entries of the 015 tree (links, modules, applications) out of XML, as domain values.

Rule of this file: one function an entry, the leaves in the order of the model. A value that cannot be is
dropped and named in the faults; an entry whose key cannot be read is None.
"""

from keyweave_core.model.application import (
    Application,
    AppQos,
    AppStatistics,
    AppStatus,
    AppType,
    KeyMode,
    KeyOrigin,
    PathUsage,
    RelayMethod,
)
from keyweave_core.model.ids import AppId, InterfaceId, LinkId, NodeId, SaeId
from keyweave_core.model.link import (
    Endpoint,
    Interface,
    InterfaceStatus,
    KeyPool,
    Link,
    LinkPerformance,
    LinkStatus,
    LinkType,
    PhysicalSpec,
    Quarantine,
    Role,
    Technology,
    VirtualSpec,
)
from keyweave_yang.namespaces import KEYWEAVE, etsi, kwq
from keyweave_yang.reading import Fields

_MAX_WAVELENGTH = 9999
_MOST_SHARES = 8
_USUAL = KeyOrigin.QKD  # of a row whose origin is not told: an agent that knows of one origin only


def read_qos(holder: Fields) -> AppQos:
    """`app_qos` below `holder`."""
    fields = holder.inner(etsi("app_qos"))
    if fields is None:
        return AppQos()
    return AppQos(
        max_bandwidth_bps=fields.uint32(etsi("max_bandwidth")),
        min_bandwidth_bps=fields.uint32(etsi("min_bandwidth")),
        jitter_ms=fields.uint32(etsi("jitter")),
        ttl_s=fields.uint32(etsi("ttl")),
        clients_shared_path_enable=fields.boolean(etsi("clients_shared_path_enable"), default=False),
        clients_shared_keys_required=fields.boolean(etsi("clients_shared_keys_required"), default=False),
    )


def read_sae(fields: Fields, tag: str) -> SaeId | None:
    """An application's name."""
    text = fields.text(tag)
    return None if text is None else SaeId(text)


def read_application(fields: Fields) -> Application | None:
    """One `qkd_app`; None when it has no usable app_id."""
    app_id = fields.uuid(etsi("app_id"), AppId)
    if app_id is None:
        fields.fault("", "has no usable app_id; the entry was dropped")
        return None
    return Application(
        app_id=app_id,
        type=fields.identity(etsi("app_type"), AppType),
        status=fields.identity(etsi("app_status"), AppStatus),
        server_app_id=read_sae(fields, etsi("server_app_id")),
        client_app_ids=fields.texts(etsi("client_app_id"), SaeId),
        priority=fields.uint32(etsi("app_priority")) or 0,
        creation_time=fields.time(etsi("creation_time")),
        expiration_time=fields.time(etsi("expiration_time")),
        statistics=_statistics(fields),
        qos=read_qos(fields),
        backing_link_ids=fields.uuids(etsi("backing_qkdl_id"), LinkId),
        local_node_id=fields.uuid(etsi("local_qkdn_id"), NodeId),
        remote_node_id=fields.uuid(etsi("remote_qkdn_id"), NodeId),
        key_mode=fields.word(kwq("key-mode"), KeyMode) or KeyMode.QKD_ONLY,
        share_threshold=_threshold(fields),
        origin=fields.word(kwq("key-origin"), KeyOrigin),
    )


def _threshold(fields: Fields) -> int | None:
    threshold = fields.uint32(kwq("share-threshold"))
    if threshold is None or 2 <= threshold <= _MOST_SHARES:
        return threshold
    fields.fault("share-threshold", f"{threshold} is not within 2..{_MOST_SHARES}")
    return None


def _statistics(fields: Fields) -> tuple[AppStatistics, ...]:
    holder = fields.inner(etsi("app_statistics"))
    if holder is None:
        return ()
    names = (etsi("end_time"), etsi("start_time"), etsi("consumed_bits"))
    return _periods(holder, etsi("statistics"), *names)


def read_last_periods(fields: Fields) -> tuple[AppStatistics, ...]:
    """The `last-period` rows of an application that was taken from its node (augment of `event`)."""
    return _periods(fields, kwq("last-period"), kwq("end-time"), kwq("start-time"), kwq("consumed-bits"))


def _periods(
    holder: Fields, tag: str, end_tag: str, start_tag: str, bits_tag: str
) -> tuple[AppStatistics, ...]:
    rows: dict[str, AppStatistics] = {}
    for element in holder.all(tag):
        row = holder.of(element)
        end = row.time(end_tag)
        if end is None or end in rows:
            row.fault("", "has no end time of its own; the row was dropped")
            continue
        rows[end] = AppStatistics(
            end_time=end,
            start_time=row.time(start_tag),
            consumed_bits=row.uint32(bits_tag),
            paths=_paths(row),
        )
    return tuple(rows.values())


def _paths(row: Fields) -> tuple[PathUsage, ...]:
    paths: dict[tuple[LinkId, KeyOrigin], PathUsage] = {}
    for element in row.all(kwq("path-usage")):
        fields = row.of(element)
        link_id = fields.uuid(kwq("link-id"), LinkId)
        bits = fields.uint64(kwq("delivered-bits"))
        keys = fields.uint64(kwq("delivered-keys"))
        origin = fields.word(kwq("origin"), KeyOrigin) if fields.one(kwq("origin")) is not None else _USUAL
        if link_id is None or bits is None or keys is None or origin is None or (link_id, origin) in paths:
            fields.fault("", "is not a link and origin of its own with bits and keys; the row was dropped")
            continue
        paths[link_id, origin] = PathUsage(
            link_id=link_id, delivered_bits=bits, delivered_keys=keys, origin=origin
        )
    return tuple(paths.values())


def read_interface(fields: Fields) -> Interface | None:
    """One `qkd_interface`; None when it has no usable qkdi_id."""
    number = fields.uint32(etsi("qkdi_id"))
    if number is None:
        fields.fault("", "has no usable qkdi_id; the entry was dropped")
        return None
    point = fields.inner(etsi("qkdi_att_point"))
    able = fields.inner(etsi("qkdi_capabilities"))
    return Interface(
        interface_id=InterfaceId(number),
        model=fields.text(etsi("qkdi_model")),
        technology=fields.identity(etsi("qkdi_type"), Technology),
        device=point.text(etsi("device")) if point else None,
        port=point.uint32(etsi("port")) if point else None,
        role_support=able.identity(etsi("role_support"), Role) if able else None,
        wavelength_range=able.text(etsi("wavelength_range")) if able else None,
        max_absorption_db=able.decimal(etsi("max_absorption")) if able else None,
        status=fields.identity(etsi("qkdi_status"), InterfaceStatus),
    )


def read_performance(fields: Fields | None) -> LinkPerformance:
    """`qkdl_performance`, or the `performance` of a notification."""
    if fields is None:
        return LinkPerformance()
    qber: float | None = None
    snr: float | None = None
    for element in fields.all(etsi("phys_perf")):
        row = fields.of(element)
        kind = row.text(etsi("perf_type"))
        value = row.decimal(etsi("value"))
        name = (kind or "").strip().rpartition(":")[2]
        if name == "QBER" and value is not None:
            if 0 <= value <= 100:
                # Thousandths of a percent are whole, so both ends hold the same ratio.
                qber = round(value * 1000) / 100_000
            else:
                row.fault("value", f"a QBER of {value} % cannot be")
        elif name == "SNR":
            snr = value
    return LinkPerformance(
        expected_consumption_bps=fields.uint32(etsi("expected_consumption")),
        skr_bps=fields.uint32(etsi("skr")),
        eskr_bps=fields.uint32(etsi("eskr")),
        qber=qber,
        snr_db=snr,
    )


def read_link(fields: Fields, *, configuration: bool) -> Link | None:
    """One `qkd_link`; None when it has no usable qkdl_id.

    `configuration`: qkdl_status is what was written (requested), else what the node observes. Leaves of the
    other link type are passed over: peers with the published module have no working condition on them.
    """
    link_id = fields.uuid(etsi("qkdl_id"), LinkId)
    if link_id is None:
        fields.fault("", "has no usable qkdl_id; the entry was dropped")
        return None
    kind = fields.identity(etsi("qkdl_type"), LinkType)
    status = fields.identity(etsi("qkdl_status"), LinkStatus)
    virtual = kind is LinkType.VIRT
    return Link(
        link_id=link_id,
        type=kind,
        status=None if configuration else status,
        requested_status=status if configuration else None,
        enable=fields.boolean(etsi("qkdl_enable"), default=True),
        local=_endpoint(fields, etsi("qkdl_local")),
        remote=_endpoint(fields, etsi("qkdl_remote")),
        applications=fields.uuids(etsi("qkdl_applications"), AppId),
        virtual=_virtual(fields) if virtual else None,
        physical=_physical(fields) if kind is LinkType.PHYS else None,
        performance=read_performance(fields.inner(etsi("qkdl_performance"))),
        pool=_pool(fields),
        relay_method=fields.identity(kwq("relay-method"), RelayMethod, KEYWEAVE) if virtual else None,
        quarantine=_quarantine(fields),
    )


def _endpoint(fields: Fields, tag: str) -> Endpoint | None:
    inner = fields.inner(tag)
    if inner is None:
        return None
    node = inner.uuid(etsi("qkdn_id"), NodeId)
    number = inner.uint32(etsi("qkdi_id"))
    if node is None:
        if number is not None:
            inner.fault("", "names a module and no node; it was dropped")
        return None
    return Endpoint(node_id=node, interface_id=None if number is None else InterfaceId(number))


def _virtual(fields: Fields) -> VirtualSpec:
    return VirtualSpec(
        prev_hop=fields.uuid(etsi("virt_prev_hop"), NodeId),
        next_hops=fields.uuids(etsi("virt_next_hop"), NodeId),
        bandwidth_bps=fields.uint32(etsi("virt_bandwidth")),
    )


def _physical(fields: Fields) -> PhysicalSpec:
    channel = fields.uint32(etsi("phys_wavelength"))
    if channel is not None and not 1 <= channel <= _MAX_WAVELENGTH:
        fields.fault("phys_wavelength", f"{channel} is no WDM channel 1..{_MAX_WAVELENGTH}")
        channel = None
    distance = fields.decimal(kwq("distance-km"))
    if distance is not None and distance < 0:
        fields.fault("distance-km", f"{distance} km is no length")
        distance = None
    return PhysicalSpec(
        channel_att_db=fields.decimal(etsi("phys_channel_att")),
        wavelength=channel,
        role=fields.identity(etsi("phys_qkd_role"), Role),
        distance_km=distance,
    )


def _quarantine(fields: Fields) -> Quarantine | None:
    inner = fields.inner(kwq("quarantine"))
    if inner is None:
        return None
    return Quarantine(
        reason=inner.text(kwq("reason")) or "",
        discarded_bits=inner.uint64(kwq("discarded-bits")) or 0,
        spent_bits=inner.uint64(kwq("spent-bits")) or 0,
    )


def _pool(fields: Fields) -> KeyPool | None:
    inner = fields.inner(kwq("key-pool"))
    if inner is None:
        return None
    stored = inner.uint64(kwq("stored-bits"))
    capacity = inner.uint64(kwq("capacity-bits"))
    if stored is None or capacity is None:
        inner.fault("", "needs stored-bits and capacity-bits; it was dropped")
        return None
    age = inner.uint32(kwq("oldest-key-age"))
    return KeyPool(stored_bits=stored, capacity_bits=capacity, oldest_age_s=age)
