"""Key containers: JSON of what was supplied, whatever it is."""

import base64
import json
import uuid
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from keyweave_agents.keys.plan import KeyBundle, SuppliedKey, bundles
from keyweave_agents.material import Secret
from keyweave_agents.service.container import key_container
from keyweave_core.model.application import KeyOrigin
from keyweave_core.model.ids import LinkId

LINK = LinkId(str(uuid.UUID(int=1)))

supplied_keys = st.lists(
    st.builds(
        lambda key_id, content, links, origin: (str(key_id), content, links, origin),
        st.uuids(),
        st.binary(min_size=1, max_size=64),
        st.sampled_from([(), (LINK,), (LINK, LinkId(str(uuid.UUID(int=2))))]),
        st.sampled_from(KeyOrigin),
    ),
    max_size=8,
)


@given(supplied_keys, st.booleans(), st.booleans())
def test_a_key_container_is_json_of_what_was_supplied(
    entries: list[Any], tell_link: bool, tell_origin: bool
) -> None:
    expected: list[dict[str, Any]] = []
    for key_id, content, links, origin in entries:
        extension: dict[str, Any] = {}
        if tell_link and links:
            extension["keyweave_relay_link"] = links[0]
            if len(links) > 1:
                extension["keyweave_relay_links"] = list(links)
        if tell_origin or origin is not KeyOrigin.QKD:
            extension["keyweave_origin"] = origin.value
        expected.append({"key_ID": key_id, "key": base64.b64encode(content).decode()})
        if extension:
            expected[-1]["key_extension"] = extension
    made = bundles(
        SuppliedKey(key_id=key_id, key=Secret(content), links=links, origin=origin)
        for key_id, content, links, origin in entries
    )
    container = key_container(made, tell_link=tell_link, tell_origin=tell_origin)
    assert json.loads(container) == {"keys": expected}


def test_a_bundle_of_four_thousand_keys_has_each_under_its_own_id() -> None:
    ids = b"".join(uuid.uuid4().bytes for _ in range(4096))
    content = b"".join(number.to_bytes(32, "big") for number in range(4096))
    entries = json.loads(key_container([KeyBundle(key_ids=ids, keys=Secret(content))]))["keys"]
    assert [uuid.UUID(entry["key_ID"]).bytes for entry in entries] == [
        ids[at : at + 16] for at in range(0, len(ids), 16)
    ]
    assert [int.from_bytes(base64.b64decode(entry["key"]), "big") for entry in entries] == list(range(4096))
