"""What the controller writes and asks: only configuration, whole entries, repeatable."""

from dataclasses import replace

from lxml import etree
from tests.yang.samples import ALPHA, ASSOCIATION, FIBRE, PATH, PHYSICAL, STREAM, VIRTUAL, wire

from keyweave_core.model.link import LinkStatus, LinkTuning
from keyweave_yang.edits import OPERATION, edit_config, figures_filter, node_filter, usage_filter
from keyweave_yang.namespaces import QKD_NODE, etsi
from keyweave_yang.schema import load_schema


def _names(element: etree._Element) -> set[str]:
    return {etree.QName(found).localname for found in element.iter()}


def _valid(edit: etree._Element) -> None:
    """The edit alone, with an id and without its operations, is a configuration."""
    whole = wire(edit)
    for found in whole.iter():
        found.attrib.pop(OPERATION, None)
    key = etree.Element(etsi("qkdn_id"))
    key.text = ALPHA
    whole.insert(0, key)
    load_schema("agent").validate([whole])


def test_entries_are_put_whole_and_taken_away() -> None:
    edit = edit_config((VIRTUAL,), (ASSOCIATION,), (FIBRE,), ())
    put, gone = edit.findall(f".//{etsi('qkd_link')}")
    assert put.get(OPERATION) == "replace"
    assert put.findtext(etsi("qkdl_type")) == "etsi-qkd-node-types:VIRT"
    assert gone.get(OPERATION) == "remove"
    assert [(child.tag, child.text) for child in gone] == [(etsi("qkdl_id"), FIBRE)]
    app = edit.find(f".//{etsi('qkd_app')}")
    assert app is not None
    assert app.get(OPERATION) == "replace"
    assert edit.get(OPERATION) is None
    _valid(edit)


def test_no_state_travels_in_an_edit() -> None:
    names = _names(edit_config((VIRTUAL, PHYSICAL), (ASSOCIATION,)))
    assert not names & {"qkdl_status", "qkdl_performance", "key-pool", "app_status", "app_statistics"}
    assert "creation_time" not in names
    _valid(edit_config((VIRTUAL, PHYSICAL), (ASSOCIATION,)))


def test_a_status_is_written_only_as_a_wish() -> None:
    wish = replace(VIRTUAL, requested_status=LinkStatus.OFF)
    edit = edit_config((wish,))
    assert edit.findtext(f".//{etsi('qkdl_status')}") == "etsi-qkd-node-types:OFF"
    _valid(edit)


def test_what_is_put_is_not_also_removed() -> None:
    edit = edit_config((VIRTUAL,), (ASSOCIATION,), (PATH,), (STREAM,))
    assert [found.get(OPERATION) for found in edit.iter() if found.get(OPERATION)] == ["replace"] * 2


def test_an_edit_of_nothing_touches_nothing() -> None:
    assert len(edit_config()) == 0


def test_filters_name_nodes_of_the_schema() -> None:
    schema = load_schema("agent")
    assert node_filter().tag == QKD_NODE
    assert len(node_filter()) == 0
    assert {"qkdl_status", "qkdl_performance", "key-pool"} <= _names(figures_filter())
    assert {"app_status", "app_statistics"} <= _names(usage_filter())
    for tree in (figures_filter(), usage_filter()):
        views = {tree: schema.top(str(tree.tag))}
        for found in tree.iter():
            for child in found:
                above = views[found]
                assert above is not None
                views[child] = above.child(str(child.tag))
                assert views[child] is not None, child.tag


def test_a_link_is_tuned_without_touching_the_rest_of_it() -> None:
    tuning = LinkTuning(link_id=FIBRE, wavelength=36, channel_att_db=7.2504)
    edit = edit_config(remove_links=(PATH,), tune_links=(tuning,))
    gone, tuned = edit.findall(f".//{etsi('qkd_link')}")
    assert gone.get(OPERATION) == "remove"
    assert tuned.get(OPERATION) is None
    assert [(child.tag, child.text) for child in tuned] == [
        (etsi("qkdl_id"), FIBRE),
        (etsi("phys_channel_att"), "7.25"),
        (etsi("phys_wavelength"), "36"),
    ]
