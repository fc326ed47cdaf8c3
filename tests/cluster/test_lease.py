"""One of all speakers holds the Lease; another takes it when the holder is silent for its duration."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from speaker.cluster import ClusterConfig
from speaker.cluster.lease import DURATION_SECONDS, LOOK_SECONDS, NAME, RENEW_SECONDS, Lease
from speaker.cluster.transport import Transport
from tests.cluster.watching import HeldTime, running
from tests.lab.kubeapi import KubeApi
from tests.lab.kubeapi.resources import BUILT_IN
from tests.lab.waiting import eventually

LEASES = next(each for each in BUILT_IN if each.plural == "leases")


@dataclass
class Candidate:
    """One speaker's part, with its own clock."""

    lease: Lease
    time: HeldTime

    async def looks(self, seconds: float) -> bool | None:
        """Let time pass until it has looked once more; returns whether it holds the Lease."""
        looked = len(self.time.slept)
        self.time.advance(seconds)
        await eventually(lambda: len(self.time.slept) > looked, what="another look")
        return self.lease.held


@asynccontextmanager
async def candidate(config: ClusterConfig, name: str) -> AsyncIterator[Candidate]:
    time = HeldTime()
    transport = await Transport.connect(config, time.pacing())
    lease = Lease(transport, "kube-system", name, time.pacing())
    try:
        async with running(lease.run()):
            await eventually(lambda: time.sleeping, what="the first look")
            assert lease.decided.is_set()
            yield Candidate(lease, time)
    finally:
        await transport.close()


def stored(api: KubeApi) -> Any:
    return api.api.get(LEASES, "kube-system", NAME)["spec"]


async def test_the_first_one_creates_it(empty_api: KubeApi, empty_config: ClusterConfig) -> None:
    async with candidate(empty_config, "node-1") as first:
        assert first.lease.held is True
        spec = stored(empty_api)
        assert spec["holderIdentity"] == "node-1"
        assert spec["leaseDurationSeconds"] == DURATION_SECONDS
        assert spec["leaseTransitions"] == 0
        assert RENEW_SECONDS[0] <= first.time.slept[-1] <= RENEW_SECONDS[1]


async def test_the_holder_renews(empty_api: KubeApi, empty_config: ClusterConfig) -> None:
    async with candidate(empty_config, "node-1") as first:
        before = stored(empty_api)
        assert await first.looks(20.0) is True
        after = stored(empty_api)
        assert after["renewTime"] > before["renewTime"]
        assert after["acquireTime"] == before["acquireTime"]


async def test_the_second_one_waits(empty_api: KubeApi, empty_config: ClusterConfig) -> None:
    async with candidate(empty_config, "node-1") as first, candidate(empty_config, "node-2") as second:
        for _ in range(5):
            assert second.lease.held is False
            assert LOOK_SECONDS[0] <= second.time.slept[-1] <= LOOK_SECONDS[1]
            await first.looks(20.0)
            await second.looks(40.0)
        assert stored(empty_api)["holderIdentity"] == "node-1"


async def test_a_silent_holder_is_replaced(empty_api: KubeApi, empty_config: ClusterConfig) -> None:
    """By the own clock of who waits: the times in the Lease are never compared."""
    async with candidate(empty_config, "node-1"), candidate(empty_config, "node-2") as second:
        assert await second.looks(40.0) is False
        assert await second.looks(40.0) is True
        spec = stored(empty_api)
        assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("node-2", 1)


async def test_of_two_that_take_over_at_once_one_wins(empty_config: ClusterConfig) -> None:
    async with candidate(empty_config, "gone"):
        pass
    async with candidate(empty_config, "a") as one, candidate(empty_config, "b") as other:
        await one.looks(40.0)
        await other.looks(40.0)
        for each in (one, other):
            each.time.advance(40.0)
        await eventually(lambda: len(one.time.slept) == len(other.time.slept) == 3)
        assert sorted([one.lease.held, other.lease.held], key=str) == [False, True]


async def test_a_lost_race_is_no_lease(empty_api: KubeApi, empty_config: ClusterConfig) -> None:
    """The resourceVersion in the PUT lets only one of two take-overs succeed."""
    async with candidate(empty_config, "node-1") as first:
        empty_api.faults.do_before_next("PUT .*/leases", lambda: touch(empty_api))
        assert await first.looks(20.0) is False
        assert await first.looks(40.0) is True


def touch(api: KubeApi) -> None:
    """Somebody else writes it."""
    labels = {"labels": {"written": "by another"}}
    api.api.update(LEASES, "kube-system", NAME, lambda item: item | {"metadata": item["metadata"] | labels})


@pytest.mark.parametrize("status", [401, 403])
async def test_without_a_role_nobody_is_chosen(
    empty_api: KubeApi, empty_config: ClusterConfig, status: int
) -> None:
    """`held` is None then, so that every speaker tells what it sees."""
    empty_api.faults.answer_next(status, "/leases", times=9)
    async with candidate(empty_config, "node-1") as first:
        assert first.lease.held is None
        assert first.time.slept[-1] >= 300


async def test_an_outage_ends_the_holding_and_no_more(
    empty_api: KubeApi, empty_config: ClusterConfig
) -> None:
    async with candidate(empty_config, "node-1") as first:
        empty_api.faults.outage = True
        assert await first.looks(20.0) is False
        empty_api.faults.outage = False
        assert await first.looks(40.0) is True
