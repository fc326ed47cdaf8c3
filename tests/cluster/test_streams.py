"""What the API server's streams may bring, or not bring, and how little it is asked.

Lines that are cut, slow or none; servers without WatchList; streams that end at once; an outage. As
everywhere here: what was known stays known, and the view equals the server's state at the end.
"""

import pytest

from speaker.cluster import ClusterConfig
from speaker.cluster.backoff import LONGEST_SECONDS, Patience
from speaker.model.objects import Kind
from tests.cluster.watching import (
    PODS,
    FastTime,
    converged,
    create,
    delete,
    first_sync,
    lists,
    pod,
    pods,
    reflecting,
    watching,
)
from tests.lab.kubeapi import KubeApi
from tests.lab.waiting import eventually

pytestmark = pytest.mark.emulator_only

QUICK = Patience(connect_seconds=1.0, answer_seconds=0.3, silence_seconds=0.3, initial_seconds=0.15)


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
