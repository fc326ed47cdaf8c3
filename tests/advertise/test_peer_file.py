"""The file of peers: every field, and every way of being wrong."""

from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

import pytest

from speaker.errors import UsageError
from speaker.model.peer import BfdTimers, GracefulRestart, Password, Peer, Role
from speaker.model.prefix import Family
from speaker.settings.peer_file import PeerFile, read_peer_file

GKE: dict[str, Any] = {
    "localIP": "192.0.2.10",
    "localASN": 65000,
    "peers": [{"peerIP": "192.0.2.1", "peerASN": 65030}],
}
V4, V6 = Family.IPV4, Family.IPV6


def read(**changes: Any) -> PeerFile:
    """GKE's minimal file with these fields at top level; None takes one away."""
    document = {key: value for key, value in (GKE | changes).items() if value is not None}
    return read_peer_file(document, "FILE")


def peer(**fields: Any) -> Peer:
    """The one peer of the minimal file, with these fields of its own."""
    (made,) = read(peers=[GKE["peers"][0] | fields]).peers
    return made


def problems(document: object) -> list[str]:
    with pytest.raises(UsageError) as caught:
        read_peer_file(document, "FILE")
    return [line.removeprefix("FILE: ") for line in str(caught.value).splitlines()]


def peer_problems(**fields: Any) -> list[str]:
    return problems(GKE | {"peers": [GKE["peers"][0] | fields]})


def test_the_minimal_file_of_gke() -> None:
    found = read()
    assert (found.local_ip, found.local_asn, found.listen_port) == (ip_address("192.0.2.10"), 65000, None)
    assert found.peers == (
        Peer(
            name="192.0.2.1",
            address=ip_address("192.0.2.1"),
            asn=65030,
            local_asn=65000,
            router_id=IPv4Address("192.0.2.10"),
            families=frozenset(Family),
            source=ip_address("192.0.2.10"),
        ),
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"name": "tor-1"}, {"name": "tor-1"}),
        ({"description": "the rack's"}, {"description": "the rack's"}),
        ({"peerPort": 1790}, {"port": 1790}),
        ({"localASN": 65001}, {"local_asn": 65001}),
        ({"sourceAddress": "192.0.2.11"}, {"source": ip_address("192.0.2.11")}),
        ({"interface": "eth0"}, {"interface": "eth0"}),
        ({"families": ["ipv6"]}, {"families": {V6}}),
        ({"families": "ipv4, ipv6"}, {"families": {V4, V6}}),
        ({"holdTime": "1m30s"}, {"hold_time_seconds": 90}),
        ({"holdTime": "60"}, {"hold_time_seconds": 60}),
        ({"holdTime": 9}, {"hold_time_seconds": 9}),
        ({"holdTime": 0}, {"hold_time_seconds": 0}),
        ({"keepaliveTime": "3s"}, {"keepalive_seconds": 3}),
        ({"connectRetry": 0.5}, {"connect_retry_seconds": 0.5}),
        ({"connectRetry": "500ms"}, {"connect_retry_seconds": 0.5}),
        ({"passive": True}, {"passive": True}),
        ({"ebgpMultihop": 3}, {"multihop_ttl": 3}),
        ({"ttlSecurity": 2}, {"ttl_security_hops": 2}),
        ({"gracefulRestart": True}, {"graceful_restart": GracefulRestart()}),
        ({"gracefulRestart": False}, {"graceful_restart": None}),
        (
            {"gracefulRestart": {"restartTime": "2m", "longLivedTime": 3600, "notification": True}},
            {
                "graceful_restart": GracefulRestart(
                    restart_time_seconds=120, long_lived_seconds=3600, notification=True
                )
            },
        ),
        ({"extendedMessages": False}, {"extended_messages": False}),
        ({"addPaths": "none"}, {"add_path_send": False, "add_path_receive": False}),
        ({"addPaths": "send"}, {"add_path_send": True, "add_path_receive": False}),
        ({"addPaths": "receive"}, {"add_path_send": False, "add_path_receive": True}),
        ({"addPaths": "both"}, {"add_path_send": True, "add_path_receive": True}),
        ({"role": "customer", "roleStrict": True}, {"role": Role.CUSTOMER, "role_strict": True}),
        ({"maxPrefixes": 100}, {"max_prefixes": 100}),
        ({"bfd": True}, {"bfd": BfdTimers()}),
        (
            {"bfd": {"minTx": 300, "minRx": "100ms", "multiplier": 5}},
            {"bfd": BfdTimers(transmit_milliseconds=300, receive_milliseconds=100, multiplier=5)},
        ),
    ],
)
def test_an_option_of_a_peer(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    made = peer(**fields)
    assert {name: getattr(made, name) for name in expected} == expected


@pytest.mark.parametrize("fields", [{"holdTime": "30s"}, {"bfd": True}, {"role": "peer"}, {"maxPrefixes": 7}])
def test_an_option_at_top_level_holds_for_every_peer(fields: dict[str, Any]) -> None:
    others = [{"peerIP": "192.0.2.2", "peerASN": 65031}]
    common = read(peers=GKE["peers"] + others, **fields)
    own = read(peers=[each | fields for each in GKE["peers"] + others])
    assert common == own


def test_a_peer_says_otherwise_or_takes_the_option_back_with_null() -> None:
    peers = [
        {"peerIP": "192.0.2.1", "peerASN": 65030},
        {"peerIP": "192.0.2.2", "peerASN": 65030, "holdTime": 60},
        {"peerIP": "192.0.2.3", "peerASN": 65030, "holdTime": None},
    ]
    found = read(holdTime=30, peers=peers)
    assert [each.hold_time_seconds for each in found.peers] == [30, 60, 90]


@pytest.mark.parametrize(
    ("addresses", "families"),
    [
        (["192.0.2.1"], [{V4, V6}]),
        (["192.0.2.1", "2001:db8::1"], [{V4}, {V6}]),
    ],
)
def test_a_session_carries_the_other_family_when_no_peer_has_it(
    addresses: list[str], families: list[set[Family]]
) -> None:
    found = read(peers=[{"peerIP": each, "peerASN": 65030} for each in addresses])
    assert [set(each.families) for each in found.peers] == families


def test_extended_next_hops_are_for_ipv6_sessions() -> None:
    peers = [{"peerIP": each, "peerASN": 65030} for each in ("192.0.2.1", "2001:db8::1")]
    found = read(peers=peers, extendedNextHop=True)
    assert [(each.extended_next_hop, set(each.families)) for each in found.peers] == [
        (False, {V4, V6}),
        (True, {V4, V6}),
    ]


@pytest.mark.parametrize(
    ("local", "to", "source"),
    [
        ("192.0.2.10", "192.0.2.1", "192.0.2.10"),
        ("192.0.2.10", "2001:db8::1", None),
        ("2001:db8::10", "2001:db8::1", "2001:db8::10"),
        ("2001:db8::10", "fe80::1%eth0", None),
    ],
)
def test_sessions_begin_at_the_local_ip_where_that_can_reach_the_peer(
    local: str, to: str, source: str | None
) -> None:
    (made,) = read(localIP=local, routerID="192.0.2.10", peers=[{"peerIP": to, "peerASN": 65030}]).peers
    assert made.source == (None if source is None else ip_address(source))


def test_a_range_of_peers() -> None:
    found = read(peers=[{"peerRange": "192.0.2.0/24", "limit": 5, "peerASN": 65030, "holdTime": 9}])
    assert found.peers == ()
    (made,) = found.ranges
    assert (made.prefix, made.limit) == (ip_network("192.0.2.0/24"), 5)
    assert (made.template.passive, made.template.hold_time_seconds) == (True, 9)
    assert made.peer(ip_address("192.0.2.7")).source == ip_address("192.0.2.10")
    assert found.listen_port == 179


@pytest.mark.parametrize(
    ("fields", "port"), [({}, None), ({"passive": True}, 179), ({"listenPort": 1790}, 1790)]
)
def test_there_is_a_listener_where_a_peer_dials_or_one_is_asked_for(
    fields: dict[str, Any], port: int | None
) -> None:
    assert read(**fields).listen_port == port


def test_listen_addresses() -> None:
    found = read(listenPort=179, listenAddresses=["192.0.2.10", "2001:db8::10"])
    assert found.listen_addresses == (ip_address("192.0.2.10"), ip_address("2001:db8::10"))


def test_passwords_come_from_files_and_go_to_their_peers() -> None:
    peers = [
        {"peerIP": "192.0.2.1", "peerASN": 65030, "name": "tor", "passwordFile": "/secrets/tor"},
        {"peerIP": "192.0.2.2", "peerASN": 65030, "passwordFile": None},
        {"peerRange": "192.0.2.128/25", "limit": 1, "peerASN": 65030},
    ]
    found = read(peers=peers, passwordFile="/secrets/all")
    assert found.password_files == {"tor": "/secrets/tor", "192.0.2.128/25": "/secrets/all"}
    secret = found.with_passwords({"tor": Password("hunter2"), "192.0.2.128/25": Password("two")})
    assert [each.password for each in secret.peers] == [Password("hunter2"), None]
    assert secret.ranges[0].template.password == Password("two")
    assert "hunter2" not in repr(secret)


def test_waiting_for_a_peer_that_redials_late_is_doubtful_with_graceful_restart() -> None:
    (notice,) = read(passive=True, gracefulRestart=True).notices
    assert "192.0.2.1" in notice
    assert read(gracefulRestart=True).notices == ()


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"peerIP": "192.0.2"}, "peers[0].peerIP='192.0.2': must be an IP address"),
        ({"peerIP": "224.0.0.1"}, "peers[0].peerIP='224.0.0.1': must be an address of one host"),
        (
            {"peerIP": "fe80::1"},
            "peers[0].peerIP='fe80::1': must carry its interface, such as fe80::1%eth0",
        ),
        ({"peerIP": None}, "peers[0].peerIP: must be given: the peer's address"),
        ({"peerASN": None}, "peers[0].peerASN: must be given: the peer's AS number"),
        ({"peerASN": 0}, "peers[0].peerASN=0: must be a whole number from 1 to 4294967295"),
        ({"peerASN": True}, "peers[0].peerASN=true: must be a whole number from 1 to 4294967295"),
        ({"peerASN": 1.5}, "peers[0].peerASN=1.5: must be a whole number from 1 to 4294967295"),
        ({"peerASN": [65030]}, "peers[0].peerASN=a list: must be a whole number from 1 to 4294967295"),
        ({"peerPort": 0}, "peers[0].peerPort=0: must be a whole number from 1 to 65535"),
        ({"localASN": -1}, "peers[0].localASN=-1: must be a whole number from 1 to 4294967295"),
        ({"name": "two\nlines"}, "peers[0].name='two\\nlines': must be a text of one line and at most 255"),
        ({"description": 5}, "peers[0].description=5: must be a text of one line"),
        ({"sourceAddress": "::"}, "peers[0].sourceAddress='::': must be an address of one host"),
        (
            {"sourceAddress": "2001:db8::10"},
            "peers[0].sourceAddress='2001:db8::10': must be of the family of the peer (192.0.2.1)",
        ),
        (
            {"interface": "a-name-that-is-too-long"},
            "peers[0].interface='a-name-that-is-too-long': must be the name of a network interface",
        ),
        ({"families": "ipv5"}, "peers[0].families[0]='ipv5': must be ipv4 or ipv6"),
        ({"families": []}, "peers[0].families=a list: must be a list that is not empty"),
        ({"holdTime": 2}, "peers[0].holdTime=2: must be 0 or from 3s to 65535s"),
        ({"holdTime": "ninety"}, "peers[0].holdTime='ninety': must be a duration with its unit"),
        ({"holdTime": 70000}, "peers[0].holdTime=70000: must be 0 or from 3s to 65535s"),
        ({"keepaliveTime": 0}, "peers[0].keepaliveTime=0: must be from 1s to 65534s"),
        (
            {"keepaliveTime": 9, "holdTime": 9},
            "peers[0].keepaliveTime=9: must be less than holdTime (9s), at best a third of it",
        ),
        ({"connectRetry": "2h"}, "peers[0].connectRetry='2h': must be from 100ms to 1h"),
        ({"passive": "maybe"}, "peers[0].passive='maybe': must be true or false"),
        ({"ebgpMultihop": 256}, "peers[0].ebgpMultihop=256: must be a whole number from 1 to 255"),
        ({"ttlSecurity": 255}, "peers[0].ttlSecurity=255: must be a whole number from 1 to 254"),
        (
            {"ttlSecurity": 1, "ebgpMultihop": 2},
            "peers[0].ttlSecurity=1: excludes ebgpMultihop: it counts the hops by itself",
        ),
        ({"passwordFile": 5}, "peers[0].passwordFile=5: must be a text of one line"),
        ({"password": "secret"}, "peers[0].password: a password does not stand in this file"),
        (
            {"extendedNextHop": True},
            "peers[0].extendedNextHop=true: is for IPv6 sessions (RFC 8950), and 192.0.2.1 is IPv4",
        ),
        (
            {"gracefulRestart": {"restartTime": 4096}},
            "peers[0].gracefulRestart.restartTime=4096: must be from 1s to 4095s",
        ),
        (
            {"gracefulRestart": {"longLivedTime": -1}},
            "peers[0].gracefulRestart.longLivedTime=-1: must be a duration",
        ),
        (
            {"gracefulRestart": {"restarttime": 1}},
            "peers[0].gracefulRestart: there is no field 'restarttime'; did you mean restartTime?",
        ),
        (
            {"gracefulRestart": 120},
            "peers[0].gracefulRestart=120: must be true, false, or a mapping of restartTime",
        ),
        ({"extendedMessages": 2}, "peers[0].extendedMessages=2: must be true or false"),
        ({"addPaths": "all"}, "peers[0].addPaths='all': must be none, send, receive or both"),
        ({"role": "boss"}, "peers[0].role='boss': must be provider, route-server"),
        ({"role": "peer", "peerASN": 65000}, "peers[0].role='peer': is for eBGP only (RFC 9234)"),
        ({"roleStrict": True}, "peers[0].roleStrict=true: needs role"),
        ({"maxPrefixes": 0}, "peers[0].maxPrefixes=0: must be a whole number from 1 to 10000000"),
        ({"bfd": {"minTx": 5}}, "peers[0].bfd.minTx=5: must be from 10ms to 1m"),
        ({"bfd": {"minRx": "1.5ms"}}, "peers[0].bfd.minRx='1.5ms': must be from 10ms to 1m"),
        ({"bfd": {"minRx": "10.5ms"}}, "peers[0].bfd.minRx='10.5ms': must be from 10ms to 60s, in whole"),
        ({"bfd": {"multiplier": 1}}, "peers[0].bfd.multiplier=1: must be a whole number from 2 to 255"),
        ({"limit": 5}, "peers[0].limit: is for a peerRange; a peerIP is one peer"),
        ({"peerIp": "192.0.2.1"}, "peers[0]: there is no field 'peerIp'; did you mean peerIP?"),
        ({"colour": "red"}, "peers[0]: there is no field 'colour'; there are peerIP, peerASN"),
        ({5: 6}, "peers[0]: there is no field 5; there are peerIP, peerASN"),
        ({"peerRange": "192.0.2.0/24", "limit": 1}, "peers[0].peerRange: excludes peerIP"),
    ],
)
def test_what_is_wrong_with_a_peer_is_told_with_its_field_and_value(
    fields: dict[Any, Any], problem: str
) -> None:
    (found,) = problems(GKE | {"peers": [GKE["peers"][0] | fields]})
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"localIP": None}, "localIP: must be given: the address of this host"),
        ({"localIP": 5}, "localIP=5: must be an IP address"),
        ({"localASN": None}, "localASN: must be given: our AS number"),
        ({"routerID": "0.0.0.0"}, "routerID='0.0.0.0': must be written as an IPv4 address other than"),
        (
            {"localIP": "2001:db8::10"},
            "routerID: must be given, written as an IPv4 address, since localIP is an IPv6 address",
        ),
        ({"listenPort": 65536}, "listenPort=65536: must be a whole number from 1 to 65535"),
        ({"listenAddresses": ["192.0.2.10"]}, "listenAddresses: needs listenPort, since no peer is passive"),
        ({"peers": []}, "peers=a list: must be a list of 1 to 1000 peers"),
        ({"peers": {"peerIP": "192.0.2.1"}}, "peers=a mapping: must be a list of 1 to 1000 peers"),
        ({"peers": None}, "peers: must be given: the peers, each with peerIP and peerASN"),
        ({"peers": ["192.0.2.1"]}, "peers[0]: must be a mapping of fields, not '192.0.2.1'"),
        ({"holdTime": 1}, "holdTime=1: must be 0 or from 3s to 65535s"),
        ({"localAsn": 5}, "there is no field 'localAsn'; did you mean localASN?"),
        ({"ttlSecurity": 1, "ebgpMultihop": 2}, "peers[0].ttlSecurity=1: excludes ebgpMultihop"),
        (
            {"peers": [{"peerRange": "192.0.2.1/24", "limit": 1, "peerASN": 65030}]},
            "peers[0].peerRange='192.0.2.1/24': has bits set beyond its length; write 192.0.2.0/24",
        ),
        (
            {"peers": [{"peerRange": "192.0.2.0/24", "peerASN": 65030}]},
            "peers[0].limit: must be given: how many peers of the range there may be at once",
        ),
        (
            {"peers": GKE["peers"] * 2},
            "peers[1].peerIP='192.0.2.1': is that of peers[0] already",
        ),
        (
            {
                "peers": [
                    {"peerIP": "192.0.2.1", "peerASN": 65030, "name": "tor"},
                    {"peerIP": "192.0.2.2", "peerASN": 65030, "name": "tor"},
                ]
            },
            "peers[1].name='tor': is that of peers[0] already",
        ),
        (
            {"peers": [{"peerIP": "fe80::1%eth0", "peerASN": 65030, "interface": "eth1"}]},
            "peers[0].interface='eth1': must be eth0, the interface in the peer's address, or absent",
        ),
    ],
)
def test_what_is_wrong_with_the_file_is_told(changes: dict[str, Any], problem: str) -> None:
    document = {key: value for key, value in (GKE | changes).items() if value is not None}
    (found,) = problems(document)
    assert found.startswith(problem)


@pytest.mark.parametrize("document", [None, "text", 5, [], [GKE]])
def test_what_is_no_mapping_is_no_file_of_peers(document: object) -> None:
    assert problems(document) == ["must be a mapping with localIP, localASN and peers"]


def test_every_problem_is_told_at_once() -> None:
    document = {"localIP": "x", "peers": [{"peerIP": "y"}, {"peerASN": "z"}], "holdTime": "w"}
    assert len(problems(document)) == 7


def test_a_password_in_the_file_is_not_repeated() -> None:
    assert "hunter2" not in "".join(peer_problems(password="hunter2"))


def test_what_a_message_repeats_is_bounded() -> None:
    (found,) = peer_problems(interface="x" * 10_000)
    assert len(found) < 250
    assert len("".join(problems(GKE | {"peers": [{"peerIP": "x"}] * 1000}))) < 20_000


def test_a_value_that_refers_to_itself_ends_in_a_message() -> None:
    """YAML's aliases can make a list that holds itself, and texts without end."""
    endless: list[object] = []
    endless.append(endless)
    assert peer_problems(families=endless) == ["peers[0].families[0]=a list: must be ipv4 or ipv6"]
    (found,) = peer_problems(holdTime=10**10_000)
    assert found.startswith("peers[0].holdTime=(a number without end): must be")
