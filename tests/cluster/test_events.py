"""Kubernetes Events: written once, at a bounded rate, by the one who is to write them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

import pytest

from speaker.cluster import ClusterConfig, EventWriter
from speaker.cluster.events import AGAIN_SECONDS, LONGEST_QUEUE, PAUSE_SECONDS, TOLD
from speaker.cluster.inventory import Known
from speaker.cluster.lease import Lease
from speaker.cluster.transport import Transport
from speaker.model.fabric import GROUP, VERSION
from speaker.model.objects import Kind, ObjectRef
from speaker.model.publication import Exclusion, ExclusionReason
from tests.cluster.watching import FastTime, HeldTime, create, pod, running, watching
from tests.lab.kubeapi import KubeApi
from tests.lab.waiting import eventually

POD = ObjectRef(Kind.POD, "default", "web")
NODE = ObjectRef(Kind.NODE, "", "node-1")
EVENTS = ("", "events")


@dataclass
class Fixed:
    """A Lease that has been decided."""

    held: bool | None
    decided: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def writer(
    config: ClusterConfig,
    *,
    held: bool | None = None,
    time: FastTime | None = None,
    node_name: str = "node-1",
    pods_node: str = "node-1",
) -> AsyncIterator[tuple[EventWriter, FastTime]]:
    time = time or FastTime()
    transport = await Transport.connect(config, time.pacing())
    lease = Lease(transport, "kube-system", node_name, time.pacing())
    lease.held = held
    lease.decided.set()
    events = EventWriter(
        node_name,
        time.pacing(),
        lambda ref: Known("uid-1", "7", pods_node) if ref.kind is Kind.POD else None,
    )
    try:
        async with running(events.run(transport, lease)):
            yield events, time
    finally:
        await transport.close()


def stored(api: KubeApi) -> list[Any]:
    return api.store.all(EVENTS)


async def written(api: KubeApi, count: int) -> list[Any]:
    await eventually(lambda: stored(api), lambda there: len(there) >= count, what=f"{count} Events")
    return stored(api)


async def test_an_event_says_what_kubectl_describe_shows(
    empty_api: KubeApi, empty_config: ClusterConfig
) -> None:
    async with writer(empty_config) as (events, _):
        events.warn(POD, "InvalidAnnotation", "the value is none")
        (event,) = await written(empty_api, 1)
    assert event["involvedObject"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "namespace": "default",
        "name": "web",
        "uid": "uid-1",
    }
    assert (event["type"], event["reason"], event["message"]) == (
        "Warning",
        "InvalidAnnotation",
        "the value is none",
    )
    assert event["source"]["host"] == "node-1"
    assert event["count"] == 1
    assert event["metadata"]["name"].startswith("web.")


async def test_an_object_without_a_namespace_is_told_of_in_default(
    empty_api: KubeApi, empty_config: ClusterConfig
) -> None:
    async with writer(empty_config) as (events, _):
        events.warn(NODE, "PrefixReserved", "no")
        (event,) = await written(empty_api, 1)
    assert event["metadata"]["namespace"] == "default"


@pytest.mark.parametrize("held", [True, False])
async def test_of_our_own_resources_only_the_holder_of_the_lease_tells(
    empty_api: KubeApi, empty_config: ClusterConfig, held: bool
) -> None:
    async with writer(empty_config, held=held) as (events, _):
        events.warn(ObjectRef(Kind.BGP_PEER, "", "tor"), "Conflict", "another BGPPeer is older")
        events.warn(POD, "InvalidAnnotation", "its own node tells this in any case")
        there = await written(empty_api, 2 if held else 1)
    about = {each["involvedObject"]["kind"]: each["involvedObject"]["apiVersion"] for each in there}
    own = {"BGPPeer": f"{GROUP}/{VERSION}"} if held else {}
    assert about == {"Pod": "v1"} | own


@pytest.mark.parametrize("name", ["a" * 253, "a." * 126 + "a", "x" * 235 + "-" * 10 + "y"])
async def test_a_long_name_gives_a_name_that_the_server_takes(
    empty_api: KubeApi, empty_config: ClusterConfig, name: str
) -> None:
    async with writer(empty_config) as (events, _):
        events.warn(ObjectRef(Kind.POD, "default", name), "InvalidAnnotation", "no")
        (event,) = await written(empty_api, 1)
    assert len(event["metadata"]["name"]) <= 253


# -- once ----------------------------------------------------------------------------------------------


async def test_the_same_mistake_is_written_once(empty_api: KubeApi, empty_config: ClusterConfig) -> None:
    async with writer(empty_config) as (events, _):
        for _ in range(50):
            events.warn(POD, "InvalidAnnotation", "no")
        events.warn(POD, "InvalidAnnotation", "another")
        assert {each["message"] for each in await written(empty_api, 2)} == {"no", "another"}
    assert sum("events" in each for each in empty_api.requests) == 2


async def test_the_same_mistake_made_again_later_is_counted(
    empty_api: KubeApi, empty_config: ClusterConfig
) -> None:
    time = HeldTime()
    async with writer(empty_config, time=time) as (events, _):
        events.warn(POD, "InvalidAnnotation", "no")
        (first,) = await written(empty_api, 1)
        await eventually(lambda: time.sleeping)
        time.advance(AGAIN_SECONDS - 1)
        events.warn(POD, "InvalidAnnotation", "no")
        time.advance(2)
        events.warn(POD, "InvalidAnnotation", "no")
        await eventually(lambda: stored(empty_api)[0]["count"] == 2)
        (again,) = stored(empty_api)
    assert again["lastTimestamp"] > first["lastTimestamp"]
    assert again["firstTimestamp"] == first["firstTimestamp"]


async def test_an_event_that_has_expired_is_written_anew(
    empty_api: KubeApi, empty_config: ClusterConfig
) -> None:
    async with writer(empty_config) as (events, time):
        events.warn(POD, "InvalidAnnotation", "no")
        (event,) = await written(empty_api, 1)
        empty_api.store.delete(EVENTS, event)
        time.now += AGAIN_SECONDS + 1
        events.warn(POD, "InvalidAnnotation", "no")
        (event,) = await written(empty_api, 1)
        assert event["count"] == 2


async def test_two_speakers_write_one_event(empty_api: KubeApi, empty_config: ClusterConfig) -> None:
    async with writer(empty_config) as (one, _), writer(empty_config, node_name="node-2") as (other, _):
        one.warn(POD, "InvalidAnnotation", "no")
        other.warn(POD, "InvalidAnnotation", "no")
        await eventually(lambda: sum(each.startswith("POST") for each in empty_api.requests) == 2)
        assert len(await written(empty_api, 1)) == 1


# -- at a bounded rate --------------------------------------------------------------------------------


async def test_events_are_written_one_by_one_with_a_pause(
    empty_api: KubeApi, empty_config: ClusterConfig
) -> None:
    async with writer(empty_config) as (events, time):
        for number in range(30):
            events.warn(POD, "InvalidAnnotation", f"mistake {number}")
        await written(empty_api, 30)
        await eventually(lambda: len(time.slept) == 30)
        assert set(time.slept) == {PAUSE_SECONDS}


async def test_a_flood_is_dropped_and_said_once(
    empty_api: KubeApi, empty_config: ClusterConfig, caplog: pytest.LogCaptureFixture
) -> None:
    async with writer(empty_config, time=HeldTime()) as (events, _):
        for number in range(LONGEST_QUEUE + 25):
            events.warn(POD, "InvalidAnnotation", f"mistake {number}")
        assert events._queue.full()
        assert [record.message for record in caplog.records] == ["events are dropped"]
        await written(empty_api, 1)


@pytest.mark.parametrize("status", [401, 429, 500, 503])
async def test_a_server_in_trouble_is_tried_a_few_times(
    empty_api: KubeApi, empty_config: ClusterConfig, status: int
) -> None:
    empty_api.faults.answer_next(status, "/events", times=2)
    async with writer(empty_config) as (events, time):
        events.warn(POD, "InvalidAnnotation", "no")
        await written(empty_api, 1)
        assert all(1 <= pause <= 5 for pause in time.slept[:2])


async def test_a_refusal_is_not_tried_again(empty_api: KubeApi, empty_config: ClusterConfig) -> None:
    empty_api.faults.answer_next(403, "/events")
    async with writer(empty_config) as (events, _):
        events.warn(POD, "InvalidAnnotation", "no")
        events.warn(NODE, "InvalidAnnotation", "no")
        (event,) = await written(empty_api, 1)
        assert event["involvedObject"]["kind"] == "Node"


# -- by the one who is to ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "ref", "pods_node", "tells"),
    [
        (True, NODE, "", True),
        (True, POD, "node-2", True),
        (False, NODE, "", False),
        (False, POD, "node-1", True),
        (False, POD, "node-2", False),
        (None, NODE, "", True),
        (None, POD, "node-2", True),
    ],
)
async def test_who_tells(
    empty_api: KubeApi,
    empty_config: ClusterConfig,
    held: bool | None,
    ref: ObjectRef,
    pods_node: str,
    tells: bool,
) -> None:
    """The Lease holder tells everything, another one what concerns its own Pods."""
    async with writer(empty_config, held=held, pods_node=pods_node) as (events, _):
        events.warn(ref, "InvalidAnnotation", "no")
        events.warn(ObjectRef(Kind.POD, "default", "last"), "InvalidAnnotation", "no")
        if pods_node == "node-1" or held is not False:
            await eventually(lambda: any(e["involvedObject"]["name"] == "last" for e in stored(empty_api)))
        else:
            await eventually(events._queue.empty)
        assert any(each["involvedObject"]["name"] == ref.name for each in stored(empty_api)) is tells


@pytest.mark.parametrize("reason", list(ExclusionReason))
async def test_only_what_the_owner_can_mend_is_told(
    empty_api: KubeApi, empty_config: ClusterConfig, reason: ExclusionReason
) -> None:
    async with writer(empty_config) as (events, _):
        exclusion = Exclusion(source=POD, reason=reason, prefix=ip_network("10.0.0.1/32"), detail="a detail")
        events.exclusion(exclusion, "a sentence")
        assert events._queue.empty() is (reason not in TOLD)
        if reason in TOLD:
            (event,) = await written(empty_api, 1)
            assert event["message"] == "10.0.0.1/32 is not advertised: a sentence (a detail)"
            assert event["reason"] == reason.value


async def test_the_cluster_writes_events_of_what_it_watches(
    empty_api: KubeApi, empty_config: ClusterConfig
) -> None:
    """With the object's uid, which `kubectl describe` selects by."""
    create(empty_api, pod("web"))
    async with watching(empty_config) as seen:
        await seen.synced()
        seen.cluster.events.warn(POD, "InvalidAnnotation", "no")
        (event,) = await written(empty_api, 1)
    (stored_pod,) = empty_api.store.all(("", "pods"))
    assert event["involvedObject"]["uid"] == stored_pod["metadata"]["uid"]
