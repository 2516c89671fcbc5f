"""The `keyweave` command, against a real laboratory of three sites and against nothing at all."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from keyweave_lab.cli import app

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("system")]

KEYWEAVE = [sys.executable, "-m", "keyweave_lab.cli"]


def keyweave(*arguments: str | Path, lab: Path | None = None) -> Result:
    """Run the command in this process."""
    environment = {"KEYWEAVE_LAB": str(lab)} if lab else {"KEYWEAVE_LAB": None}
    return CliRunner(env=environment).invoke(app, [str(argument) for argument in arguments])


def good(*arguments: str | Path, lab: Path) -> str:
    result = keyweave(*arguments, lab=lab)
    assert result.exit_code == 0, result.output
    return result.stdout


def eventually(look: Callable[[], bool], within_s: float = 15) -> None:
    deadline = time.monotonic() + within_s
    while not look():
        assert time.monotonic() < deadline, "did not come about"
        time.sleep(0.1)


def links(lab: Path) -> dict[str, dict]:
    found = json.loads(good("get", "links", "-o", "json", lab=lab))["links"]
    return {f"{link['a_name']}~{link['b_name']}": link for link in found}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A triangle that runs, deployed by the command itself."""
    folder = tmp_path_factory.mktemp("l") / "lab"
    try:
        assert "triangle runs in" in good("lab", "deploy", "triangle", lab=folder)
        eventually(
            lambda: len(links(folder)) == 3 and all(link["skr_bps"] for link in links(folder).values())
        )
        yield folder
    finally:
        assert keyweave("lab", "destroy", lab=folder).exit_code == 0


def test_nodes_as_a_table_and_as_json(lab):
    table = good("get", "nodes", lab=lab)
    assert all(len(line) <= 100 for line in table.splitlines())
    assert [line.split()[0] for line in table.splitlines()] == ["node", "A", "B", "C"]
    nodes = json.loads(good("get", "nodes", "--output", "json", lab=lab))["nodes"]
    assert [(node["name"], node["connected"], node["status"]) for node in nodes] == [
        (name, True, "NODE_STATUS_OPERATING") for name in "ABC"
    ]
    assert nodes[0]["consumers"] == ["sae-a"]


def test_links_carry_numbers_in_json_and_units_in_the_table(lab):
    link = links(lab)["A~B"]
    assert isinstance(link["skr_bps"], int)
    assert isinstance(link["stored_bits"], int)
    assert link["distance_km"] == 10.0
    assert 0 < link["qber"] < 0.11
    table = good("get", "links", lab=lab)
    assert all(len(line) <= 100 for line in table.splitlines())
    assert "A - B" in table
    assert "bit/s" in table


def test_open_get_close_and_the_bill(lab):
    opened = json.loads(
        good("open", "sae-a", "sae-c", "--min-bandwidth-bps", "4000", "--ttl-s", "60", "-o", "json", lab=lab)
    )
    assert opened["state"] == "ASSOCIATION_STATE_ACTIVE"
    assert opened["path"]["bandwidth_bps"] == 4000
    assert opened["qos"]["ttl_s"] == 60
    assert opened["requested_by"] == "operator"
    assert "A > C" in good("get", "associations", lab=lab)
    closed = good("close", opened["app_id"], lab=lab)
    assert "clos" in closed
    eventually(lambda: json.loads(good("get", "associations", "-o", "json", lab=lab))["associations"] == [])
    everything = json.loads(good("get", "associations", "--all", "-o", "json", lab=lab))["associations"]
    assert opened["app_id"] in [one["app_id"] for one in everything]
    bill = json.loads(good("get", "bill", "-o", "json", lab=lab))
    assert bill["currency"] == "EUR"
    assert "total" in good("get", "bill", lab=lab)
    assert json.loads(good("get", "usage", "-o", "json", lab=lab))["records"] == []


def test_a_refusal_is_one_line_with_the_reason_and_status_3(lab):
    result = keyweave("open", "sae-a", "sae-c", "--min-bandwidth-bps", "4000000000", lab=lab)
    assert result.exit_code == 3
    assert result.stderr.startswith("keyweave: refused: ")
    assert "lacks" in result.stderr
    assert "; fits " in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    result = keyweave("open", "sae-a", "nobody", lab=lab)
    told = "application not known: nobody; keyweave get nodes names those there are"
    assert (result.exit_code, result.stderr) == (3, f"keyweave: refused: {told}\n")
    result = keyweave("close", "not-an-id", lab=lab)
    assert result.exit_code == 3
    assert "app_id" in result.stderr


def test_paths_are_computed_deployed_explained_and_doubted(lab):
    wish = ("sae-b", "sae-c", "--rate", "5000")
    paths = json.loads(good("path", "compute", *wish, "--json", lab=lab))["paths"]
    assert [path["node_names"] for path in paths] == [["B", "C"], ["B", "A", "C"]]
    detour = paths[1]["path_id"]
    made = json.loads(good("path", "deploy", detour, *wish, "--json", lab=lab))
    assert made["path"]["node_names"] == ["B", "A", "C"]
    text = good("why", "sae-b", "sae-c", lab=lab)
    assert "cheaper" in text
    assert all(len(line) <= 100 for line in text.splitlines())
    told = json.loads(good("whatif", "--cut", "A-B", "--demand", "sae-c sae-a 1000", "--json", lab=lab))
    fates = {outcome["id"]: (outcome["fate"], outcome["node_names"]) for outcome in told["outcomes"]}
    assert fates[made["app_id"]] == ("FATE_MOVED", ["B", "C"])
    assert fates["d1"][0] == "FATE_CARRIED"
    assert "1 moved" in good("whatif", "--cut", "A-B", lab=lab)
    result = keyweave("path", "deploy", "0" * 16, "sae-c", "sae-b", lab=lab)
    assert result.exit_code == 3
    assert "deploy one of these: " in result.stderr
    good("close", made["app_id"], lab=lab)


def test_open_takes_a_service(lab):
    opened = json.loads(good("open", "sae-c", "sae-a", "--protection", "1+1", "--json", lab=lab))
    assert opened["service"]["protection"] == "PROTECTION_ONE_PLUS_ONE"
    assert len(opened["others"]) == 1
    good("close", opened["app_id"], lab=lab)
    result = keyweave("open", "sae-c", "sae-b", "--threshold", "2", lab=lab)
    assert (result.exit_code, "share threshold" in result.stderr) == (3, True)
    wish = ("--key-mode", "pqc-fallback", "--relay-method", "aes-256-gcm")
    opened = json.loads(good("open", "sae-c", "sae-b", *wish, "--json", lab=lab))
    assert opened["service"]["key_mode"] == "KEY_MODE_PQC_FALLBACK"
    assert opened["path"]["relay_method"] == "RELAY_METHOD_AES_256_GCM"
    assert "keys pqc fallback, relayed by aes 256 gcm" in " ".join(
        good("why", opened["app_id"], lab=lab).split()
    )
    good("close", opened["app_id"], lab=lab)
    result = keyweave("open", "sae-c", "sae-b", "--exclude", "Nowhere", lab=lab)
    assert (result.exit_code, "service.constraints.exclude_links" in result.stderr) == (3, True)


def test_cut_and_repair_are_seen_and_watched(lab):
    environment = {**os.environ, "KEYWEAVE_LAB": str(lab)}
    watcher = subprocess.Popen(
        [*KEYWEAVE, "watch", "-o", "json"], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert watcher.stdout is not None
        assert json.loads(watcher.stdout.readline())["snapshot"] is True
        assert good("lab", "cut", "A~B", lab=lab) == "A~B: cut\n"
        assert good("lab", "cut", "B-A", lab=lab) == "A~B: cut\n"
        eventually(lambda: "link-down" in good("get", "alarms", lab=lab))
        assert links(lab)["A~B"]["status"] in ("LINK_STATUS_PASSIVE", "LINK_STATUS_OFF")
        assert good("lab", "repair", "A~B", lab=lab) == "A~B: whole\n"
        eventually(lambda: json.loads(good("get", "alarms", "-o", "json", lab=lab))["alarms"] == [])
        assert "link-down" in good("get", "alarms", "--all", lab=lab)
    finally:
        watcher.send_signal(signal.SIGINT)
        # Not `communicate`: it would pass by what `readline` has read ahead.
        assert watcher.stdout is not None
        with watcher.stdout as rest:
            told = rest.read()
        watcher.wait(timeout=10)
    assert watcher.returncode == 130
    alarms = [alarm for line in told.splitlines() for alarm in json.loads(line).get("alarms", [])]
    assert any(alarm["type"] == "link-down" and "cleared_at" in alarm for alarm in alarms)


def test_degrade_lowers_the_rate(lab):
    before = links(lab)["B~C"]["skr_bps"]
    good("lab", "degrade", "B~C", "--extra-loss-db", "3", lab=lab)
    eventually(lambda: 0 < links(lab)["B~C"]["skr_bps"] < before * 0.8)
    good("lab", "repair", "B~C", lab=lab)
    result = keyweave("lab", "cut", "A~Z", lab=lab)
    assert result.exit_code == 2
    assert "no fibre 'A~Z'" in result.stderr


def test_inspect_shows_programs_fibres_and_doors(lab):
    facts = json.loads(good("lab", "inspect", "-o", "json", lab=lab))
    assert {program["state"] for program in facts["programs"]} == {"running"}
    assert len(facts["programs"]) == 5
    assert len(facts["fibres"]) == 3
    text = good("lab", "inspect", lab=lab)
    assert len(re.findall(r"-p\s+\d+\s+-s\s+operator@127\.0\.0\.1\s+netconf", text)) == 4
    assert "BEGIN" not in text + json.dumps(facts)


def test_an_explicit_address_instead_of_a_laboratory(lab):
    door = json.loads(good("lab", "inspect", "-o", "json", lab=lab))["controller"]
    options = ("--ca", door["ca"], "--cert", door["certificate"], "--key", door["private_key"])
    result = keyweave("get", "nodes", "--address", door["address"], *options)
    assert result.exit_code == 0, result.output
    result = keyweave("get", "nodes", "--address", door["address"])
    assert (result.exit_code, result.stderr) == (
        2,
        "keyweave: error: --address needs --ca, --cert and --key\n",
    )
    result = keyweave("get", "nodes", *options)
    assert result.exit_code == 2


def test_an_application_is_no_operator(lab):
    door = json.loads(good("lab", "inspect", "-o", "json", lab=lab))
    (tls,) = [one["tls"] for one in door["applications"] if one["sae_id"] == "sae-a"]
    options = ("--ca", tls["ca"], "--cert", tls["certificate"], "--key", tls["private_key"])
    result = keyweave("get", "nodes", "--address", door["controller"]["address"], *options)
    assert result.exit_code == 3
    assert "'sae-a' is not on this controller's list" in result.stderr


def test_check_config_reads_what_the_laboratory_wrote(lab):
    assert "correct" in good("controller", "check-config", lab / "controller" / "controller.toml", lab=lab)
    assert keyweave("agent", "check-config", lab / "agents" / "A" / "agent.toml").exit_code == 0
    broken = lab / "broken.toml"
    broken.write_text("[grpc]\nlisten_port = 99999\n")
    result = keyweave("controller", "check-config", broken)
    assert result.exit_code == 2
    assert str(broken) in result.stderr


def test_no_laboratory_is_one_line_and_status_2(tmp_path):
    for arguments in (("get", "nodes"), ("lab", "inspect"), ("lab", "cut", "A~B"), ("watch",)):
        result = keyweave(*arguments, lab=tmp_path)
        assert result.exit_code == 2
        assert (
            result.stderr == f"keyweave: error: {tmp_path}: no laboratory is deployed there (no lab.json)\n"
        )
    assert keyweave("lab", "destroy", lab=tmp_path).exit_code == 0


def test_a_controller_that_does_not_answer_is_one_line_and_status_1(lab):
    door = json.loads(good("lab", "inspect", "-o", "json", lab=lab))["controller"]
    options = ("--ca", door["ca"], "--cert", door["certificate"], "--key", door["private_key"])
    result = keyweave("get", "links", "--address", "localhost:1", *options)
    assert result.exit_code == 1
    assert result.stderr.startswith("keyweave: error: controller at localhost:1 does not answer: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("get", "weather"),
        ("open", "sae-a"),
        ("open", "a", "b", "--min-bandwidth-bps", "-1"),
        ("get", "nodes", "-o", "xml"),
        ("lab", "degrade", "A~B", "--extra-loss-db", "-3"),
    ],
)
def test_wrong_usage_is_status_2(arguments):
    assert keyweave(*arguments).exit_code == 2


def test_validate_says_the_line(tmp_path):
    assert "9 nodes, 9 links" in keyweave("lab", "validate", "madqci").stdout
    file = tmp_path / "net.yaml"
    shipped = Path(__file__).parents[2] / "lab" / "topologies" / "triangle.yaml"
    lines = shipped.read_text().splitlines()
    number = next(place for place, line in enumerate(lines) if "length_km" in line)
    lines[number] = lines[number].replace("length_km", "length_miles")
    file.write_text("\n".join(lines))
    result = keyweave("lab", "validate", file)
    assert result.exit_code == 2
    assert f"{file}:{number + 1}" in result.stderr
    result = keyweave("lab", "validate", "atlantis")
    assert result.exit_code == 2
    assert "madqci" in result.stderr


def test_help_is_quick_and_loads_nothing_heavy():
    code = (
        "import sys, keyweave_lab.cli; "
        "print([m for m in ('grpc', 'google.protobuf', 'asyncssh', 'sqlalchemy', 'yangson', 'lxml') "
        "if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
    began = time.monotonic()
    result = subprocess.run([*KEYWEAVE, "--help"], capture_output=True, text=True, check=True)
    assert time.monotonic() - began < 3  # 0.15 s alone; the bound leaves room for a busy machine
    for verb in ("get", "open", "close", "watch", "demo", "lab", "controller", "agent"):
        assert verb in result.stdout


def test_a_killed_program_is_started_again(lab):
    def programs():
        facts = json.loads(good("lab", "inspect", "-o", "json", lab=lab))
        return {program["name"]: program for program in facts["programs"]}

    os.kill(programs()["B"]["pid"], signal.SIGKILL)
    eventually(lambda: programs()["B"]["state"] == "stopped")
    assert "1 agent ready" in good("lab", "start", lab=lab)
    assert programs()["B"]["state"] == "running"
