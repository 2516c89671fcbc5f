"""Rotations in one process: every crash point of either bridge, both sinks; partial failures; duplicates."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from tests.agents.bridge.kv_server import Path as KvPath
from tests.agents.bridge.world import SiteName, World

from keyweave_agents.bridge.journal import Stage
from keyweave_core.errors import Refused

Kind = Literal["vault", "file"]


@pytest.fixture
def world_of(tmp_path: Path) -> Iterator[Callable[[Kind], World]]:
    worlds: list[World] = []

    def make(kind: Kind = "vault") -> World:
        folder = tmp_path / str(len(worlds))
        folder.mkdir()
        worlds.append(World(folder, kind))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


def versions(world: World, site: SiteName) -> int:
    if world.secret.sink == "vault":
        return world.vaults[site].writes.count("keys/link")
    active = world.active(site)
    return 0 if active is None else int(active["version"])


@pytest.mark.parametrize("kind", ["vault", "file"])
async def test_an_event_rotates_both_sites_once(world_of: Callable[[Kind], World], kind: Kind) -> None:
    world = world_of(kind)
    done = await world.deliver("e1")
    assert (done.stage, done.attempt, done.version) == (Stage.DONE, 1, 1)
    west, east = world.active("west"), world.active("east")
    assert west is not None
    assert east is not None
    assert (west["key"], west["key_id"]) == (east["key"], east["key_id"])
    assert await world.deliver("e1") == done, "the same event again changes nothing"
    assert [versions(world, site) for site in ("west", "east")] == [1, 1]
    again = await world.deliver("e2")
    assert again.version == 2
    assert world.active("west") != west


@pytest.mark.parametrize("kind", ["vault", "file"])
@pytest.mark.parametrize("site", ["west", "east"])
@pytest.mark.parametrize("after", [False, True])
async def test_a_crash_at_any_operation_repairs_itself(
    world_of: Callable[[Kind], World], kind: Kind, site: SiteName, after: bool
) -> None:
    for at in range(100):
        world = world_of(kind)
        world.fuses[site].set(at, after=after)
        done = await world.deliver("e1")
        burnt = world.fuses[site].burnt
        assert done.attempt <= 2
        west, east = world.active("west"), world.active("east")
        assert west is not None
        assert east is not None
        assert (west["key"], west["event_id"]) == (east["key"], "e1")
        assert [versions(world, one) for one in ("west", "east")] == [1, 1], "made active once"
        world.fuses[site].at = None
        assert (await world.deliver("e2")).version == 2
        world.close()
        if not burnt:
            assert at > 4, "the fuse never burnt"
            return
    raise AssertionError("it never ends")


async def test_what_was_pending_is_gone_from_vault_and_marks_are_there(
    world_of: Callable[[Kind], World],
) -> None:
    world = world_of("vault")
    world.vaults["west"].paths["keys/link"] = KvPath(custom={"owner": "team"})
    done = await world.deliver("e1")
    path = world.vaults["west"].paths["keys/link"]
    assert path.custom == {
        "owner": "team",
        "keyweave_active_version": "1",
        "keyweave_event_id": "e1",
        "keyweave_key_id": done.key_id,
    }
    assert "keys/link.pending" not in world.vaults["west"].paths
    assert "keys/link.pending" not in world.vaults["east"].paths


@pytest.mark.parametrize("site", ["west", "east"])
async def test_a_sealed_vault_is_waited_for(world_of: Callable[[Kind], World], site: SiteName) -> None:
    world = world_of("vault")
    world.vaults[site].sealed = True
    with pytest.raises(AssertionError, match="sealed"):
        await world.deliver("e1", most=6)
    assert len(world.kme.keys) == (0 if site == "west" else 1), "waiting takes no keys"
    world.vaults[site].sealed = False
    done = await world.deliver("e1")
    assert (done.stage, done.attempt) == (Stage.DONE, 1)


@pytest.mark.parametrize("site", ["west", "east"])
@pytest.mark.parametrize(
    "what", [("POST", "data"), ("GET", "data"), ("POST", "metadata"), ("DELETE", "metadata")]
)
async def test_a_token_without_rights_is_told(
    world_of: Callable[[Kind], World], site: SiteName, what: tuple[str, str]
) -> None:
    world = world_of("vault")
    world.vaults[site].denied = what
    with pytest.raises(AssertionError, match="permission denied"):
        await world.deliver("e1", most=8)
    assert len(world.kme.keys) <= 1, "a sink that refuses costs no further key"
    world.vaults[site].denied = None
    assert (await world.deliver("e1")).attempt == 1


async def test_a_token_that_is_renewed_is_read_anew(world_of: Callable[[Kind], World]) -> None:
    world = world_of("vault")
    world.vaults["west"].token = world.vaults["east"].token = "s.new"
    with pytest.raises(AssertionError, match="403"):
        await world.deliver("e1", most=3)
    (world.folder / "token").write_text("s.new")
    await world.deliver("e1")
    (world.folder / "token").unlink()
    with pytest.raises(AssertionError, match="cannot read the token"):
        await world.deliver("e2", most=3)


@pytest.mark.parametrize("site", ["west", "east"])
@pytest.mark.parametrize("where", ["keys/link", "keys/link.pending"])
async def test_a_rival_writer_loses_nothing_but_time(
    world_of: Callable[[Kind], World], site: SiteName, where: str
) -> None:
    world = world_of("vault")
    vault = world.vaults[site]

    def rival(path: str) -> None:
        if path == where:
            vault.paths.setdefault(path, KvPath()).versions.append({"by": "hand"})
        else:
            vault.before_write = rival

    vault.before_write = rival
    done = await world.deliver("e1")
    assert done.attempt == 1
    active = vault.active("keys/link")
    assert active is not None
    assert active["event_id"] == "e1"


async def test_a_peer_that_is_away_is_waited_for(world_of: Callable[[Kind], World]) -> None:
    world = world_of("vault")
    world.peer_away = True
    with pytest.raises(AssertionError, match="nobody answers"):
        await world.deliver("e1", most=6)
    assert world.active("west") is None
    world.peer_away = False
    assert (await world.deliver("e1")).attempt == 1


async def test_answers_of_the_peer_that_are_lost_change_nothing(world_of: Callable[[Kind], World]) -> None:
    world = world_of("vault")
    world.peer_away_after = True
    with pytest.raises(AssertionError, match="the answer was lost"):
        await world.deliver("e1", most=6)
    world.peer_away_after = False
    done = await world.deliver("e1")
    assert (done.attempt, versions(world, "east")) == (1, 1)


async def test_a_key_that_the_other_site_cannot_fetch_is_replaced(world_of: Callable[[Kind], World]) -> None:
    world = world_of("vault")
    world.peer_away = True
    with pytest.raises(AssertionError):
        await world.deliver("e1", most=3)
    world.kme.keys.clear()  # its life is over
    world.peer_away = False
    done = await world.deliver("e1")
    assert done.attempt == 2
    row = world.row("east", "e1")
    assert row is not None
    assert (row.stage, row.attempt) == (Stage.ACTIVE, 2)


async def test_different_keys_under_one_id_never_become_active(world_of: Callable[[Kind], World]) -> None:
    world = world_of("vault")
    world.kme.defect = "different"
    with pytest.raises(AssertionError, match="different keys"):
        await world.deliver("e1", most=12)
    assert world.active("west") is None
    assert world.active("east") is None
    world.kme.defect = ""
    assert (await world.deliver("e1")).attempt > 1


async def test_a_pending_key_that_somebody_removed_is_replaced(world_of: Callable[[Kind], World]) -> None:
    for site in ("west", "east"):
        world = world_of("vault")
        world.peer_away_after = True  # the slave has staged, the master does not know
        with pytest.raises(AssertionError):
            await world.deliver("e1", most=3)
        world.vaults[site].paths.clear()
        world.peer_away_after = False
        assert (await world.deliver("e1")).attempt == 2


@pytest.mark.parametrize("site", ["west", "east"])
async def test_a_lost_journal_ends_in_the_same_state(
    world_of: Callable[[Kind], World], site: SiteName
) -> None:
    world = world_of("file")
    await world.deliver("e1")
    first = world.active("west")
    (world.folder / f"{site}.db").unlink()
    for extra in world.folder.glob(f"{site}.db-*"):
        extra.unlink()
    world.master, world.slave = world._make_master(), world._make_slave()
    assert (await world.deliver("e1")).version == 1, "the sink knows what the journal has lost"
    assert world.active("west") == first
    done = await world.deliver("e2")
    assert done.stage is Stage.DONE
    west, east = world.active("west"), world.active("east")
    assert west is not None
    assert east is not None
    assert west["key"] == east["key"]


async def test_events_are_of_one_secret_and_of_known_ones(world_of: Callable[[Kind], World]) -> None:
    world = world_of("vault")
    with pytest.raises(Refused, match="no secret"):
        world.master.accept("e1", "other")
    world.master.accept("e1", "link")
    row = world.row("west", "e1")
    assert row is not None
    assert row.stage is Stage.ACCEPTED
