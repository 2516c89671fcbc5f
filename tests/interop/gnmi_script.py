"""pygnmi against a server of ours, in a process of its own.

It brings its own copy of gnmi.proto, which the protobuf runtime refuses beside ours. Arguments: port,
certificate, key, authority. Prints one JSON object: what each step answered.
"""

import json
import sys
import threading
from typing import Any

from pygnmi.client import gNMIclient

LINK = "/qkd_node/qkd_links/qkd_link[qkdl_id=11111111-0000-4000-8000-000000000001]"


def main() -> None:
    port, certificate, key, authority = sys.argv[1:5]
    seen: dict[str, Any] = {}
    with gNMIclient(
        target=("localhost", port), path_cert=certificate, path_key=key, path_root=authority, gnmi_timeout=10
    ) as client:
        seen["capabilities"] = client.capabilities()
        seen["get"] = client.get(path=[LINK], encoding="json_ietf")
        seen["config"] = client.get(
            path=[f"{LINK}/phys_channel_att"], datatype="config", encoding="json_ietf"
        )
        seen["prefix"] = client.get(
            prefix="/qkd_node", path=["qkdn_id"], target="alpha", encoding="json_ietf"
        )
        seen["module"] = client.get(path=["etsi-qkd-sdn-node:qkd_node/qkdn_id"], encoding="json_ietf")
        seen["proto"] = client.get(path=["/qkd_node/qkdn_id"], encoding="proto")
        seen["update"] = client.set(update=[("/qkd_node", {"qkdn_version": "9"})], encoding="json_ietf")
        seen["replace"] = client.set(
            replace=[("/qkd_node/qkdn_location_id", json.dumps("cellar"))], encoding="json_ietf"
        )
        seen["delete"] = client.set(delete=[f"{LINK}/phys_channel_att"])
        seen["after"] = client.get(path=["/qkd_node"], datatype="config", encoding="json_ietf")
        try:
            client.set(update=[("/qkd_node/nothing", "x")], encoding="json_ietf")
        except Exception as error:  # noqa: BLE001 - what pygnmi raises is the observation
            seen["refused"] = str(error)
        once = {"subscription": [{"path": LINK}], "mode": "once", "encoding": "json_ietf"}
        seen["once"] = [_plain(each) for each in client.subscribe2(subscribe=once)]
        seen["stream"] = _stream(client)
    print(json.dumps(seen))


def _stream(client: gNMIclient) -> list[Any]:
    """Changes told while a Set happens beside them."""
    wanted = {
        "subscription": [{"path": "/qkd_node/qkdn_version", "mode": "on_change"}],
        "mode": "stream",
        "encoding": "json_ietf",
    }
    told: list[Any] = []
    stream = client.subscribe2(subscribe=wanted)
    changing = threading.Timer(
        0.3, lambda: client.set(update=[("/qkd_node", {"qkdn_version": "10"})], encoding="json_ietf")
    )
    changing.start()
    for each in stream:
        told.append(_plain(each))
        # The values alone: the digits of a timestamp say "10" by chance.
        if any(each["val"] == "10" for each in told[-1].get("update", {}).get("update", ())):
            break
    changing.join()
    stream.close()
    return told


def _plain(message: Any) -> Any:
    return json.loads(json.dumps(message, default=str))


if __name__ == "__main__":
    main()
