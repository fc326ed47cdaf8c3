"""Speakers that peer with each other, as in a full mesh: connections, restarts and changes of the AS."""

import asyncio

import pytest

from speaker.bgp import SessionEventKind
from speaker.bgp.changes import Effect, effect
from speaker.bgp.surroundings import NODE_RETRY_SECONDS, retry_seconds
from speaker.model.peer import SessionState
from tests.bgp.builders import peer, until
from tests.bgp.nodes import cluster, renumbered


@pytest.mark.parametrize("number", [2, 3])
async def test_a_pair_has_one_connection_and_the_lower_address_has_dialled_it(number: int) -> None:
    async with cluster(number) as mesh:
        assert [number - 1 - place for place in range(number)] == [each.connections for each in mesh.nodes]
        assert not any(each.speaker.kinds(SessionEventKind.CLOSED) for each in mesh.nodes)
        assert not any(each.peers.refused_connections for each in mesh.nodes)


async def test_a_node_that_joins_is_known_to_all_and_knows_all() -> None:
    async with cluster(3, started=False) as mesh:
        first, second, third = mesh.addresses
        mesh.start(first)
        mesh.start(third)
        await until(lambda: all(each.heard() for each in mesh.nodes), "the first two know each other")

        mesh.start(second)

        await mesh.until_complete()


async def test_a_node_that_leaves_takes_its_routes_with_it() -> None:
    async with cluster(3) as mesh:
        stays, other, leaves = mesh.nodes

        stays.peers.set_peers([each for each in mesh.peers_of(stays.address) if each.name != leaves.name])

        await until(lambda: stays.withdrawn() == [leaves.cidr], "it is told what went")
        assert stays.heard() == {other.cidr}


@pytest.mark.parametrize("place", [0, 1], ids=["it dials", "it is dialled"])
async def test_a_restart_is_not_noticed(place: int) -> None:
    """What is kept stale is heard again: nothing is told as withdrawn, on either side."""
    async with cluster(2) as mesh:
        other = mesh.nodes[1 - place]
        before = mesh.nodes[place]
        other.speaker.events.clear()

        after = await mesh.restart(before)

        assert other.heard() == {before.cidr}, "kept while it is away"
        await mesh.until_complete()
        assert not [each for node in (before, after, other) for each in node.withdrawn()]
        assert len(other.speaker.kinds(SessionEventKind.CLOSED)) == 1


async def test_what_a_restarted_node_has_no_more_goes_with_its_end_of_rib() -> None:
    async with cluster(2) as mesh:
        stays, goes = mesh.nodes
        stays.speaker.events.clear()
        after = await mesh.restart(goes, released=False)

        after.peers.update(stays.name, {goes.cidr: None})
        after.peers.release()

        await until(lambda: stays.withdrawn() == [goes.cidr], "what is stale is gone")
        await until(stays.ends_of_rib, "End-of-RIB is told, too")
        kinds = [
            "gone" if event.withdrawn else "all said"
            for event in stays.speaker.kinds(SessionEventKind.UPDATE_RECEIVED)
        ]
        assert kinds[:2] == ["gone", "all said"]


async def test_of_two_that_restart_at_once_neither_waits_for_the_other() -> None:
    """One of them is in sync with the cluster, the other is not yet: it hears all there is all the same."""
    async with cluster(2) as mesh:
        first, second = mesh.nodes
        await asyncio.gather(mesh.shut_down(first), mesh.shut_down(second))

        early = mesh.start(first.address, released=True)
        late = mesh.start(second.address, released=False)

        await until(lambda: len(late.ends_of_rib()) == 2, "both End-of-RIB", seconds=30)
        assert late.heard() == {early.cidr}
        assert not early.ends_of_rib()
        late.peers.release()
        await mesh.until_complete()
        assert not [*early.withdrawn(), *late.withdrawn()]


async def test_a_node_that_dies_without_a_word_is_kept_for_its_restart_time() -> None:
    async with cluster(2) as mesh:
        stays, dies = mesh.nodes

        await dies.speaker.end()

        await until(lambda: stays.speaker.kinds(SessionEventKind.CLOSED), "the end of the session")
        assert stays.heard() == {dies.cidr}
        assert not stays.withdrawn()


# -- another AS ----------------------------------------------------------------------------------------


def test_an_as_change_between_nodes_restarts_the_session() -> None:
    node, router = peer(node="worker-1"), peer()

    for setting in ("asn", "local_asn"):
        assert Effect.RESTART is effect(node, peer(node="worker-1", **{setting: 65099}))
        assert Effect.RESET is effect(router, peer(**{setting: 65099}))


@pytest.mark.parametrize("place", [0, 1], ids=["it dials", "it is dialled"])
async def test_no_route_is_lost_when_the_as_changes_on_one_node_after_the_other(place: int) -> None:
    """RFC 4724: both keep what they have, though meanwhile each refuses the other's OPEN."""
    async with cluster(2) as mesh:
        early, late = mesh.nodes[place], mesh.nodes[1 - place]
        for node in mesh.nodes:
            node.speaker.events.clear()

        early.peers.set_peers([renumbered(each, 65099) for each in mesh.peers_of(early.address)])
        await until(
            lambda: any("2/2" in event.reason for node in mesh.nodes for event in node.speaker.events),
            "Bad Peer AS",
            seconds=30,
        )
        assert [{late.cidr}, {early.cidr}] == [early.heard(), late.heard()]
        late.peers.set_peers([renumbered(each, 65099) for each in mesh.peers_of(late.address)])

        await mesh.until_complete()
        assert not [*early.withdrawn(), *late.withdrawn()]
        assert {65099} == {each.peer.asn for node in mesh.nodes for each in node.peers.sessions().values()}


async def test_no_route_is_lost_when_one_node_gets_an_as_of_its_own() -> None:
    """From iBGP to eBGP."""
    async with cluster(2) as mesh:
        moves, stays = mesh.nodes
        for node in mesh.nodes:
            node.speaker.events.clear()

        moves.peers.set_peers(mesh.peers_of(moves.address, local_asn=65001))
        stays.peers.set_peers(mesh.peers_of(stays.address, asn=65001))

        await mesh.until_complete()
        assert not [*moves.withdrawn(), *stays.withdrawn()]
        (heard,) = stays.peers.received(moves.name).values()
        assert heard.attributes.learned is not None
        assert [65001] == [asn for segment in heard.attributes.learned.as_path for asn in segment.asns]


async def test_without_graceful_restart_the_routes_go_with_the_session() -> None:
    async with cluster(2, graceful_restart=None) as mesh:
        early, late = mesh.nodes

        early.peers.set_peers([renumbered(each, 65099) for each in mesh.peers_of(early.address)])

        await until(lambda: late.withdrawn() == [early.cidr], "the other one is told")
        await until(lambda: early.withdrawn() == [late.cidr], "so is the one that changed")


def test_pauses_are_short_between_nodes() -> None:
    assert retry_seconds(peer(node="worker-1", connect_retry_seconds=30.0)) == NODE_RETRY_SECONDS
    assert retry_seconds(peer(node="worker-1", connect_retry_seconds=0.2)) == 0.2
    assert retry_seconds(peer(connect_retry_seconds=30.0)) == 30.0


async def test_a_node_that_was_away_for_long_is_back_soon() -> None:
    """However often it was dialled in vain: its routes are needed."""
    async with cluster(2, started=False) as mesh:
        dials, absent = mesh.addresses
        node = mesh.start(dials)
        await node.speaker.until_error("connect", str(absent))

        mesh.start(absent)

        await mesh.until_complete()
        assert node.speaker.state(str(absent)) is SessionState.ESTABLISHED
