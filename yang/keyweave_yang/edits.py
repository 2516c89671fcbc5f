"""What the controller asks of a node: edits of its configuration and filters of what to read.

Rule of this file: trees that go inside <config> or <filter>, built fresh each time. An edit puts whole
entries (`replace`) and takes entries away (`remove`), so it may be repeated with the same effect.
"""

from collections.abc import Iterable

from lxml import etree

from keyweave_core.model.application import Application
from keyweave_core.model.ids import AppId, LinkId
from keyweave_core.model.link import Link, LinkTuning
from keyweave_yang.namespaces import DATA_NSMAP, NETCONF, QKD_NODE, etsi, kwq, new_tree
from keyweave_yang.write_entries import Part, write_application, write_link
from keyweave_yang.writing import decimal3, grow, number, text

OPERATION = f"{{{NETCONF}}}operation"


def edit_config(
    put_links: Iterable[Link] = (),
    put_applications: Iterable[Application] = (),
    remove_links: Iterable[LinkId] = (),
    remove_applications: Iterable[AppId] = (),
    tune_links: Iterable[LinkTuning] = (),
) -> etree._Element:
    """The `qkd_node` to put inside <config>, for default-operation merge.

    Put entries carry config-true leaves only, and qkdl_type with what depends on it; qkdl_status only when
    `requested_status` is set, because a written status is a command. An id that is both put and removed
    is put. Tuned links are merged: nothing of them changes but their quantum channel.
    """
    root = new_tree(QKD_NODE, {**DATA_NSMAP, "nc": NETCONF})
    links, applications, tuned = tuple(put_links), tuple(put_applications), tuple(tune_links)
    kept_links = {link.link_id for link in links}
    kept_applications = {app.app_id for app in applications}
    gone_links = [link_id for link_id in remove_links if link_id not in kept_links]
    gone_applications = [app_id for app_id in remove_applications if app_id not in kept_applications]
    if applications or gone_applications:
        holder = grow(root, etsi("qkd_applications"))
        for app in applications:
            _replace(write_application(holder, app, Part.CONFIG))
        for app_id in gone_applications:
            _remove(holder, "qkd_app", "app_id", app_id)
    if links or gone_links or tuned:
        holder = grow(root, etsi("qkd_links"))
        for link in links:
            _replace(write_link(holder, link, Part.CONFIG))
        for link_id in gone_links:
            _remove(holder, "qkd_link", "qkdl_id", link_id)
        for tuning in tuned:
            _tune(holder, tuning)
    return root


def _tune(holder: etree._Element, tuning: LinkTuning) -> None:
    entry = grow(holder, etsi("qkd_link"))
    text(entry, etsi("qkdl_id"), tuning.link_id)
    decimal3(entry, etsi("phys_channel_att"), tuning.channel_att_db)
    number(entry, etsi("phys_wavelength"), tuning.wavelength)


def _replace(entry: etree._Element | None) -> None:
    if entry is not None:
        entry.set(OPERATION, "replace")


def _remove(holder: etree._Element, name: str, key: str, value: str) -> None:
    entry = grow(holder, etsi(name))
    entry.set(OPERATION, "remove")
    text(entry, etsi(key), value)


def node_filter() -> etree._Element:
    """Subtree filter: the whole node and nothing else of the server."""
    return new_tree(QKD_NODE)


def figures_filter() -> etree._Element:
    """Subtree filter: status, performance and key pool of every link."""
    root = node_filter()
    link = grow(grow(root, etsi("qkd_links")), etsi("qkd_link"))
    for tag in (etsi("qkdl_id"), etsi("qkdl_status"), etsi("qkdl_type"), etsi("qkdl_performance")):
        grow(link, tag)
    grow(link, kwq("key-pool"))
    grow(root, etsi("qkdn_id"))
    return root


def usage_filter() -> etree._Element:
    """Subtree filter: status and statistics of every application."""
    root = node_filter()
    app = grow(grow(root, etsi("qkd_applications")), etsi("qkd_app"))
    for tag in (etsi("app_id"), etsi("app_status"), etsi("app_statistics")):
        grow(app, tag)
    grow(root, etsi("qkdn_id"))
    return root
