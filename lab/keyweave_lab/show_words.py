"""Words of the `keyweave` command for what the controller says: enumerations, moments, services."""

from datetime import UTC

from google.protobuf.timestamp_pb2 import Timestamp

from keyweave_proto.v1 import keyweave_pb2 as pb

_PREFIXES = (
    "NODE_STATUS_",
    "LINK_STATUS_",
    "ASSOCIATION_STATE_",
    "ALARM_SEVERITY_",
    "SERVICE_CLASS_",
    "DISJOINTNESS_",
    "KEY_MODE_",
    "KEY_ORIGIN_",
    "RELAY_METHOD_",
    "FATE_",
)


def word(name: str) -> str:
    """A member of an enumeration for people: 'best effort' for SERVICE_CLASS_BEST_EFFORT."""
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return "not said" if name == "UNSPECIFIED" else name.lower().replace("_", " ")


def when(moment: Timestamp) -> str:
    """A moment in the reader's time, to the second."""
    return moment.ToDatetime(tzinfo=UTC).astimezone().strftime("%m-%d %H:%M:%S")


def service_text(service: pb.Service) -> str:
    """A service in one line: what differs from the usual."""
    found = [word(pb.ServiceClass.Name(service.service_class))]
    match service.protection:
        case pb.PROTECTION_ONE_TO_ONE:
            found.append(f"1:1 apart in {word(pb.Disjointness.Name(service.disjointness))}")
        case pb.PROTECTION_ONE_PLUS_ONE:
            apart = word(pb.Disjointness.Name(service.disjointness))
            found.append(f"1+1 over {service.ways} ways apart in {apart}")
            if service.HasField("share_threshold"):
                found.append(f"any {service.share_threshold} shares make a key")
    if service.key_mode not in (pb.KEY_MODE_UNSPECIFIED, pb.KEY_MODE_QKD_ONLY):
        found.append(f"keys {word(pb.KeyMode.Name(service.key_mode))}")
    if service.relay_method not in (pb.RELAY_METHOD_UNSPECIFIED, pb.RELAY_METHOD_ONE_TIME_PAD):
        found.append(f"relayed by {word(pb.RelayMethod.Name(service.relay_method))}")
    if not service.preemptible:
        found.append("not preemptible")
    if service.HasField("starts_at"):
        found.append(f"from {when(service.starts_at)}")
    for field, value in service.constraints.ListFields():
        name = field.name.replace("_", " ")
        if isinstance(value, bool):
            found.append(name)
        elif isinstance(value, int | float):
            found.append(f"{name} {value:g}")
        else:
            found.append(f"{name}: {len(value)}")
    return ", ".join(found)
