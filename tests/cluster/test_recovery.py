"""Every way in which the API server can fail: what was known stays known, and the rest is caught up.

Each test injects one fault into a server and asks that the view equals the server's state at the end,
that nothing was told to be gone meanwhile, and that the server was not asked in a loop.
"""

import pytest

from speaker.cluster import ClusterConfig
from speaker.cluster.backoff import Patience
from speaker.model.objects import Kind
from tests.cluster.watching import (
    PODS,
    change_pod,
    converged,
    create,
    delete,
    first_sync,
    lists,
    nothing_happens,
    pod,
    reflecting,
)
from tests.lab.kubeapi import KubeApi
from tests.lab.waiting import eventually

pytestmark = pytest.mark.emulator_only

QUICK = Patience(connect_seconds=1.0, answer_seconds=0.3, silence_seconds=0.3, initial_seconds=0.15)


# -- a resourceVersion or a token that is too old ------------------------------------------------------


async def test_410_at_the_start_of_a_watch_lists_again(api: KubeApi, config: ClusterConfig) -> None:
    """The history is gone while the watch is away; what was deleted meanwhile is found by comparing."""
    async with reflecting(config) as seen:
        await first_sync(api, seen)
        api.faults.answer_next(503, PODS, times=3)
        api.faults.reset_watches()
        delete(api, Kind.POD, "pod-0001", "default")
        create(api, pod("late", "10.9.0.1"))
        api.store.compact()
        await converged(api, seen, Kind.POD)
        assert {ref.name for ref in seen.gone} == {"pod-0001"}
        assert lists(api) == 2


async def test_410_in_the_middle_of_a_watch_lists_again(api: KubeApi, config: ClusterConfig) -> None:
    async with reflecting(config) as seen:
        await first_sync(api, seen)
        api.faults.silent = True
        create(api, pod("late", "10.9.0.1"))
        api.store.compact()
        api.faults.silent = False
        create(api, pod("later", "10.9.0.2"))
        await converged(api, seen, Kind.POD)
        assert not seen.gone
        assert not seen.errors(), "an old resourceVersion is no trouble to tell people of"


async def test_an_expired_continue_token_starts_the_list_again(api: KubeApi, config: ClusterConfig) -> None:
    api.faults.watch_list = False
    create(api, *(pod(f"more-{n:04}", f"10.1.{n // 250}.{n % 250 + 1}") for n in range(1200)))
    api.faults.answer_next(410, "continue=", times=2)
    async with reflecting(config) as seen:
        await converged(api, seen, Kind.POD)
    assert len([each for each in api.requests if "limit=500" in each and "continue" not in each]) == 3
    assert not seen.gone


async def test_410_again_and_again_is_asked_ever_more_slowly(api: KubeApi, config: ClusterConfig) -> None:
    """A server that takes back each resourceVersion it gives must not be listed in a loop."""
    api.faults.watch_list = False
    async with reflecting(config) as seen:
        await first_sync(api, seen)
        api.faults.answer_next(410, "resourceVersion=", times=8)
        before = len(api.requests)
        api.faults.reset_watches()
        await eventually(lambda: len(api.requests) == before + 8 + 8 + 1, what="as many lists as answers")
        assert sum(seen.time.slept) > 10
        assert not seen.gone


# -- refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_kept(api: KubeApi, config: ClusterConfig, status: int) -> None:
    """The server says when to come back; chance is added, for all were turned away together."""
    api.faults.answer_next(status, PODS, retry_after="7")
    async with reflecting(config) as seen:
        await converged(api, seen, Kind.POD)
        assert [7 <= pause <= 8 for pause in seen.time.slept] == [True]
        assert f"({status})" in seen.errors("pods")[0]


@pytest.mark.parametrize("text", ["3600", "Wed, 21 Oct 2026 07:28:00 GMT", "-1", "9" * 400])
async def test_a_strange_retry_after_does_no_harm(api: KubeApi, config: ClusterConfig, text: str) -> None:
    api.faults.answer_next(429, PODS, retry_after=text)
    async with reflecting(config) as seen:
        await converged(api, seen, Kind.POD)
        assert max(seen.time.slept) <= 61


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_refused_watch_is_resumed_and_not_listed_again(
    api: KubeApi, config: ClusterConfig, status: int
) -> None:
    async with reflecting(config) as seen:
        await first_sync(api, seen)
        before = lists(api)
        api.faults.answer_next(status, PODS, times=3)
        api.faults.reset_watches()
        await eventually(lambda: any(f"({status})" in each for each in seen.errors()), what="the refusal")
        create(api, pod("late", "10.9.0.1"))
        await converged(api, seen, Kind.POD)
        assert lists(api) == before
        assert not seen.gone
        assert not seen.failing


async def test_a_server_that_is_behind_is_waited_for(api: KubeApi, config: ClusterConfig) -> None:
    """504 "Too large resource version": one of several servers has not caught up yet."""
    body = b'{"kind":"Status","code":504,"message":"Too large resource version: 9, current: 8"}'
    async with reflecting(config) as seen:
        await first_sync(api, seen)
        before = lists(api)
        api.faults.answer_next(504, PODS, times=3, body=body)
        api.faults.reset_watches()
        create(api, pod("late", "10.9.0.1"))
        await converged(api, seen, Kind.POD)
        assert lists(api) == before
        assert all(pause >= 1 for pause in seen.time.slept[1:4])


async def test_a_server_that_was_restored_to_an_older_state_is_listed(
    api: KubeApi, config: ClusterConfig
) -> None:
    """Its counter will not come back to our resourceVersion: after a few answers the list decides."""
    api.store.rv += 1000
    async with reflecting(config) as seen:
        await first_sync(api, seen)
        delete(api, Kind.POD, "pod-0003", "default")
        await converged(api, seen, Kind.POD)
        api.store.rv -= 500
        api.store.compact()
        api.faults.reset_watches()
        create(api, pod("late", "10.9.0.1"))
        await converged(api, seen, Kind.POD)
        assert {ref.name for ref in seen.gone} == {"pod-0003"}


# -- the connection ------------------------------------------------------------------------------------


async def test_resets_resume_from_the_last_version(api: KubeApi, config: ClusterConfig) -> None:
    async with reflecting(config) as seen:
        await first_sync(api, seen)
        before = lists(api)
        for number in range(5):
            api.faults.reset_watches()
            change_pod(api, "pod-0002", f"10.9.1.{number + 1}")
            create(api, pod(f"late-{number}", f"10.9.0.{number + 1}"))
            await converged(api, seen, Kind.POD)
        assert lists(api) == before
        assert not seen.gone


async def test_resets_of_requests_are_retried(api: KubeApi, config: ClusterConfig) -> None:
    api.faults.reset_next(PODS, times=6)
    async with reflecting(config) as seen:
        await converged(api, seen, Kind.POD)
        assert "cannot be reached" in seen.errors("pods")[0]
        assert not seen.failing


async def test_no_byte_of_an_answer_ends_in_the_read_timeout(api: KubeApi, config: ClusterConfig) -> None:
    api.faults.hang_next(PODS, times=2)
    async with reflecting(config, patience=QUICK) as seen:
        await converged(api, seen, Kind.POD)
        assert seen.errors("pods") == [
            f"the API server {api.url} cannot be reached: it does not answer in time"
        ]


async def test_a_list_that_hangs_ends_in_the_read_timeout(api: KubeApi, config: ClusterConfig) -> None:
    api.faults.watch_list = False
    api.faults.hang_next("limit=", times=1)
    async with reflecting(config, patience=QUICK) as seen:
        await converged(api, seen, Kind.POD)
        assert "does not answer in time" in seen.errors("pods")[0]


async def test_a_half_open_watch_is_given_up_and_resumed(api: KubeApi, config: ClusterConfig) -> None:
    """No event, no bookmark, no end: the silence itself is the sign, and no trouble to tell of."""
    async with reflecting(config, patience=QUICK) as seen:
        await first_sync(api, seen)
        before = lists(api)
        api.faults.silent = True
        create(api, pod("late", "10.9.0.1"))
        await eventually(lambda: len([each for each in api.requests if PODS in each]) > before + 1)
        api.faults.silent = False
        await converged(api, seen, Kind.POD)
        assert lists(api) == before
        assert not seen.errors()


async def test_a_quiet_watch_list_stays_a_watch(api: KubeApi, config: ClusterConfig) -> None:
    """The impatience is with initial events only: after them a quiet resource is no trouble."""
    patience = Patience(silence_seconds=30.0, initial_seconds=0.1)
    async with reflecting(config, patience=patience) as seen:
        requests = await first_sync(api, seen)
        await nothing_happens(0.3)
        assert len(api.requests) == requests
        create(api, pod("late", "10.9.0.1"))
        await converged(api, seen, Kind.POD)
        assert not seen.errors()


async def test_bookmarks_keep_a_quiet_watch_open(api: KubeApi, config: ClusterConfig) -> None:
    api.faults.bookmark_seconds = 0.05
    async with reflecting(config, patience=Patience(silence_seconds=0.25)) as seen:
        requests = await first_sync(api, seen)
        await nothing_happens(0.6)
        assert len(api.requests) == requests


async def test_bookmarks_move_the_version_that_is_resumed_from(api: KubeApi, config: ClusterConfig) -> None:
    """While other resources change, a quiet one would fall behind the history that the server keeps."""
    api.faults.bookmark_seconds = 0.02
    async with reflecting(config) as seen:
        await first_sync(api, seen)
        before = lists(api)
        create(
            api, *({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c{n}"}} for n in range(9))
        )
        top = api.store.rv
        await nothing_happens(0.2)
        api.store.compact()
        api.faults.reset_watches()
        await eventually(lambda: any(f"resourceVersion={top}" in each for each in api.requests))
        create(api, pod("late", "10.9.0.1"))
        await converged(api, seen, Kind.POD)
        assert lists(api) == before
