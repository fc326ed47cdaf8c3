"""Every way in which the API server can fail: what was known stays known, and the rest is caught up.

Each test injects one fault into a server and asks that the view equals the server's state at the end,
that nothing was told to be gone meanwhile, and that the server was not asked in a loop.
"""

import asyncio

import pytest

from speaker.cluster import ClusterConfig
from speaker.cluster.backoff import LONGEST_SECONDS, Patience
from speaker.model.objects import Kind
from tests.cluster.watching import (
    FastTime,
    Watched,
    change_pod,
    converged,
    create,
    delete,
    pod,
    pods,
    reflecting,
    watching,
)
from tests.lab.kubeapi import KubeApi
from tests.lab.waiting import eventually

pytestmark = pytest.mark.emulator_only

PODS = "/api/v1/pods"
QUICK = Patience(connect_seconds=1.0, answer_seconds=0.3, silence_seconds=0.3, initial_seconds=0.15)


async def first_sync(api: KubeApi, seen: Watched) -> int:
    """Wait until all Pods are known and watched; returns how many requests that took."""
    await converged(api, seen, Kind.POD)
    await eventually(lambda: api.faults.watches(PODS), what="a watch")
    return len(api.requests)


def lists(api: KubeApi) -> int:
    """How often Pods were read whole."""
    return sum(
        PODS in each and ("watch=true" not in each or "sendInitialEvents" in each) for each in api.requests
    )


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
        await _real_seconds(0.3)
        assert len(api.requests) == requests
        create(api, pod("late", "10.9.0.1"))
        await converged(api, seen, Kind.POD)
        assert not seen.errors()


async def test_bookmarks_keep_a_quiet_watch_open(api: KubeApi, config: ClusterConfig) -> None:
    api.faults.bookmark_seconds = 0.05
    async with reflecting(config, patience=Patience(silence_seconds=0.25)) as seen:
        requests = await first_sync(api, seen)
        await _real_seconds(0.6)
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
        await _real_seconds(0.2)
        api.store.compact()
        api.faults.reset_watches()
        await eventually(lambda: any(f"resourceVersion={top}" in each for each in api.requests))
        create(api, pod("late", "10.9.0.1"))
        await converged(api, seen, Kind.POD)
        assert lists(api) == before


# -- what arrives -------------------------------------------------------------------------------------


async def test_slow_chunks_that_cut_lines_are_put_together(api: KubeApi, config: ClusterConfig) -> None:
    api.faults.chunk_bytes, api.faults.chunk_delay_seconds = 97, 0.0005
    async with reflecting(config) as seen:
        await converged(api, seen, Kind.POD)
        create(api, pod("ümläut-free", "10.9.0.1", note="Grüße"))
        await converged(api, seen, Kind.POD)
        assert not seen.errors()


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_truncated_line_is_no_event(api: KubeApi, config: ClusterConfig, end: str) -> None:
    async with reflecting(config) as seen:
        await first_sync(api, seen)
        before = lists(api)
        api.faults.write(b'{"type":"DELETED","object":{"metadata":{"name":"pod-00', end=end)
        create(api, pod("late", "10.9.0.1"))
        await converged(api, seen, Kind.POD)
        assert not seen.gone
        assert lists(api) == before


@pytest.mark.parametrize(
    "line",
    [
        b"<html>proxy</html>",
        b'{"type":"ADDED"}',
        b'{"type":"ADDED","object":null}',
        b'{"type":"MODIFIED","object":[]}',
        b'{"type":"ERROR","object":{"kind":"Status","code":500,"message":"etcd"}}',
        b'{"type":"ERROR","object":{}}',
        b"\xff\xfe",
    ],
)
async def test_a_line_that_cannot_be_read_resumes_the_watch(
    api: KubeApi, config: ClusterConfig, line: bytes
) -> None:
    async with reflecting(config) as seen:
        await first_sync(api, seen)
        before = lists(api)
        api.faults.write(line + b"\n")
        await eventually(lambda: seen.told[-1].error == "" and seen.errors(), what="trouble, and its end")
        create(api, pod("late", "10.9.0.1"))
        await converged(api, seen, Kind.POD)
        assert lists(api) == before
        assert not seen.gone


async def test_an_event_type_of_a_later_server_is_passed_over(api: KubeApi, config: ClusterConfig) -> None:
    async with reflecting(config) as seen:
        requests = await first_sync(api, seen)
        api.faults.write(b'{"type":"RENAMED","object":{"metadata":{"name":"x"}}}\n\n')
        create(api, pod("late", "10.9.0.1"))
        await converged(api, seen, Kind.POD)
        assert len(api.requests) == requests


async def test_a_list_that_cannot_be_read_is_no_empty_list(api: KubeApi, config: ClusterConfig) -> None:
    async with reflecting(config) as seen:
        await first_sync(api, seen)
        api.faults.watch_list = False
        api.faults.answer_next(200, "sendInitialEvents", body=b"{}")
        api.faults.answer_next(200, "limit=", body=b"<html>please log in</html>")
        api.faults.answer_next(200, "limit=", body=b'{"kind":"PodList"}')
        api.store.compact()
        create(api, pod("late", "10.9.0.1"))
        api.store.compact()
        api.faults.reset_watches()
        await converged(api, seen, Kind.POD)
        assert not seen.gone
        assert any("sends what cannot be read" in each for each in seen.errors("pods"))


# -- WatchList ----------------------------------------------------------------------------------------


async def test_without_watch_list_pages_are_listed(api: KubeApi, config: ClusterConfig) -> None:
    api.faults.watch_list = False
    create(api, *(pod(f"more-{n:04}", f"10.1.{n // 250}.{n % 250 + 1}") for n in range(1200)))
    async with reflecting(config) as seen:
        await converged(api, seen, Kind.POD)
        await eventually(lambda: api.faults.watches(PODS))
        queries = [each for each in api.requests if PODS in each]
        assert ["sendInitialEvents" in each for each in queries] == [True, False, False, False, False]
        assert ["limit=500" in each for each in queries] == [False, True, True, True, False]
        assert not seen.errors()


async def test_without_watch_list_it_is_asked_for_only_once(api: KubeApi, config: ClusterConfig) -> None:
    api.faults.watch_list = False
    async with reflecting(config) as seen:
        await first_sync(api, seen)
        for number in range(3):
            create(api, pod(f"late-{number}", f"10.9.0.{number + 1}"))
            api.store.compact()
            api.faults.reset_watches()
            await converged(api, seen, Kind.POD)
        assert sum("sendInitialEvents" in each for each in api.requests) == 1


async def test_a_watch_list_that_breaks_off_is_finished_in_pages(api: KubeApi, config: ClusterConfig) -> None:
    """A link that carries no long answer must not keep the speaker out of sync for ever."""
    create(api, *(pod(f"more-{n:04}", f"10.1.{n // 250}.{n % 250 + 1}") for n in range(700)))
    api.faults.chunk_bytes, api.faults.chunk_delay_seconds = 2000, 0.001
    async with reflecting(config) as seen:
        await eventually(lambda: len(seen.views) > 20, what="a part of the answer")
        api.faults.reset_watches()
        api.faults.chunk_bytes = 0
        await converged(api, seen, Kind.POD)
        assert any("limit=500" in each for each in api.requests)
        assert not seen.gone


async def test_a_watch_list_that_never_ends_is_finished_in_pages(api: KubeApi, config: ClusterConfig) -> None:
    """A proxy or an old server may take it for a plain watch, whose initial events have no end."""
    body = b'{"type":"ADDED","object":{"metadata":{"name":"pod-0001","namespace":"default","uid":"1"}}}\n'
    api.faults.silent = True
    async with reflecting(config, patience=QUICK) as seen:
        api.faults.answer_next(200, "sendInitialEvents", body=body)
        await eventually(lambda: api.requests and any("limit=500" in each for each in api.requests))
        api.faults.silent = False
        await converged(api, seen, Kind.POD)


# -- no hot loop --------------------------------------------------------------------------------------


async def test_streams_that_close_at_once_are_asked_ever_more_slowly(
    api: KubeApi, config: ClusterConfig
) -> None:
    async with reflecting(config) as seen:
        await first_sync(api, seen)
        api.faults.longest_watch_seconds = 0.0
        before = len(api.requests)
        api.faults.close_watches()
        await eventually(lambda: len(api.requests) >= before + 10)
        asked, pauses = len(api.requests) - before, seen.time.slept
        assert asked <= len(pauses) + 1
        ceilings = [high for low, high in seen.time.drawn if low == 0.0]
        assert ceilings[:9] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, LONGEST_SECONDS]
        assert all(0.05 <= pause <= LONGEST_SECONDS for pause in pauses)
        assert not seen.gone


async def test_a_stream_that_lived_resets_the_backoff(api: KubeApi, config: ClusterConfig) -> None:
    async with reflecting(config) as seen:
        await first_sync(api, seen)
        for lived in (0, 0, 0, 0, 11):
            seen.time.now += lived
            before = len(api.requests)
            api.faults.close_watches()
            await eventually(lambda: len(api.requests) > before and api.faults.watches(PODS))  # noqa: B023
        ceilings = [high for low, high in seen.time.drawn if low == 0.0]
        assert ceilings == [0.2, 0.4, 0.8, 1.6, 0.2]


async def test_pauses_are_drawn_from_the_whole_range(api: KubeApi, config: ClusterConfig) -> None:
    """Full jitter: speakers that failed together do not come back together."""
    api.faults.answer_next(500, PODS, times=5)
    pauses = []
    for seed in (1, 2, 3):
        api.faults.heal()
        api.faults.answer_next(500, PODS, times=5)
        async with reflecting(config, time=FastTime(seed)) as seen:
            await converged(api, seen, Kind.POD)
            pauses.append(tuple(seen.time.slept))
    assert len(set(pauses)) == 3


# -- an outage ----------------------------------------------------------------------------------------


async def test_an_outage_changes_nothing_that_is_known(api: KubeApi, config: ClusterConfig) -> None:
    async with watching(config) as seen:
        await seen.synced()
        await converged(api, seen)
        before, batches = dict(seen.views), seen.batches
        api.faults.outage = True
        api.faults.reset_watches()
        await eventually(lambda: len(seen.failing) == 7, what="trouble with each source")
        assert (seen.views, seen.batches, seen.gone) == (before, batches, set())
        assert seen.cluster.in_sync
        api.faults.outage = False
        await eventually(lambda: not seen.failing)
        assert (seen.views, seen.batches, seen.gone) == (before, batches, set())


async def test_a_restart_with_history_resumes(api: KubeApi, config: ClusterConfig) -> None:
    async with watching(config) as seen:
        await seen.synced()
        await converged(api, seen)
        await api.stop()
        create(api, pod("late", "10.9.0.1"))
        delete(api, Kind.POD, "pod-0004", "default")
        api.requests.clear()
        await api.start()
        await converged(api, seen)
        assert lists(api) == 0
        assert {ref.name for ref in seen.gone} == {"pod-0004"}


async def test_a_restart_without_history_lists_and_compares(api: KubeApi, config: ClusterConfig) -> None:
    async with watching(config) as seen:
        await seen.synced()
        await converged(api, seen)
        before = dict(seen.views)
        await api.stop()
        create(api, pod("late", "10.9.0.1"))
        delete(api, Kind.POD, "pod-0004", "default")
        api.store.compact()
        api.requests.clear()
        await api.start()
        await converged(api, seen)
        assert lists(api) == 1
        assert {ref.name for ref in seen.gone} == {"pod-0004"}
        assert {ref.name for ref in seen.views.keys() - before.keys()} == {"late"}


async def test_an_object_that_was_replaced_meanwhile_is_told_again(
    api: KubeApi, config: ClusterConfig
) -> None:
    """The same name and another uid, with all history gone."""
    async with reflecting(config) as seen:
        await first_sync(api, seen)
        delete_and_back = [pod("pod-0000", "10.0.7.7")]
        api.faults.silent = True
        delete(api, Kind.POD, "pod-0000", "default")
        create(api, *delete_and_back)
        api.store.compact()
        api.faults.silent = False
        api.faults.reset_watches()
        await converged(api, seen, Kind.POD)


async def test_a_thousand_changes_in_one_outage_are_caught_up(api: KubeApi, config: ClusterConfig) -> None:
    async with reflecting(config) as seen:
        await first_sync(api, seen)
        api.faults.outage = True
        api.faults.reset_watches()
        create(
            api,
            *(
                {**each, "metadata": {**each["metadata"], "name": f"new-{n}"}}
                for n, each in enumerate(pods(1000))
            ),
        )
        for number in range(0, 1000, 3):
            delete(api, Kind.POD, f"new-{number}", "default")
        api.store.compact()
        api.faults.outage = False
        await converged(api, seen, Kind.POD)
        assert not seen.gone, "what came and went unseen is not told"


async def _real_seconds(seconds: float) -> None:
    """Nothing is to happen: there is no condition to wait for."""
    await asyncio.sleep(seconds)
