"""Statuses: the last one wins, nobody waits, nothing piles up, and nothing is written twice."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from speaker.cluster import ClusterConfig, StatusWriter
from speaker.cluster.inventory import Known
from speaker.cluster.statuses import AGAIN_SECONDS, EACH_SECONDS, REFUSED_SECONDS
from speaker.cluster.transport import Transport
from speaker.model.fabric import GROUP, VERSION
from speaker.model.objects import Kind, ObjectRef
from tests.cluster.watching import STORED, FastTime, HeldTime, create, delete, node, running, watching
from tests.lab.kubeapi import KubeApi
from tests.lab.kubeapi.crds import OPEN_CRDS
from tests.lab.waiting import eventually

TOR = ObjectRef(Kind.BGP_PEER, "", "tor")
OWN = ObjectRef(Kind.BGP_NODE_STATUS, "", "node-1")
PATCH = "PATCH /apis/bgp"


def custom(ref: ObjectRef) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": ref.kind.value,
        "metadata": {"name": ref.name},
        "spec": {"asNumber": 1},
    }


@dataclass
class Writing:
    """A writer that runs, and the server it writes to."""

    api: KubeApi
    time: HeldTime
    statuses: StatusWriter
    nodes: dict[ObjectRef, Known] = field(default_factory=dict)
    slept_at_write: int = 0

    def write(self, ref: ObjectRef, status: Mapping[str, object], *, create: bool = False) -> None:
        self.slept_at_write = len(self.time.slept)
        self.statuses.write(ref.kind, ref.name, status, create=create)

    def stored(self, ref: ObjectRef) -> Any:
        return self.api.store.get(STORED[ref.kind], "", ref.name)

    def status(self, ref: ObjectRef) -> Any:
        found = self.stored(ref)
        return None if found is None else found.get("status")

    @property
    def patches(self) -> int:
        return sum(PATCH in each for each in self.api.requests)

    async def reaches(self, ref: ObjectRef, status: object) -> None:
        await eventually(lambda: self.status(ref) == status, what=f"the status {status}")
        await self.rests()

    async def rests(self) -> None:
        """Return when it has taken all news and sleeps."""
        await eventually(lambda: self.time.sleeping == 1 and self.heard, what="a pause")

    @property
    def heard(self) -> bool:
        """Whether the last pause began after the last write."""
        return len(self.time.slept) > self.slept_at_write

    async def later(self, seconds: float) -> None:
        """Let time pass, and whatever is due then be done."""
        slept = len(self.time.slept)
        self.time.advance(seconds)
        await eventually(lambda: len(self.time.slept) > slept, what="the next pause")


@pytest.fixture
async def writing(empty_api: KubeApi, empty_config: ClusterConfig) -> AsyncIterator[Writing]:
    create(empty_api, *OPEN_CRDS, custom(TOR))
    async with writer(empty_api, empty_config) as one:
        yield one


@asynccontextmanager
async def writer(api: KubeApi, config: ClusterConfig) -> AsyncIterator[Writing]:
    time, nodes = HeldTime(), dict[ObjectRef, Known]()
    pacing = time.pacing()
    transport = await Transport.connect(config, pacing)
    statuses = StatusWriter(pacing, nodes.get)
    try:
        async with running(statuses.run(transport)):
            yield Writing(api, time, statuses, nodes)
    finally:
        await transport.close()


# -- what is written -----------------------------------------------------------------------------------


async def test_a_status_is_written_and_the_spec_stays(writing: Writing) -> None:
    writing.write(TOR, {"established": 3})
    await writing.reaches(TOR, {"established": 3})
    stored = writing.stored(TOR)
    assert stored["spec"] == {"asNumber": 1}
    assert stored["metadata"]["generation"] == 1


async def test_a_status_replaces_the_one_before_whole(writing: Writing) -> None:
    """Also what another has left there."""
    writing.api.create(custom(ObjectRef(Kind.BGP_PEER, "", "old")) | {"status": {"a": 1, "b": {"c": 2}}})
    old = ObjectRef(Kind.BGP_PEER, "", "old")
    writing.write(old, {"b": {"d": 3}})
    await writing.reaches(old, {"b": {"d": 3}})


async def test_a_none_leaves_its_key_out(writing: Writing) -> None:
    writing.write(TOR, {"a": None, "b": {"c": None, "d": 1}, "e": ({"f": None}, 2)})
    await writing.reaches(TOR, {"b": {"d": 1}, "e": [{}, 2]})


async def test_an_equal_status_is_not_written_twice(writing: Writing) -> None:
    writing.write(TOR, {"n": 1})
    await writing.reaches(TOR, {"n": 1})
    writing.write(TOR, {"n": 1})
    writing.time.advance(2 * EACH_SECONDS)
    writing.write(TOR, {"n": 2})
    await writing.reaches(TOR, {"n": 2})
    assert writing.patches == 2


async def test_the_last_of_many_is_written_once_a_second(writing: Writing) -> None:
    writing.write(TOR, {"n": 0})
    await writing.reaches(TOR, {"n": 0})
    for number in range(1, 100):
        writing.write(TOR, {"n": number})
    await writing.rests()
    assert writing.status(TOR) == {"n": 0}
    await writing.later(EACH_SECONDS)
    await writing.reaches(TOR, {"n": 99})
    assert writing.patches == 2


async def test_two_objects_do_not_wait_for_each_other(writing: Writing) -> None:
    writing.write(TOR, {"n": 0})
    await writing.reaches(TOR, {"n": 0})
    writing.write(OWN, {"n": 1}, create=True)
    await writing.reaches(OWN, {"n": 1})


async def test_what_is_changed_back_in_time_is_not_written(writing: Writing) -> None:
    writing.write(TOR, {"n": 0})
    await writing.reaches(TOR, {"n": 0})
    writing.write(TOR, {"n": 1})
    writing.write(TOR, {"n": 0})
    writing.time.advance(2 * EACH_SECONDS)
    writing.write(TOR, {"n": 2})
    await writing.reaches(TOR, {"n": 2})
    assert writing.patches == 2


async def test_what_is_withdrawn_is_written_no_more(writing: Writing) -> None:
    writing.write(TOR, {"n": 0})
    await writing.reaches(TOR, {"n": 0})
    writing.write(TOR, {"n": 1})
    writing.statuses.withdraw(TOR.kind, TOR.name)
    writing.write(OWN, {"n": 1}, create=True)
    await writing.reaches(OWN, {"n": 1})
    writing.write(OWN, {"n": 2}, create=True)
    await writing.rests()
    await writing.later(EACH_SECONDS)
    await writing.reaches(OWN, {"n": 2})
    assert writing.status(TOR) == {"n": 0}


# -- objects that are not there ------------------------------------------------------------------------


async def test_a_missing_object_is_created_for_its_node(writing: Writing) -> None:
    writing.nodes[ObjectRef(Kind.NODE, "", "node-1")] = Known("some-uid", "7", "")
    writing.write(OWN, {"ready": True}, create=True)
    await writing.reaches(OWN, {"ready": True})
    assert writing.stored(OWN)["metadata"]["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "Node", "name": "node-1", "uid": "some-uid"}
    ]


async def test_without_its_node_it_is_created_all_the_same(writing: Writing) -> None:
    writing.write(OWN, {"ready": True}, create=True)
    await writing.reaches(OWN, {"ready": True})
    assert "ownerReferences" not in writing.stored(OWN)["metadata"]


async def test_a_missing_object_that_is_not_ours_to_create_is_forgotten(writing: Writing) -> None:
    gone = ObjectRef(Kind.BGP_PEER, "", "gone")
    writing.write(gone, {"n": 1})
    await eventually(lambda: writing.patches, what="the attempt")
    create(writing.api, custom(gone))
    writing.write(TOR, {"n": 1})
    await writing.reaches(TOR, {"n": 1})
    await writing.later(AGAIN_SECONDS[1])
    assert writing.status(gone) is None
    assert not writing.statuses.errors
    writing.write(gone, {"n": 1})
    await writing.reaches(gone, {"n": 1})


async def test_what_somebody_creates_meanwhile_is_taken(writing: Writing) -> None:
    writing.api.faults.do_before_next("POST .*bgpnodestatuses", lambda: create(writing.api, custom(OWN)))
    writing.write(OWN, {"n": 1}, create=True)
    await writing.reaches(OWN, {"n": 1})
    assert writing.stored(OWN)["spec"] == {"asNumber": 1}


async def test_what_somebody_deletes_comes_back_in_time(writing: Writing) -> None:
    writing.write(OWN, {"n": 1}, create=True)
    await writing.reaches(OWN, {"n": 1})
    delete(writing.api, Kind.BGP_NODE_STATUS, "node-1")
    await writing.later(AGAIN_SECONDS[1])
    await writing.reaches(OWN, {"n": 1})


async def test_a_refresh_makes_no_event(writing: Writing) -> None:
    """The server stores no equal status, so those who watch hear nothing."""
    writing.write(OWN, {"n": 1}, create=True)
    await writing.reaches(OWN, {"n": 1})
    version = writing.stored(OWN)["metadata"]["resourceVersion"]
    before = writing.patches
    await writing.later(AGAIN_SECONDS[1])
    await eventually(lambda: writing.patches == before + 1, what="the refresh")
    assert writing.stored(OWN)["metadata"]["resourceVersion"] == version


async def test_what_others_may_have_written_is_written_again(writing: Writing) -> None:
    writing.write(TOR, {"n": 1})
    await writing.reaches(TOR, {"n": 1})
    resource = next(each for each in writing.api.api.resources() if each.storage_key == STORED[TOR.kind])
    writing.api.api.update(resource, "", "tor", lambda item: item | {"status": {}}, subresource="status")
    writing.statuses.forget()
    await writing.later(EACH_SECONDS)
    await writing.reaches(TOR, {"n": 1})


# -- trouble -------------------------------------------------------------------------------------------


async def test_while_the_server_is_away_nothing_piles_up(writing: Writing) -> None:
    writing.api.faults.outage = True
    for number in range(50):
        writing.write(TOR, {"n": number})
        writing.write(OWN, {"n": number}, create=True)
    await writing.rests()
    for _ in range(5):
        await writing.later(40.0)
    assert len(writing.api.requests) <= 8
    assert "cannot be reached" in writing.statuses.errors[TOR]
    writing.api.faults.outage = False
    writing.write(TOR, {"n": 50})
    await writing.later(40.0)
    await writing.reaches(TOR, {"n": 50})
    await writing.reaches(OWN, {"n": 49})
    assert not writing.statuses.errors
    assert writing.patches <= 15


@pytest.mark.parametrize("status", [401, 409, 429, 500, 503])
async def test_a_refusal_that_passes_is_tried_again_later(writing: Writing, status: int) -> None:
    # 401: the transport itself asks a second time when other credentials are there; here are none.
    writing.api.faults.answer_next(status, PATCH, times=2)
    writing.write(TOR, {"n": 1})
    await writing.rests()
    assert f"({status})" in writing.statuses.errors[TOR]
    await writing.later(40.0)
    await writing.later(40.0)
    await writing.reaches(TOR, {"n": 1})
    assert writing.patches == 3


@pytest.mark.parametrize("status", [403, 415, 422])
async def test_a_refusal_that_a_person_must_mend_does_not_stop_the_others(
    writing: Writing, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    writing.api.faults.answer_next(status, f"{PATCH}.*/tor/", times=2)
    writing.write(TOR, {"n": 1})
    writing.write(OWN, {"n": 1}, create=True)
    await writing.reaches(OWN, {"n": 1})
    sentence = writing.statuses.errors[TOR]
    assert f"refuses to write the status of bgppeers.{GROUP} ({status})" in sentence
    writing.write(TOR, {"n": 2})
    await writing.rests()
    writing.time.advance(REFUSED_SECONDS[0] - 1.0)
    assert sum(f"{PATCH}" in each and "/tor/" in each for each in writing.api.requests) == 1
    await writing.later(REFUSED_SECONDS[1])
    await writing.later(REFUSED_SECONDS[1])
    await writing.reaches(TOR, {"n": 2})
    told = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert len(told) == 1, "the same trouble is told once"


async def test_without_the_crd_it_is_tried_again_at_leisure(
    empty_api: KubeApi, empty_config: ClusterConfig
) -> None:
    async with writer(empty_api, empty_config) as writing:
        writing.write(OWN, {"n": 1}, create=True)
        await eventually(lambda: writing.statuses.errors, what="the refusal")
        await writing.rests()
        asked = len(empty_api.requests)
        writing.time.advance(REFUSED_SECONDS[0] / 2)
        assert len(empty_api.requests) == asked
        create(empty_api, *OPEN_CRDS)
        await writing.later(REFUSED_SECONDS[1])
        await writing.reaches(OWN, {"n": 1})


# -- in the cluster ------------------------------------------------------------------------------------


def speaker(config: ClusterConfig, name: str) -> ClusterConfig:
    return ClusterConfig(
        kubeconfig=config.kubeconfig,
        node_name=name,
        namespace="kube-system",
        only=frozenset({Kind.NODE, Kind.BGP_PEER}),
    )


async def test_a_speaker_writes_the_status_of_its_node(
    empty_api: KubeApi, empty_config: ClusterConfig
) -> None:
    create(empty_api, *OPEN_CRDS, node("node-1"))
    async with watching(speaker(empty_config, "node-1")) as seen:
        await seen.synced()
        seen.cluster.statuses.write(Kind.BGP_NODE_STATUS, "node-1", {"ready": True}, create=True)
        await eventually(
            lambda: (empty_api.store.get(STORED[Kind.BGP_NODE_STATUS], "", "node-1") or {}).get("status"),
            what="its status",
        )
        stored = empty_api.store.get(STORED[Kind.BGP_NODE_STATUS], "", "node-1")
        owner = empty_api.store.get(STORED[Kind.NODE], "", "node-1")
        assert stored is not None
        assert owner is not None
        assert stored["metadata"]["ownerReferences"][0]["uid"] == owner["metadata"]["uid"]


async def test_one_of_all_speakers_leads(empty_api: KubeApi, empty_config: ClusterConfig) -> None:
    """And hears of it; one whose Leases are forbidden does not lead."""
    told: list[bool] = []
    async with watching(speaker(empty_config, "node-1"), on_leader=told.append) as first:
        await eventually(lambda: first.cluster.is_leader, what="the first leader")
        assert told == [True]
        async with watching(speaker(empty_config, "node-2"), time=HeldTime()) as second:
            await second.synced()
            assert not second.cluster.is_leader
        empty_api.faults.answer_next(403, "/leases", times=999)
        await eventually(lambda: not first.cluster.is_leader, what="the end of the lead")
        assert told == [True, False]


async def test_a_new_leader_writes_over_what_the_old_one_wrote(
    empty_api: KubeApi, empty_config: ClusterConfig
) -> None:
    create(empty_api, *OPEN_CRDS, custom(TOR))
    async with watching(speaker(empty_config, "node-1"), time=FastTime()) as seen:
        await eventually(lambda: seen.cluster.is_leader, what="the lead")
        seen.cluster.statuses.write(Kind.BGP_PEER, "tor", {"n": 1})
        stored = STORED[Kind.BGP_PEER], "", "tor"
        await eventually(lambda: (empty_api.store.get(*stored) or {}).get("status") == {"n": 1})
        empty_api.faults.answer_next(503, "/leases")
        await eventually(lambda: not seen.cluster.is_leader, what="the end of the lead")
        resource = next(each for each in empty_api.api.resources() if each.storage_key == stored[0])
        other = {"status": {"n": 2}}
        empty_api.api.update(resource, "", "tor", lambda item: item | other, subresource="status")
        await eventually(lambda: seen.cluster.is_leader, what="the lead again")
        await eventually(lambda: (empty_api.store.get(*stored) or {}).get("status") == {"n": 1})
