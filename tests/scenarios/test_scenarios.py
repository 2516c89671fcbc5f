"""Scenarios as text: a network, what happens to it, and everything the machine asks for in answer.

A file holds commands; below each, after `----`, stands what came of it. Run with the environment variable
`KEYWEAVE_REWRITE_SCENARIOS=1` to write the answers anew, and commit only a difference you understand.

    span A B [rate=BPS] [loss=DB]        a fibre, before `start`
    apps SITE SAE...                     applications a site serves, before `start`
    policy hops=N restore=S default=BPS  before `start`
    start | restart                      the controller starts; or dies and starts again on what it knew
    open ID SRC DST [rate=] [max=] [priority=] [ttl=] [mode=]  the northbound asks
    ask SITE SRC DST... [rate=] [app=ID]                   an agent notifies application_new
    qos SITE APP rate=                   an agent notifies application_qos_update
    close ID APP | leave SITE APP        the northbound, or an agent, gives an association back
    down A-B by=SITE [reason=] | empty A-B by=SITE | up A-B by=SITE
    suspect A-B by=SITE | calm A-B by=SITE  somebody may be listening; or nobody any more
    fallback SITE APP REASON | quantum SITE APP  keys are made by ML-KEM; or are quantum keys again
    measure A-B by=SITE [rate=] [qber=]  figures of a link
    tell SITE A-B [to=SITE] [loss=]      a site says something else of a link, and is read again
    lose SITE | return SITE | read SITE | reject SITE REASON
    stubborn SITE REASON | willing SITE  the site refuses every edit, or does what it is told again
    work [SITE]                          sites do what they were asked (all of it, or one thing of one)
    advance SECONDS
    usage SITE APP bits= end=            a statistics period
    show                                 associations, promises, alarms, what sites hold
    bill per_mbit= per_further_hop=
"""

import os
import shlex
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from keyweave_controller.control.actions import (
    Action,
    Answer,
    Changed,
    Configure,
    ReadNode,
    RefuseApplication,
)
from keyweave_controller.control.configuration import Policy, Tariff
from keyweave_controller.control.events import (
    AssociationClosed,
    AssociationRequested,
    LinkMeasure,
    LinksMeasured,
    NodeRejected,
    Notified,
    UsageReported,
)
from keyweave_controller.control.network import Network
from keyweave_controller.control.service import DEFAULT_SERVICE, Service
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate, simulated_id, simulated_link_id
from keyweave_controller.management.manager import Management
from keyweave_core.model.application import AppQos, AppStatistics, KeyMode, KeyOrigin
from keyweave_core.model.link import Endpoint, LinkPerformance, LinkStatus
from keyweave_core.model.notifications import (
    Alarm,
    ApplicationDisconnected,
    ApplicationNew,
    ApplicationQosUpdate,
    ApplicationReport,
    Concern,
    Event,
    LinkDown,
    LinkReport,
)

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*.txt"))
REWRITE = os.environ.get("KEYWEAVE_REWRITE_SCENARIOS") == "1"


class Stage:
    """Plays one file."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.apps: dict[str, tuple[str, ...]] = {}
        self.policy = Policy()
        self.show: Rehearsal | None = None
        self.short: dict[str, str] = {}

    def play(self, line: str) -> str:
        words = shlex.split(line)
        plain = [word for word in words[1:] if "=" not in word]
        named = dict(word.split("=", 1) for word in words[1:] if "=" in word)
        if self.show is not None:
            self.show.now += 0.001
        done = len(self.show.actions) if self.show else 0
        said = getattr(self, f"do_{words[0]}")(*plain, **named) or ""
        actions = self.show.actions[done:] if self.show else []
        lines = [self.word(action) for action in actions]
        return "".join(f"{one}\n" for one in (*(line for line in lines if line), *said.splitlines()))

    # -- commands ----------------------------------------------------------------------------------------
    def do_span(self, a: str, b: str, rate: str = "1000000", loss: str = "5") -> None:
        self.spans.append(Span(a=a, b=b, skr_bps=int(rate), loss_db=float(loss)))

    def do_apps(self, site: str, *saes: str) -> None:
        self.apps[site] = saes

    def do_policy(self, hops: str = "16", restore: str = "30", default: str = "2000") -> None:
        self.policy = Policy(
            max_relay_hops=int(hops), wait_to_restore_s=float(restore), default_min_bandwidth_bps=int(default)
        )

    def do_start(self) -> None:
        self.show = Rehearsal(nodes=simulate(self.spans, self.apps))
        for name in sorted({one for span in self.spans for one in (span.a, span.b)}):
            self.short[simulated_id(name)] = name
        self.show.start(self.policy)

    def do_restart(self) -> None:
        show = self.show
        show.waiting.clear()
        show.timers.clear()
        show.network = Network.from_snapshot(show.network.to_snapshot())
        show.management = Management.from_snapshot(show.management.to_snapshot())
        show.start(self.policy)

    def do_open(self, request_id: str, source: str, destination: str, **named: str) -> None:
        ttl = named.get("ttl")
        self.feed(
            AssociationRequested,
            request_id=request_id,
            source=source,
            destination=destination,
            qos=qos(named),
            priority=int(named.get("priority", "0")),
            expires_at=self.show.now + float(ttl) if ttl else None,
            service=Service(key_mode=KeyMode(named["mode"])) if "mode" in named else DEFAULT_SERVICE,
        )

    def do_ask(self, site: str, source: str, *clients: str, **named: str) -> None:
        app = named.get("app")
        wish = ApplicationNew(server_app_id=source, client_app_ids=clients, qos=qos(named), app_id=app)
        self.notify(site, wish)

    def do_qos(self, site: str, app: str, **named: str) -> None:
        self.notify(site, ApplicationQosUpdate(app_id=self.long(app), qos=qos(named)))

    def do_close(self, request_id: str, app: str) -> None:
        self.feed(AssociationClosed, request_id=request_id, app_id=self.long(app))

    def do_leave(self, site: str, app: str) -> None:
        self.notify(site, ApplicationDisconnected(app_id=self.long(app)))

    def do_down(self, link: str, by: str, reason: str | None = None) -> None:
        self.notify(by, LinkDown(link_id=span_id(link), reason=reason))

    def do_empty(self, link: str, by: str) -> None:
        self.notify(by, Event(link=LinkReport(link_id=span_id(link), status=LinkStatus.OFF)))

    def do_up(self, link: str, by: str) -> None:
        self.notify(by, Event(link=LinkReport(link_id=span_id(link), status=LinkStatus.ACTIVE)))

    def do_suspect(self, link: str, by: str) -> None:
        report = LinkReport(
            link_id=span_id(link),
            status=LinkStatus.OFF,
            message="QBER 14.0%, 11.0% is the limit",
            concern=Concern.INTRUSION,
        )
        self.notify(by, Alarm(link=report))

    def do_calm(self, link: str, by: str) -> None:
        report = LinkReport(link_id=span_id(link), status=LinkStatus.ACTIVE, concern=Concern.INTRUSION)
        self.notify(by, Event(link=report))

    def do_fallback(self, site: str, app: str, reason: str) -> None:
        report = ApplicationReport(app_id=self.long(app), origin=KeyOrigin.PQC, message=reason)
        self.notify(site, Alarm(application=report))

    def do_quantum(self, site: str, app: str) -> None:
        self.notify(site, Event(application=ApplicationReport(app_id=self.long(app), origin=KeyOrigin.QKD)))

    def do_measure(self, link: str, by: str, rate: str | None = None, qber: str | None = None) -> None:
        figures = LinkPerformance(skr_bps=int(rate) if rate else None, qber=float(qber) if qber else None)
        measure = LinkMeasure(link_id=span_id(link), performance=figures)
        self.feed(LinksMeasured, node_id=simulated_id(by), links=(measure,))

    def do_tell(self, site: str, link: str, to: str | None = None, loss: str | None = None) -> None:
        node = self.show.nodes[simulated_id(site)]
        links = []
        for one in node.fixed.links:
            if one.link_id == span_id(link):
                if to is not None:
                    one = replace(one, remote=Endpoint(node_id=simulated_id(to)))
                if loss is not None:
                    one = replace(one, physical=replace(one.physical, channel_att_db=float(loss)))
            links.append(one)
        node.fixed = replace(node.fixed, links=tuple(links))
        self.show.connect(simulated_id(site))

    def do_lose(self, site: str) -> None:
        self.show.disconnect(simulated_id(site))

    def do_return(self, site: str) -> None:
        self.show.connect(simulated_id(site))

    do_read = do_return

    def do_reject(self, site: str, reason: str) -> None:
        self.feed(NodeRejected, name=site, faults=(reason,))

    def do_stubborn(self, site: str, reason: str) -> None:
        self.show.nodes[simulated_id(site)].refusal = reason

    def do_willing(self, site: str) -> None:
        self.show.nodes[simulated_id(site)].refusal = ""

    def do_work(self, site: str | None = None) -> None:
        if site is None:
            self.show.settle()
        else:
            self.show.work(simulated_id(site))

    def do_advance(self, seconds: str) -> None:
        self.show.advance(float(seconds))

    def do_usage(self, site: str, app: str, bits: str, end: str) -> None:
        period = AppStatistics(end_time=end, consumed_bits=int(bits))
        app_id = self.long(app)
        self.feed(UsageReported, node_id=simulated_id(site), app_id=app_id, periods=(period,))

    def do_bill(self, **named: str) -> str:
        bill = self.show.management.bill(Tariff(**{key: Decimal(value) for key, value in named.items()}))
        lines = [
            f"{one.source} -> {one.destination} over {'-'.join(one.path)} ({one.hops} hops):"
            f" {one.bits} bit, {one.amount} {bill.currency}"
            for one in bill.lines
        ]
        return "\n".join([*lines, f"total {bill.total} {bill.currency}"])

    def do_show(self) -> str:
        state, lines = self.show.network.state, []
        for one in state.associations.values():
            way = "-".join(state.node_name(node) for node in one.path.nodes) if one.path else "no path"
            why = f" because {'; '.join(one.reasons)}" if one.reasons else ""
            lines.append(f"{self.name(one.app_id)} {one.source} -> {one.destination} {one.state}: {way}{why}")
        for link_id, link in sorted(state.links.items(), key=lambda one: self.link(one[0])):
            if link.reserved_bps:
                held = ", ".join(f"{self.name(key)} {rate}" for key, rate in link.reserved_bps.items())
                lines.append(f"link {self.link(link_id)} {link.status} promises {held}")
        for alarm in self.show.management.alarms():
            hit = f" hits {', '.join(self.name(one) for one in alarm.affected)}" if alarm.affected else ""
            under = f" under alarm {alarm.cause}" if alarm.cause else ""
            about = self.name(alarm.resource.partition(":")[2]) if "assoc" in alarm.resource else ""
            lines.append(f"alarm {alarm.alarm_id} {alarm.type} {about}[{self.tidy(alarm.text)}]{hit}{under}")
        for node in self.show.nodes.values():
            if node.links or node.applications:
                entries = [self.name(one) for one in (*node.links, *node.applications)]
                lines.append(f"{node.name} holds {' '.join(sorted(entries))}")
        return "\n".join(lines) or "nothing"

    # -- words -------------------------------------------------------------------------------------------
    def word(self, action: Action) -> str:
        match action:
            case Configure(node_id=node_id, step_id=step_id, edit=edit):
                parts = []
                for link in edit.put_links:
                    hops = [f"from {self.short[link.virtual.prev_hop]}"] if link.virtual.prev_hop else []
                    hops += [f"to {self.short[one]}" for one in link.virtual.next_hops]
                    parts.append(
                        f"+{self.name(link.link_id, 'v')}({' '.join(hops)} {link.virtual.bandwidth_bps})"
                    )
                for one in edit.put_applications:
                    name = self.name(one.app_id, "i" if one.type == "INTERNAL" else "a")
                    by = ",".join(self.name(link) for link in one.backing_link_ids)
                    parts.append(f"+{name}" if name[0] == "i" else f"+{name}(over {by or 'nothing'})")
                gone = (*edit.remove_links, *edit.remove_applications)
                parts.extend(f"-{self.name(one)}" for one in gone)
                return f"{self.short[node_id]}: {step_id.split('/')[1]} {' '.join(parts)}"
            case RefuseApplication(node_id=node_id, client_app_ids=clients, reasons=reasons):
                return f"{self.short[node_id]}: refuse {','.join(clients)}: {self.tidy('; '.join(reasons))}"
            case ReadNode(node_id=node_id):
                return f"{self.short[node_id]}: read"
            case Answer(request_id=request_id, app_id=app_id, reasons=reasons):
                outcome = self.name(app_id, "a") if app_id else "refused: " + self.tidy("; ".join(reasons))
                return f"answer {request_id}: {outcome}"
            case Changed():
                return ""
            case _:  # timers: their ids carry step ids, which say nothing here
                return ""

    def name(self, long: str, kind: str = "?") -> str:
        if long not in self.short:
            if kind == "?":
                return self.link(long)
            number = sum(1 for one in self.short.values() if one[0] == kind and one[1:].isdigit()) + 1
            self.short[long] = f"{kind}{number}"
        return self.short[long]

    def link(self, link_id: str) -> str:
        for span in self.spans:
            if simulated_link_id(span.a, span.b) == link_id:
                return f"{span.a}-{span.b}"
        return link_id

    def long(self, short: str) -> str:
        return next((key for key, value in self.short.items() if value == short), short)

    def tidy(self, text: str) -> str:
        for long, short in self.short.items():
            text = text.replace(long, short)
        return text

    def notify(self, site: str, notification: object) -> None:
        self.feed(Notified, node_id=simulated_id(site), notification=notification)

    def feed(self, kind: type, **fields: object) -> None:
        self.show.feed(kind(at=self.show.now, **fields))


def qos(named: dict[str, str]) -> AppQos:
    low, high = named.get("rate"), named.get("max")
    return AppQos(min_bandwidth_bps=int(low) if low else None, max_bandwidth_bps=int(high) if high else None)


def span_id(link: str) -> str:
    return simulated_link_id(*link.split("-"))


def perform(text: str) -> str:
    """The file with every answer as it is now."""
    stage, out, skipping = Stage(), [], False
    for line in text.splitlines():
        if line == "----":
            skipping = True
        elif skipping and line.strip():
            continue
        else:
            skipping = False
            out.append(line)
            if line.strip() and not line.startswith("#"):
                said = stage.play(line)
                if said:
                    out.append(f"----\n{said}".rstrip("\n"))
    return "\n".join(out).rstrip("\n") + "\n"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_scenario(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    now = perform(text)
    if REWRITE:
        path.write_text(now, encoding="utf-8")
    else:
        assert now == text
