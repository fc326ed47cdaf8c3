"""What a change of a peer's configuration does to its session, and to those of others."""

import socket
from dataclasses import fields, replace
from ipaddress import IPv4Address
from typing import Any

import pytest

from speaker.bgp import SessionEventKind
from speaker.bgp.changes import EFFECTS, Effect, effect
from speaker.bgp.messages import KEEPALIVE, MessageType, Notification
from speaker.model.peer import (
    BfdTimers,
    GracefulRestart,
    NextHopMode,
    Password,
    Peer,
    Role,
    SessionState,
)
from speaker.model.prefix import Family
from tests.bgp.builders import loopback, peer, prefix, route, routes, until
from tests.bgp.meeting import Meeting, meeting
from tests.bgp.raw_peer import RawPeer
from tests.bgp.travel import travel, with_travel

# Another value for each setting of `peer()`.
OTHERWISE: dict[str, Any] = {
    "name": "leaf",
    "address": IPv4Address("192.0.2.77"),
    "asn": 65031,
    "local_asn": 65001,
    "router_id": IPv4Address("10.0.0.9"),
    "families": frozenset({Family.IPV4}),
    "port": 1791,
    "hold_time_seconds": 30,
    "keepalive_seconds": 7,
    "connect_retry_seconds": 0.3,
    "passive": True,
    "multihop_ttl": 5,
    "ttl_security_hops": 1,
    "password": Password("s3cret"),
    "source": IPv4Address("127.0.0.1"),
    "interface": "lo",
    "extended_next_hop": True,
    "graceful_restart": GracefulRestart(restart_time_seconds=33),
    "description": "in the second rack",
    "extended_messages": False,
    "add_path_send": True,
    "add_path_receive": True,
    "role": Role.CUSTOMER,
    "role_strict": True,
    "max_prefixes": 500,
    "bfd": BfdTimers(),
    "node": "node2",
    "imports": True,
    "client": True,
    "cluster_id": IPv4Address("10.0.0.9"),
    "next_hop_mode": NextHopMode.SELF,
    "allowed_local_asns": 1,
    "remove_private_asns": True,
    "filters": ("from-outside",),
}
# A signed connection needs a kernel that signs: `test_password_change` has it.
SIGNED = {"password"}


def settings_with(wanted: Effect) -> list[str]:
    return [name for name, each in EFFECTS.items() if each is wanted and name not in SIGNED]


async def heard_on_this_connection(met: Meeting, text: str) -> None:
    """The connection works: the router hears a new route over it."""
    met.advertise(routes(text))
    heard = {one.prefix for one in (await met.router.update()).advertised}
    assert heard == {prefix(text)}


# -- the table -----------------------------------------------------------------------------------------


def test_every_setting_has_an_effect() -> None:
    names = {each.name for each in fields(Peer)}

    assert names == set(EFFECTS)
    assert names == set(OTHERWISE)


@pytest.mark.parametrize("name", [each.name for each in fields(Peer)])
def test_the_effect_of_one_change(name: str) -> None:
    before = peer()

    assert EFFECTS[name] is effect(before, replace(before, **{name: OTHERWISE[name]}))


def test_of_several_changes_the_greatest_effect_counts() -> None:
    before = peer()
    described = replace(before, description="x")
    restarted = replace(described, hold_time_seconds=30)

    assert Effect.LIVE is effect(before, before)
    assert Effect.LIVE is effect(before, described)
    assert Effect.RESTART is effect(before, restarted)
    assert Effect.RESET is effect(before, replace(restarted, asn=65031))


# -- settings that change under the session ------------------------------------------------------------


@pytest.mark.parametrize("name", settings_with(Effect.LIVE))
async def test_the_session_goes_on(name: str) -> None:
    async with meeting(advertised=routes("10.0.0.0/24")) as met:
        await met.first_advertisement()
        await met.tell(route("10.1.0.0/24"))
        events = len(met.speaker.events)

        met.change(**{name: OTHERWISE[name]})

        await heard_on_this_connection(met, "10.0.1.0/24")
        assert met.flaps == 0
        assert events == len(met.speaker.events), "nothing has happened"
        assert met.received
        assert OTHERWISE[name] == getattr(met.peers.sessions()["tor"].peer, name)


def test_another_keepalive_interval_counts_from_the_next_keepalive_on() -> None:
    async def scenario() -> None:
        async with meeting({"hold_time_seconds": 90}) as met:
            await met.first_advertisement()
            met.change(keepalive_seconds=3)
            for seconds in (30, 3, 3):
                travel(seconds)
                await met.router.expect(MessageType.KEEPALIVE)
                await met.router.send(KEEPALIVE)
            assert met.flaps == 0

    with_travel(scenario)


async def test_a_peer_that_becomes_passive_is_not_dialled_any_more() -> None:
    async with meeting({"connect_retry_seconds": 0.01}, established=False) as met:
        met.router.close()
        await met.speaker.until_error("refused")

        met.change(passive=True)
        await met.speaker.until_state(SessionState.ACTIVE)
        met.router.listen()
        before = len(met.speaker.events)
        met.peers.set_peers([met.peer])

        assert met.speaker.state() is SessionState.ACTIVE
        assert before == len(met.speaker.events)


async def test_a_peer_that_is_no_longer_passive_is_dialled_at_once() -> None:
    async with meeting({"passive": True}, established=False) as met:
        await met.speaker.until_state(SessionState.ACTIVE)

        met.change(passive=False)

        await met.establish()


async def test_a_peer_that_becomes_passive_under_its_session_is_waited_for_after_it() -> None:
    async with meeting({"connect_retry_seconds": 0.01}) as met:
        met.change(passive=True)
        met.router.hang_up()
        await met.until_closed()

        await met.speaker.until_state(SessionState.ACTIVE)


async def test_another_port_is_dialled_at_once_when_there_is_no_session() -> None:
    async with meeting({"connect_retry_seconds": 30.0}, established=False) as met:
        met.router.close()
        await met.speaker.until_error("refused")
        met.router.port = 1791
        met.router.listen()

        met.change(port=1791)

        await met.establish()


async def test_another_port_is_dialled_when_the_session_is_over() -> None:
    async with meeting({"connect_retry_seconds": 0.2}) as met:
        met.router.close()
        met.router.port = 1791
        met.change(port=1791)
        met.router.listen()
        await met.until_closed()

        await met.establish()


async def test_a_lowered_limit_ends_the_session_at_the_next_prefix_too_many() -> None:
    async with meeting({"max_prefixes": 5}) as met:
        await met.tell(*(route(f"10.1.{number}.0/24") for number in range(4)))

        met.change(max_prefixes=2)
        await met.tell(route("10.1.0.0/24", med=1))
        assert met.flaps == 0, "what is there is not too many"
        await met.say(route("10.1.9.0/24"))

        assert Notification(6, 1, bytes.fromhex("00010100000002")) == await met.router.expect_notification()


@pytest.mark.parametrize("limit", [10, None])
async def test_a_raised_limit_makes_room(limit: int | None) -> None:
    async with meeting({"max_prefixes": 2}) as met:
        await met.tell(route("10.1.0.0/24"), route("10.1.1.0/24"))

        met.change(max_prefixes=limit)
        await met.tell(route("10.1.2.0/24"), route("10.1.3.0/24"))

        assert len(met.received) == 4
        assert met.flaps == 0


# -- settings that need a new session ------------------------------------------------------------------


@pytest.mark.parametrize("name", settings_with(Effect.RESTART))
async def test_with_graceful_restart_a_new_session_keeps_the_routes_of_both_sides(name: str) -> None:
    async with meeting({"connect_retry_seconds": 0.2}, advertised=routes("10.0.0.0/24")) as met:
        answer_with_full_ttl(met.router)
        await met.first_advertisement()
        await met.tell(route("10.1.0.0/24"))
        await met.end_of_rib()

        met.change(**{name: OTHERWISE[name]})

        await met.router.expect_end()
        await met.establish()
        assert (route("10.0.0.0/24"),) == (await met.router.update()).advertised
        assert {prefix("10.1.0.0/24")} == {each.prefix for each in met.received}
        assert not met.withdrawn
        [closed] = met.speaker.kinds(SessionEventKind.CLOSED)
        assert closed.reason == "the peer's configuration changed"


def answer_with_full_ttl(router: RawPeer) -> None:
    """As TTL security asks; without it, it does no harm."""
    assert router._listening is not None
    router._listening.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)


@pytest.mark.parametrize("name", settings_with(Effect.RESTART))
async def test_without_graceful_restart_a_new_session_begins_after_cease(name: str) -> None:
    theirs = {"graceful_restart": None}
    async with meeting({"connect_retry_seconds": 0.2}, theirs, advertised=routes("10.0.0.0/24")) as met:
        answer_with_full_ttl(met.router)
        await met.tell(route("10.1.0.0/24"))

        met.change(**{name: OTHERWISE[name]})

        assert Notification(6, 6) == await met.router.expect_notification()
        assert not met.received
        await met.establish()


async def test_graceful_restart_turned_off_ends_the_session_with_cease() -> None:
    """The next session will not offer it, so the peer shall not wait."""
    async with meeting() as met:
        await met.tell(route("10.1.0.0/24"))

        met.change(graceful_restart=None)

        assert Notification(6, 6) == await met.router.expect_notification()
        assert not met.received


async def test_what_the_peer_should_hear_outlives_every_change() -> None:
    async with meeting({"connect_retry_seconds": 0.2}, advertised=routes("10.0.0.0/24")) as met:
        met.change(hold_time_seconds=30)
        met.change(description="x")
        met.change(hold_time_seconds=60)
        met.advertise(routes("10.0.1.0/24"))
        await met.establish()

        heard = {one.prefix for each in await met.first_advertisement() for one in each.advertised}

        assert {prefix("10.0.0.0/24"), prefix("10.0.1.0/24")} == heard
        assert met.facts.hold_time_seconds == 60


async def test_a_peer_that_is_being_dialled_is_dialled_anew() -> None:
    async with meeting({"connect_retry_seconds": 30.0}, established=False) as met:
        await met.router.accept()
        first = await met.router.open_received()

        met.change(hold_time_seconds=30)

        assert Notification(6, 6) == await met.router.expect_notification()
        await met.router.accept()
        assert (first.hold_time_seconds, 30) == (90, (await met.router.open_received()).hold_time_seconds)


# -- settings that make another peer -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["asn", "local_asn", "role"])
async def test_the_session_is_reset(name: str) -> None:
    async with meeting({"connect_retry_seconds": 0.2}) as met:
        await met.tell(route("10.1.0.0/24"))

        met.change(**{name: OTHERWISE[name]})

        assert Notification(6, 6) == await met.router.expect_notification()
        assert not met.received
        await met.router.accept()
        opened = await met.router.open_received()
        assert (name == "local_asn") is (opened.asn == 65001)
        assert (name == "role") is bool(opened.roles)


async def test_another_address_is_dialled_after_cease() -> None:
    async with meeting() as met:
        elsewhere = RawPeer(replace(met.peer, address=loopback())).listen()
        met.change(address=elsewhere.address)

        assert Notification(6, 6) == await met.router.expect_notification()
        await elsewhere.accept()
        await elsewhere.establish()

        await met.speaker.until_state(SessionState.ESTABLISHED)
        elsewhere.close()


async def test_another_name_is_another_peer() -> None:
    """Names are what everything else knows a peer by, so nothing of the old one stays."""
    async with meeting(advertised=routes("10.0.0.0/24")) as met:
        await met.first_advertisement()

        met.peers.set_peers([replace(met.peer, name="leaf")])

        assert Notification(6, 3) == await met.router.expect_notification()
        await met.router.accept()
        await met.router.establish()
        await met.speaker.until_state(SessionState.ESTABLISHED, "leaf")
        assert ["leaf"] == list(met.peers.sessions())
        assert not met.peers.advertised("leaf")


# -- the others ----------------------------------------------------------------------------------------


async def test_another_peers_session_does_not_notice() -> None:
    """One peer is added, changed in each way, and removed; the session beside it goes on."""
    async with meeting() as met:
        await met.first_advertisement()
        events = len(met.speaker.events)
        other = peer(name="other", address=loopback(), connect_retry_seconds=0.2)
        router = RawPeer(other).listen()

        met.peers.set_peers([met.peer, other])
        await router.accept()
        await router.establish()
        await met.speaker.until_state(SessionState.ESTABLISHED, "other")
        for change in ({"description": "x"}, {"hold_time_seconds": 30}, {"local_asn": 65001}):
            other = replace(other, **change)
            met.peers.set_peers([met.peer, other])
        met.peers.set_peers([met.peer])

        await heard_on_this_connection(met, "10.0.1.0/24")
        await until(lambda: "other" not in met.peers.sessions())
        assert {"other"} == {event.peer for event in met.speaker.events[events:]}
        assert met.flaps == 0
        router.close()


async def test_the_same_configuration_again_changes_nothing() -> None:
    async with meeting() as met:
        await met.first_advertisement()
        events = len(met.speaker.events)

        met.peers.set_peers([replace(met.peer)])

        await heard_on_this_connection(met, "10.0.1.0/24")
        assert events == len(met.speaker.events)


async def test_the_same_configuration_again_does_not_hurry_an_attempt() -> None:
    async with meeting({"connect_retry_seconds": 30.0}, established=False) as met:
        met.router.close()
        await met.speaker.until_error("refused")
        events = len(met.speaker.events)

        met.peers.set_peers([replace(met.peer)])

        assert events == len(met.speaker.events)
