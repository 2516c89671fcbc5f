"""What can be said only when everything else was done: every error seen, and the server after the abuse."""

from keyweave_lab.conform.bench import Bench, start_time
from keyweave_lab.conform.check import NotApplicable, check, require
from keyweave_lab.conform.checks_rpc import bad_paths, errors_in_order
from keyweave_lab.conform.xml import PROBE


@check("B9.children", "RFC 6241 4.3", "every rpc-error has type, tag and severity, its children in order")
async def children_of_errors(bench: Bench) -> str:
    if not bench.faults:
        await bench.ask("<keyweave-none/>")
    wrong = errors_in_order(bench.faults)
    require(not wrong, wrong)
    return f"{len(bench.faults)} errors, tags {sorted({fault.tag for fault in bench.faults})}"


@check("B9.paths", "RFC 6241 4.3", "every error-path is absolute and its prefixes are declared")
async def paths_of_errors(bench: Bench) -> str:
    paths = [path for path in (fault.field("error-path") for fault in bench.faults) if path]
    if not paths:
        raise NotApplicable("no error came with a path")
    wrong = bad_paths(bench.faults)
    require(not wrong, wrong)
    return f"{len(paths)} paths, such as {paths[-1]}"


@check("F4.alive", "-", "after all of this a new session is served")
async def alive(bench: Bench) -> str:
    async with bench.session() as talk:
        answer = await talk.ask(PROBE)
        require(not answer.faults, answer.told)
        return answer.told


@check("F4.same", "RFC 6022 2.1.5", "the server did not start again meanwhile",
       needs=("module:ietf-netconf-monitoring",))  # fmt: skip
async def not_restarted(bench: Bench) -> str:
    if not bench.started:
        raise NotApplicable("netconf-start-time is not told")
    now = await start_time(await bench.steady())
    require(now == bench.started, f"started at {bench.started}, and again at {now}")
    return f"runs since {now}"
