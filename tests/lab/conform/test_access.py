"""Access control seen by two users: a server with rules passes, one that grants what it should not fails."""

from collections.abc import Callable

import asyncssh
import pytest

from keyweave_core.netconf.ports import Schema
from keyweave_core.netconf.protocol.messages import parse_xml
from keyweave_core.netconf.server.nacm.control import Nacm
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.conform.bench import Options
from keyweave_lab.conform.netconf import Choice, run_suite
from keyweave_lab.conform.report import Report, Verdict

from .conftest import RUNNING, Node, login, told
from .meddler import DATA, OK, Fault, meddled

NACM = """
<nacm xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-acm">
  <write-default>permit</write-default>
  <groups><group><name>admin</name><user-name>tester</user-name></group></groups>
  <rule-list><name>admin</name><group>admin</group>
    <rule><name>all</name><module-name>*</module-name><access-operations>*</access-operations>
      <action>permit</action></rule>
  </rule-list>
</nacm>
"""


@pytest.fixture
def run(schema: Schema, host_key: asyncssh.SSHKey) -> Callable[..., object]:
    async def go(fault: Fault, *only: str, module: str = "") -> Report:
        server = NetconfServer(
            schema,
            Node(),
            [parse_xml(RUNNING.encode()), parse_xml(NACM.encode())],
            clock=SystemClock(),
            access=Nacm(schema),  # type: ignore[arg-type] # the real schema knows its marks
        )
        async with meddled(server, fault, host_key) as port:
            options = Options(
                login=login(port, host_key),
                other=login(port, host_key, "guest"),
                message_limit_s=1.0,
                patience_s=0.5,
            )
            report = await run_suite(options, Choice(only=only), SystemClock())
        await server.close()
        return report

    return go


async def test_rules_hold(run: Callable[..., object]) -> None:
    report = await run(Fault(), "F1", "F2")  # type: ignore[misc]
    assert report.passed, told(report)
    assert report.counts()["not-applicable"] == 0


@pytest.mark.parametrize(
    ("ident", "fault"),
    [
        ("F1.kill", Fault(when=rb"<kill-session", answer=OK)),
        ("F1.delete-config", Fault(when=rb"<delete-config", answer=OK)),
        ("F1.rules-hidden", Fault(when=rb"<get>.*<nacm", answer=b"<data><nacm><x/></nacm></data>")),
        ("F1.rules-kept", Fault(when=rb"<edit-config|<commit", answer=OK)),
        ("F1.close", Fault(when=rb"<close-session", answer=DATA)),
        ("F1.read", Fault(message_in=lambda m: m.replace(b"<action>deny", b"<action>permit"))),
        ("F1.write", Fault(message_in=lambda m: m.replace(b"<action>deny", b"<action>permit"))),
        ("F1.exec", Fault(message_in=lambda m: m.replace(b"<action>deny", b"<action>permit"))),
        ("F2", Fault(message_in=lambda m: m.replace(b"<action>deny", b"<action>permit"))),
    ],
)
async def test_what_is_granted_wrongly_is_seen(run: Callable[..., object], ident: str, fault: Fault) -> None:
    report = await run(fault, ident)  # type: ignore[misc]
    verdicts = {result.id: result for result in report.results}
    assert verdicts[ident].result is Verdict.FAIL, verdicts[ident]
