"""Subscriptions over the wire: ONCE, POLL, STREAM by change and by sample, and their bounds."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from tests.gnmi.node import AT_LINK, LINK, OTHER, Target

from keyweave_core.errors import Exhausted, SchemaViolation
from keyweave_gnmi.client import GnmiClient, Subscribed, Wanted
from keyweave_gnmi.faults import NoSuchNode, Unsupported
from keyweave_gnmi.limits import GnmiLimits
from keyweave_gnmi.text_paths import path_text
from keyweave_proto.gnmi import gnmi_ext_pb2 as ext
from keyweave_proto.gnmi import gnmi_pb2 as pb
from keyweave_proto.gnmi import gnmi_pb2_grpc as pb_grpc

SKR = f"{AT_LINK}/qkdl_performance/skr"
VERSION = "/qkd_node/qkdn_version"
AT_OTHER = f"/qkd_node/qkd_links/qkd_link[qkdl_id={OTHER}]"


class Collector:
    """Reads a subscription message by message."""

    def __init__(self, answers: Subscribed) -> None:
        self._answers: AsyncIterator[pb.SubscribeResponse] = aiter(answers)

    async def message(self) -> pb.SubscribeResponse:
        async with asyncio.timeout(5):
            return await anext(self._answers)

    async def until_sync(self) -> dict[str, object]:
        """Values told up to the sync."""
        values: dict[str, object] = {}
        while not (response := await self.message()).sync_response:
            values |= values_of(response.update)
        return values

    async def news(self) -> pb.Notification:
        response = await self.message()
        assert response.WhichOneof("response") == "update"
        return response.update


def values_of(notification: pb.Notification) -> dict[str, object]:
    return {path_text(each.path): json.loads(each.val.json_ietf_val) for each in notification.update}


async def test_once_tells_every_leaf_by_itself_and_ends(client: GnmiClient) -> None:
    async with client.subscribe([Wanted(path="/")], mode=pb.SubscriptionList.ONCE) as answers:
        messages = [each async for each in answers]
    assert messages[-1].sync_response
    values: dict[str, object] = {}
    for each in messages[:-1]:
        values |= values_of(each.update)
    assert values[SKR] == 1200
    assert values[f"{AT_LINK}/qkdl_id"] == LINK
    assert not any(isinstance(value, dict) for value in values.values())


async def test_a_leaf_that_two_paths_name_is_told_once(client: GnmiClient) -> None:
    wanted = [Wanted(path=SKR), Wanted(path="/qkd_node/.../skr")]
    async with client.subscribe(wanted, mode=pb.SubscriptionList.ONCE) as answers:
        messages = [each async for each in answers]
    assert [len(each.update.update) for each in messages] == [1, 0]


async def test_poll_tells_everything_each_time(client: GnmiClient, target: Target) -> None:
    async with client.subscribe([Wanted(path=SKR)], mode=pb.SubscriptionList.POLL) as answers:
        reader = Collector(answers)
        assert await reader.until_sync() == {SKR: 1200}
        target.device.rate_bps = 900
        await answers.poll()
        assert await reader.until_sync() == {SKR: 900}
        await answers.poll()
        assert await reader.until_sync() == {SKR: 900}


async def test_updates_only_begins_with_the_sync(client: GnmiClient) -> None:
    for mode in (pb.SubscriptionList.ONCE, pb.SubscriptionList.POLL, pb.SubscriptionList.STREAM):
        async with client.subscribe([Wanted(path="/")], mode=mode, updates_only=True) as answers:
            assert (await Collector(answers).message()).sync_response


async def test_a_change_of_configuration_is_told_at_once_and_whole(
    target: Target, client: GnmiClient
) -> None:
    async with client.subscribe([Wanted(path="/qkd_node")]) as answers:
        reader = Collector(answers)
        assert VERSION not in await reader.until_sync()
        await client.set(
            delete=[f"{AT_LINK}/phys_channel_att"],
            update=[(VERSION, "2"), (AT_OTHER, {"qkdl_enable": True})],
        )
        news = await reader.news()
    assert [path_text(each) for each in news.delete] == [f"{AT_LINK}/phys_channel_att"]
    assert values_of(news) == {VERSION: "2", f"{AT_OTHER}/qkdl_id": OTHER, f"{AT_OTHER}/qkdl_enable": True}


async def test_an_entry_that_goes_is_one_delete(client: GnmiClient) -> None:
    await client.set(update=[(AT_OTHER, {"qkdl_enable": True})])
    wanted = [Wanted(path="/qkd_node/qkd_links"), Wanted(path="/qkd_node/qkd_links/qkd_link/qkdl_enable")]
    async with client.subscribe(wanted) as answers:
        reader = Collector(answers)
        await reader.until_sync()
        await client.set(delete=[AT_OTHER])
        news = await reader.news()
    # The second subscription names a leaf below: it sees that leaf go.
    assert [path_text(each) for each in news.delete] == [AT_OTHER, f"{AT_OTHER}/qkdl_enable"]
    assert not news.update


async def test_a_path_that_is_not_there_yet_is_told_when_it_comes(client: GnmiClient) -> None:
    async with client.subscribe([Wanted(path=f"{AT_OTHER}/qkdl_enable")]) as answers:
        reader = Collector(answers)
        assert await reader.until_sync() == {}
        await client.set(update=[(VERSION, "3")])  # none of its business
        await client.set(update=[(AT_OTHER, {"qkdl_enable": False})])
        assert values_of(await reader.news()) == {f"{AT_OTHER}/qkdl_enable": False}


async def test_state_that_nothing_tells_of_is_found_out(client: GnmiClient, target: Target) -> None:
    async with client.subscribe([Wanted(path=SKR)]) as answers:
        reader = Collector(answers)
        await reader.until_sync()
        target.device.rate_bps = 77
        assert values_of(await reader.news()) == {SKR: 77}


async def test_nobody_there_means_nothing_runs(client: GnmiClient, target: Target) -> None:
    async with client.subscribe([Wanted(path=SKR)]) as answers:
        await Collector(answers).until_sync()
    async with asyncio.timeout(5):
        while target.server.service.streams:
            await asyncio.sleep(0.01)
    looked = target.device.looked
    await asyncio.sleep(0.2)
    assert target.device.looked == looked


async def test_many_subscribers_share_one_look(client: GnmiClient, target: Target) -> None:
    streams = [client.subscribe([Wanted(path=SKR)]) for _ in range(8)]
    readers = []
    for each in streams:
        await each.__aenter__()
        readers.append(Collector(each))
        await readers[-1].until_sync()
    before = target.device.looked
    target.device.rate_bps = 5
    for reader in readers:
        assert values_of(await reader.news()) == {SKR: 5}
    assert target.device.looked - before <= 4
    for each in streams:
        await each.__aexit__(None, None, None)


async def test_samples_come_at_their_interval(client: GnmiClient) -> None:
    wanted = Wanted(path=SKR, mode=pb.SAMPLE, sample_s=0.05)
    async with client.subscribe([wanted]) as answers:
        reader = Collector(answers)
        await reader.until_sync()
        stamps = [(await reader.news()).timestamp for _ in range(4)]
    assert 0.1 <= (stamps[-1] - stamps[0]) / 1e9 < 1.0


async def test_redundant_samples_are_left_out_but_for_the_heartbeat(
    client: GnmiClient, target: Target
) -> None:
    wanted = Wanted(path=SKR, mode=pb.SAMPLE, sample_s=0.02, suppress_redundant=True, heartbeat_s=0.3)
    async with client.subscribe([wanted]) as answers:
        reader = Collector(answers)
        await reader.until_sync()
        target.device.rate_bps = 6
        assert values_of(await reader.news()) == {SKR: 6}
        began = asyncio.get_running_loop().time()
        assert values_of(await reader.news()) == {SKR: 6}
        assert asyncio.get_running_loop().time() - began > 0.1


async def test_a_sampled_path_that_goes_is_told(client: GnmiClient) -> None:
    wanted = Wanted(path=f"{AT_LINK}/phys_channel_att", mode=pb.SAMPLE, sample_s=0.05)
    async with client.subscribe([wanted]) as answers:
        reader = Collector(answers)
        await reader.until_sync()
        await client.set(delete=[f"{AT_LINK}/phys_channel_att"])
        while not (news := await reader.news()).delete:
            pass
    assert [path_text(each) for each in news.delete] == [f"{AT_LINK}/phys_channel_att"]


async def test_a_heartbeat_repeats_what_did_not_change(client: GnmiClient) -> None:
    async with client.subscribe([Wanted(path=VERSION.replace("version", "id"), heartbeat_s=0.05)]) as answers:
        reader = Collector(answers)
        first = await reader.until_sync()
        assert values_of(await reader.news()) == first
        assert values_of(await reader.news()) == first


async def test_proto_values_in_a_stream(client: GnmiClient) -> None:
    async with client.subscribe([Wanted(path=SKR)], encoding=pb.PROTO) as answers:
        assert (await Collector(answers).news()).update[0].val.uint_val == 1200


@pytest.mark.parametrize(
    ("wanted", "kind", "text"),
    [
        ([], SchemaViolation, "without subscriptions"),
        ([Wanted(path="/qkd_node/nothing")], NoSuchNode, "no node 'nothing'"),
        ([Wanted(path="/", mode=pb.SAMPLE, sample_s=0.001)], SchemaViolation, "sample_interval"),
    ],
)
async def test_what_cannot_be_subscribed(
    client: GnmiClient, wanted: list[Wanted], kind: type[Exception], text: str
) -> None:
    async with client.subscribe(wanted) as answers:
        with pytest.raises(kind, match=text):
            await Collector(answers).message()


async def test_a_second_list_on_a_stream_ends_it(client: GnmiClient) -> None:
    async with client.subscribe([Wanted(path=SKR)]) as answers:
        reader = Collector(answers)
        await reader.until_sync()
        await answers._write(pb.SubscribeRequest(subscribe=answers._asked))
        with pytest.raises(SchemaViolation, match="nothing after it"):
            await reader.message()


async def test_data_of_the_past_is_not_offered(client: GnmiClient) -> None:
    call = pb_grpc.gNMIStub(client._channel).Subscribe()
    asked = pb.SubscribeRequest(
        subscribe=pb.SubscriptionList(subscription=[Wanted(path="/").message()]),
        extension=[ext.Extension(history=ext.History(snapshot_time=1))],
    )
    await call.write(asked)
    with pytest.raises(Unsupported, match="extension history"):
        await Collector(Subscribed(call, asked.subscribe, "here")).message()


async def test_a_poll_before_any_list_is_refused(client: GnmiClient) -> None:
    call = pb_grpc.gNMIStub(client._channel).Subscribe()
    answers = Subscribed(call, pb.SubscriptionList(), "here")
    await answers.poll()
    with pytest.raises(SchemaViolation, match="must hold a subscription list"):
        await Collector(answers).message()


class TestLimits:
    @pytest.fixture
    def limits(self) -> GnmiLimits:
        return GnmiLimits(max_streams_per_user=2, refresh_s=0.02, write_timeout_s=0.3, grace_s=0.1)

    async def test_streams_of_one_user(self, client: GnmiClient, target: Target) -> None:
        async with client.subscribe([Wanted(path=SKR)]) as one, client.subscribe([Wanted(path=SKR)]) as two:
            await Collector(one).until_sync()
            await Collector(two).until_sync()
            async with client.subscribe([Wanted(path=SKR)]) as three:
                with pytest.raises(Exhausted, match="2 subscriptions, as many as allowed"):
                    await Collector(three).message()
        async with asyncio.timeout(5):
            while target.server.service.streams:
                await asyncio.sleep(0.01)

    async def test_a_subscriber_that_takes_nothing_is_ended(self, client: GnmiClient, target: Target) -> None:
        await client.set(update=[("/qkd_node/qkdn_location_id", "x" * 1_000_000)])
        wanted = Wanted(path="/qkd_node", mode=pb.SAMPLE, sample_s=0.1)
        async with client.subscribe([wanted]):
            async with asyncio.timeout(20):
                while not target.server.service.streams:
                    await asyncio.sleep(0.01)
                while target.server.service.streams:
                    await asyncio.sleep(0.05)
