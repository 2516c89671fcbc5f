"""Subscriptions of RFC 8639 and RFC 8641 from the client's side: asking for them, reading what comes.

Rule of this file: what carries the id of a subscription (updates, state notifications) goes to whoever
established it, in the order it was sent; event records of a stream carry none, so they go where all
notifications of the session go.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lxml import etree

from keyweave_core.errors import MalformedMessage
from keyweave_core.netconf.client.client import NetconfClient
from keyweave_core.netconf.protocol.elements import Element, element
from keyweave_core.netconf.protocol.messages import PUSH, SUBSCRIBED, Notification, subscription_of

_DATASTORES = "urn:ietf:params:xml:ns:yang:ietf-datastores"


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchEdit:
    """One edit of a YANG patch (RFC 8072); `target` and `point` are paths of RESTCONF, '' where absent."""

    operation: str
    target: str
    where: str = ""
    point: str = ""
    value: Element | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PushUpdate:
    """The whole of what was subscribed to; `incomplete` when the server could not tell all."""

    id: int
    event_time: str
    contents: tuple[Element, ...]
    incomplete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PushChangeUpdate:
    """What has changed since the update before."""

    id: int
    event_time: str
    edits: tuple[PatchEdit, ...]
    incomplete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionState:
    """A state notification: `name` as in ietf-subscribed-notifications, `reason` without prefix or ''."""

    id: int
    event_time: str
    name: str
    reason: str

    @property
    def over(self) -> bool:
        """True when nothing more comes."""
        return self.name in ("subscription-terminated", "subscription-completed")


Update = PushUpdate | PushChangeUpdate | SubscriptionState


@dataclass(frozen=True, slots=True, kw_only=True)
class Periodic:
    """A push-update every `period_s` (a whole number of centiseconds), from `anchor_time` on if given."""

    period_s: float
    anchor_time: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OnChange:
    """A push-change-update for each change, at least `dampening_s` apart; first everything with `sync`."""

    dampening_s: float = 0.0
    sync: bool = True
    excluded: tuple[str, ...] = ()


class Subscription:
    """An established subscription. The session must stay open; when that ends, so has this."""

    def __init__(self, client: NetconfClient, number: int, replay_from: str | None) -> None:
        self._client = client
        self.id = number
        self.replay_from = replay_from  # when the server's log does not reach back to what was asked for

    async def delete(self) -> None:
        """End it; what is on the way is dropped. Raises as every operation of `NetconfClient`."""
        await self._client.rpc(_about("delete-subscription", SUBSCRIBED, self.id))
        self._client.forget_subscription(self.id)

    async def resync(self) -> None:
        """Have everything sent anew (on change only)."""
        await self._client.rpc(_about("resync-subscription", PUSH, self.id))


async def subscribe_to_datastore(
    client: NetconfClient,
    trigger: Periodic | OnChange,
    on_update: Callable[[Update], None],
    *,
    datastore: str = "operational",
    filter: Element | Iterable[Element] | None = None,  # noqa: A002
    stop_time: str | None = None,
    timeout_s: float | None = None,
) -> Subscription:
    """Subscribe to a datastore (RFC 8641); `filter` = the elements of a subtree filter.

    `on_update` must not raise or wait. Raises as every operation of `NetconfClient`; the RpcError of a
    refusal carries the identity of the standard as its `app_tag`.
    """
    operation = _establish()
    leaf = etree.SubElement(operation, f"{{{PUSH}}}datastore", nsmap={"ds": _DATASTORES})
    leaf.text = f"ds:{datastore}"
    _put_filter(operation, f"{{{PUSH}}}datastore-subtree-filter", filter)
    if stop_time is not None:
        etree.SubElement(operation, f"{{{SUBSCRIBED}}}stop-time").text = stop_time
    _put_trigger(operation, trigger)
    return await _established(client, operation, on_update, timeout_s)


async def subscribe_to_stream(
    client: NetconfClient,
    on_update: Callable[[Update], None],
    *,
    stream: str = "NETCONF",
    filter: Element | Iterable[Element] | None = None,  # noqa: A002
    replay_from: str | None = None,
    stop_time: str | None = None,
    timeout_s: float | None = None,
) -> Subscription:
    """Subscribe to a stream of events (RFC 8639); times as `yang:date-and-time`.

    Events come from `client.notifications()` (or where `client.on_notification` sends them), state
    notifications to `on_update`.
    """
    operation = _establish()
    etree.SubElement(operation, f"{{{SUBSCRIBED}}}stream").text = stream
    _put_filter(operation, f"{{{SUBSCRIBED}}}stream-subtree-filter", filter)
    for name, value in (("replay-start-time", replay_from), ("stop-time", stop_time)):
        if value is not None:
            etree.SubElement(operation, f"{{{SUBSCRIBED}}}{name}").text = value
    return await _established(client, operation, on_update, timeout_s)


def read_update(notification: Notification) -> Update | None:
    """What a notification with the id of a subscription says; None for one without."""
    number = subscription_of(notification.content)
    if number is None:
        return None
    content, at = notification.content, notification.event_time
    name = etree.QName(content).localname
    if name == "push-update":
        return PushUpdate(
            id=number,
            event_time=at,
            contents=tuple(content.iterfind(f"{{{PUSH}}}datastore-contents/*")),
            incomplete=content.find(f"{{{PUSH}}}incomplete-update") is not None,
        )
    if name == "push-change-update":
        return PushChangeUpdate(
            id=number,
            event_time=at,
            edits=tuple(_edit(edit) for edit in content.iter(f"{{{PUSH}}}edit")),
            incomplete=content.find(f"{{{PUSH}}}incomplete-update") is not None,
        )
    reason = (content.findtext(f"{{{SUBSCRIBED}}}reason") or "").strip().rpartition(":")[2]
    return SubscriptionState(id=number, event_time=at, name=name, reason=reason)


async def _established(
    client: NetconfClient, operation: Element, on_update: Callable[[Update], None], timeout_s: float | None
) -> Subscription:
    def taken(notification: Notification) -> None:
        update = read_update(notification)
        if update is not None:
            on_update(update)
            if isinstance(update, SubscriptionState) and update.over:
                client.forget_subscription(update.id)

    reply = await client.establish_subscription(operation, taken, timeout_s=timeout_s)
    number = reply.findtext(f"{{{SUBSCRIBED}}}id")
    if number is None:
        raise MalformedMessage("a reply to establish-subscription without id")
    return Subscription(client, int(number), reply.findtext(f"{{{SUBSCRIBED}}}replay-start-time-revision"))


def _establish() -> Element:
    return element(f"{{{SUBSCRIBED}}}establish-subscription", {None: SUBSCRIBED, "yp": PUSH})


def _about(name: str, namespace: str, number: int) -> Element:
    operation = element(f"{{{namespace}}}{name}", {None: namespace})
    etree.SubElement(operation, f"{{{namespace}}}id").text = str(number)
    return operation


def _put_filter(operation: Element, tag: str, given: Element | Iterable[Element] | None) -> None:
    if given is None:
        return
    parameter = etree.SubElement(operation, tag)
    wanted: Sequence[Element] = [given] if isinstance(given, etree._Element) else list(given)  # noqa: SLF001
    parameter.extend(etree.fromstring(etree.tostring(one)) for one in wanted)


def _put_trigger(operation: Element, trigger: Periodic | OnChange) -> None:
    def put(parent: Element, name: str, text: str) -> None:
        etree.SubElement(parent, f"{{{PUSH}}}{name}").text = text

    if isinstance(trigger, Periodic):
        part = etree.SubElement(operation, f"{{{PUSH}}}periodic")
        put(part, "period", str(round(trigger.period_s * 100)))
        if trigger.anchor_time is not None:
            put(part, "anchor-time", trigger.anchor_time)
        return
    part = etree.SubElement(operation, f"{{{PUSH}}}on-change")
    put(part, "dampening-period", str(round(trigger.dampening_s * 100)))
    put(part, "sync-on-start", "true" if trigger.sync else "false")
    for kind in trigger.excluded:
        put(part, "excluded-change", kind)


def _edit(edit: Element) -> PatchEdit:
    def text(name: str) -> str:
        return (edit.findtext(f"{{{PUSH}}}{name}") or "").strip()

    value = edit.find(f"{{{PUSH}}}value")
    return PatchEdit(
        operation=text("operation"),
        target=text("target"),
        where=text("where"),
        point=text("point"),
        value=None if value is None else next(value.iterchildren("*"), None),
    )
