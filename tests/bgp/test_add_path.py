"""Several paths to one prefix (RFC 7911): sent, changed and taken back; received and withdrawn."""

import struct
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from speaker.bgp.adj_rib_out import AdjRibOut, Changes
from speaker.bgp.codec_update import AttributeContext
from speaker.bgp.messages import HEADER
from speaker.bgp.packing import PackingContext, Withdrawal, pack_routes, pack_withdrawals
from speaker.model.prefix import Family, Prefix
from speaker.model.route import Paths, PrefixPath, Route
from tests.bgp.builders import path, prefix, route, routes, until
from tests.bgp.listening_router import ListeningRouter
from tests.bgp.meeting import meeting

BOTH = frozenset(Family)
WANTED = "10.0.0.0/24"
P1, P2, P3 = (path(WANTED, number, f"192.0.2.{number}") for number in (1, 2, 3))
ALONE = route(WANTED, "192.0.2.1")
EVERYTHING = 10_000


def write(rib: AdjRibOut) -> list[Changes]:
    """Takes and commits everything that waits."""
    written = []
    while rib.has_work:
        written.append(rib.take(EVERYTHING))
        rib.commit(written[-1])
    return written


def sending(paths: Paths, add_path: frozenset[Family] = BOTH) -> AdjRibOut:
    """An Adj-RIB-Out that has sent these paths."""
    rib = AdjRibOut()
    rib.update({prefix(WANTED): paths})
    rib.begin(lambda _route: True, add_path)
    write(rib)
    return rib


def changed(before: Paths, after: Paths | None, add_path: frozenset[Family] = BOTH) -> Changes:
    """What is written when one replaces the other."""
    rib = sending(before, add_path)
    rib.update({prefix(WANTED): after})
    [changes] = write(rib)
    return changes


def ids(changes: Changes) -> tuple[list[int], list[int]]:
    """The Path Identifiers withdrawn and advertised."""
    return [each.path_id for each in changes.withdrawn], [each.path_id for each in changes.advertised]


# -- with ADD-PATH -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "withdrawn", "advertised"),
    [
        pytest.param((P1,), (P1, P2), [], [2], id="a path comes"),
        pytest.param((P1, P2), (P1,), [2], [], id="a path goes"),
        pytest.param((P1, P2), (P2,), [1], [], id="the preferred path goes"),
        pytest.param((P1, P2), (P2, P1), [], [], id="the order of preference changes"),
        pytest.param((P1, P2), (P1, path(WANTED, 2, med=5)), [], [2], id="a path changes"),
        pytest.param((P1, P2), (P2, P3), [1], [3], id="one path goes and another comes"),
        pytest.param((P1, P2), None, [1, 2], [], id="all go"),
        pytest.param((P1, P2), (), [1, 2], [], id="none is left"),
        pytest.param((P1, P2), (P1, P2), [], [], id="nothing changes"),
    ],
)
def test_each_path_comes_and_goes_by_itself(
    before: Paths, after: Paths | None, withdrawn: list[int], advertised: list[int]
) -> None:
    assert (withdrawn, advertised) == ids(changed(before, after))


def test_a_lone_route_is_replaced_by_the_path_that_has_its_identifier() -> None:
    """A route that stands alone has the identifier 1 on the wire: it must not go in between."""
    changes = changed(ALONE, (P1, P2))

    assert not changes.withdrawn
    assert {P2} <= set(changes.advertised) <= {P1, P2}


def test_of_several_paths_the_one_with_its_identifier_becomes_the_lone_route() -> None:
    changes = changed((P1, P2), ALONE)

    assert [2] == [each.path_id for each in changes.withdrawn]


def test_a_lone_route_gives_way_to_paths_with_other_identifiers() -> None:
    changes = changed(ALONE, (P2, P3))

    assert ([0], [2, 3]) == ids(changes)


def test_a_lone_path_with_another_identifier_takes_the_first_one_back() -> None:
    """Nothing replaces a path but one with the same identifier (RFC 7911 §3)."""
    changes = changed(P2, P3)

    assert ([2], [3]) == ids(changes)


def test_a_path_that_the_session_cannot_carry_is_left_out() -> None:
    rib = AdjRibOut()
    rib.begin(lambda each: each.next_hop.version == 4, BOTH)
    rib.update({prefix(WANTED): (path(WANTED, 1, "2001:db8::1"), P2)})

    [changes] = write(rib)

    assert (P2,) == changes.advertised


def test_counts_are_of_paths() -> None:
    rib = sending((P1, P2, P3))
    assert ((Family.IPV4, 3),) == rib.counts

    rib.update({prefix(WANTED): (P2,)})
    write(rib)

    assert ((Family.IPV4, 1),) == rib.counts


def test_a_refresh_sends_every_path_again() -> None:
    rib = sending((P1, P2))

    rib.refresh(Family.IPV4)

    assert [([], [1, 2])] == [ids(changes) for changes in write(rib)]


# -- without ADD-PATH ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "advertised"),
    [
        pytest.param((P1,), (P1, P2), [], id="another path comes"),
        pytest.param((P1, P2), (P1,), [], id="another path goes"),
        pytest.param((P1, P2), (P2,), ["192.0.2.2"], id="the preferred path goes"),
        pytest.param((P1, P2), (P2, P1), ["192.0.2.2"], id="another is preferred"),
        pytest.param((P1, P2), (P1, P3), [], id="one that is not preferred changes"),
        pytest.param(ALONE, (P1, P2), [], id="from one route to several"),
        pytest.param((P1, P2), ALONE, [], id="from several to one route"),
        pytest.param(P1, path(WANTED, 7, "192.0.2.1"), [], id="another identifier alone"),
        pytest.param(P1, P2, ["192.0.2.2"], id="another identifier and next hop"),
    ],
)
def test_without_add_path_only_the_preferred_path_matters(
    before: Paths, after: Paths, advertised: list[str]
) -> None:
    """And none is withdrawn for another one: that would interrupt what is replaced."""
    changes = changed(before, after, frozenset())

    assert advertised == [str(each.next_hop) for each in changes.advertised]
    assert not changes.withdrawn


def test_without_add_path_the_best_that_can_be_carried_is_sent() -> None:
    rib = AdjRibOut()
    rib.begin(lambda each: each.next_hop.version == 4)
    rib.update({prefix(WANTED): (path(WANTED, 1, "2001:db8::1"), P2)})

    [changes] = write(rib)

    assert ["192.0.2.2"] == [str(each.next_hop) for each in changes.advertised]


def test_without_add_path_the_last_path_withdraws_the_prefix_once() -> None:
    changes = changed((P1, P2), None, frozenset())

    assert ([0], []) == ids(changes)


# -- whatever comes ------------------------------------------------------------------------------------


def net(number: int) -> Prefix:
    return IPv4Network((0x0A000000 + (number << 8), 24)) if number < 3 else IPv6Network((number << 80, 48))


def at(number: int, path_id: int, med: int) -> Route:
    return path(str(net(number)), path_id, med=med)


lone = st.integers(0, 2)
several = st.lists(st.tuples(st.integers(1, 3), lone), min_size=1, unique_by=lambda each: each[0])


class Paths7911(RuleBasedStateMachine):
    """Routes and tuples of paths by turns, on sessions with and without ADD-PATH, refreshed meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.rib = AdjRibOut()
        self.wanted: dict[Prefix, Paths] = {}
        self.in_flight: Changes | None = None
        self.establish(set())

    @rule(add_path=st.sets(st.sampled_from(Family)))
    def establish(self, add_path: set[Family]) -> None:
        self.add_path, self.in_flight = frozenset(add_path), None
        self.rib.end()
        self.rib.begin(lambda _route: True, self.add_path)
        self.router = ListeningRouter(self.add_path)

    @rule(number=st.integers(1, 3), value=st.none() | lone | several)
    def update(self, number: int, value: int | list[tuple[int, int]] | None) -> None:
        paths: Paths | None = None
        if isinstance(value, int):
            paths = at(number, 0, value)
        elif value is not None:
            paths = tuple(at(number, path_id, med) for path_id, med in value)
        self.rib.update({net(number): paths})
        if paths is None:
            self.wanted.pop(net(number), None)
        else:
            self.wanted[net(number)] = paths

    @rule(family=st.sampled_from(Family))
    def refresh(self, family: Family) -> None:
        self.rib.refresh(family)

    @precondition(lambda self: self.in_flight is None)
    @rule(limit=st.integers(1, 3))
    def take(self, limit: int) -> None:
        self.in_flight = self.rib.take(limit)

    @rule(limit=st.integers(1, 3))
    def write_all(self, limit: int) -> None:
        while self.in_flight is not None or self.rib.has_work:
            changes, self.in_flight = self.in_flight or self.rib.take(limit), None
            self.router.hear(changes)
            self.rib.commit(changes)

    @invariant()
    def nothing_left_means_the_router_has_it_all(self) -> None:
        if self.in_flight is not None or self.rib.has_work:
            return
        expected = {key: med for paths in self.wanted.values() for key, med in self.expected(paths)}
        assert expected == {key: each.attributes.med for key, each in self.router.paths.items()}
        assert len(expected) == sum(number for _, number in self.rib.counts)

    def expected(self, paths: Paths) -> Iterator[tuple[tuple[Prefix, int], int | None]]:
        """What the router should hold of these paths."""
        every = (paths,) if isinstance(paths, Route) else paths
        family = Family.IPV4 if every[0].prefix.version == 4 else Family.IPV6
        for each in every if family in self.add_path else every[:1]:
            yield self.router.key(each.prefix, each.path_id), each.attributes.med


TestPaths7911 = Paths7911.TestCase
TestPaths7911.settings = settings(TestPaths7911.settings, max_examples=300, stateful_step_count=25)


# -- on the wire ---------------------------------------------------------------------------------------

CONTEXT = PackingContext(
    attributes=AttributeContext(local_asn=65000, ibgp=False, four_octet_as=True), add_path=BOTH
)


def sections(message: bytes) -> tuple[bytes, dict[int, bytes], bytes]:
    """Withdrawn routes, path attributes by type, and NLRI of an UPDATE (RFC 4271 §4.3)."""
    body = message[HEADER.size :]
    (length,) = struct.unpack_from("!H", body)
    withdrawn, body = body[2 : 2 + length], body[2 + length :]
    (length,) = struct.unpack_from("!H", body)
    packed, nlri = body[2 : 2 + length], body[2 + length :]
    attributes = {}
    while packed:
        wide = packed[0] & 0x10
        (size,) = struct.unpack_from("!H" if wide else "!B", packed, 2)
        start = 4 if wide else 3
        attributes[packed[1]] = packed[start : start + size]
        packed = packed[start + size :]
    return withdrawn, attributes, nlri


def test_ipv4_paths_stand_in_the_nlri_with_their_identifiers() -> None:
    """RFC 7911 §3: four octets before the length."""
    [message] = pack_routes(CONTEXT, [path("10.1.0.0/16", 7), path("10.2.3.0/24", 0x01020304)])

    assert bytes.fromhex("00000007 10 0a01  01020304 18 0a0203") == sections(message)[2]


def test_withdrawn_ipv4_paths_carry_their_identifiers() -> None:
    gone = [Withdrawal(prefix("10.1.0.0/16"), multiprotocol=False, path_id=7)]

    [message] = pack_withdrawals(CONTEXT, gone)

    assert bytes.fromhex("00000007 10 0a01") == sections(message)[0]


def test_ipv6_paths_stand_in_mp_reach_nlri_with_their_identifiers() -> None:
    [message] = pack_routes(CONTEXT, [path("2001:db8::/32", 9, "2001:db8::9")])

    next_hop = ip_address("2001:db8::9").packed
    assert (
        bytes.fromhex("0002 01 10") + next_hop + bytes.fromhex("00  00000009 20 20010db8")
        == (sections(message)[1][14])
    )


def test_withdrawn_ipv6_paths_carry_their_identifiers() -> None:
    [message] = pack_withdrawals(CONTEXT, [Withdrawal(prefix("2001:db8::/32"), True, path_id=9)])

    assert bytes.fromhex("0002 01  00000009 20 20010db8") == sections(message)[1][15]


def test_a_lone_route_has_the_identifier_1() -> None:
    """Some routers take 0 for no identifier."""
    [message] = pack_routes(CONTEXT, [route("10.1.0.0/16")])
    [gone] = pack_withdrawals(CONTEXT, [Withdrawal(prefix("10.1.0.0/16"), multiprotocol=False)])

    assert bytes.fromhex("00000001 10 0a01") == sections(message)[2] == sections(gone)[0]


def test_only_the_family_that_was_negotiated_has_identifiers() -> None:
    context = PackingContext(attributes=CONTEXT.attributes, add_path=frozenset({Family.IPV6}))

    messages = [*pack_routes(context, [path("10.1.0.0/16", 7), path("2001:db8::/32", 9)])]

    assert bytes.fromhex("10 0a01") == sections(messages[0])[2]
    assert sections(messages[1])[1][14].endswith(bytes.fromhex("00000009 20 20010db8"))


# -- between two routers -------------------------------------------------------------------------------

SENDS, RECEIVES = {"add_path_send": True}, {"add_path_send": False, "add_path_receive": True}
V6 = "2001:db8:1::/48"


async def test_a_router_that_takes_several_paths_hears_them_all() -> None:
    desired: dict[Prefix, Paths] = {
        prefix(WANTED): (P1, P2),
        prefix(V6): (path(V6, 4), path(V6, 5, med=1)),
        **routes("10.9.0.0/24"),
    }
    async with meeting(SENDS, RECEIVES, advertised=desired) as met:
        heard = [each for update in await met.first_advertisement() for each in update.advertised]

        assert {P1, P2, path(V6, 4), path(V6, 5, med=1), path("10.9.0.0/24", 1)} == set(heard)
        assert BOTH == met.facts.add_path_send
        await until(lambda: met.peers.sessions()["tor"].advertised == ((Family.IPV4, 3), (Family.IPV6, 2)))


async def test_a_path_that_goes_is_withdrawn_alone() -> None:
    async with meeting(SENDS, RECEIVES, advertised={prefix(WANTED): (P1, P2)}) as met:
        await met.first_advertisement()

        met.advertise({prefix(WANTED): (P2,)})

        assert (PrefixPath(prefix(WANTED), 1),) == (await met.router.update()).withdrawn


async def test_a_router_that_takes_one_path_hears_the_preferred_one() -> None:
    async with meeting(SENDS, {"add_path_send": False}, advertised={prefix(WANTED): (P1, P2)}) as met:
        [heard] = await met.first_advertisement()
        assert (ALONE,) == heard.advertised

        met.advertise({prefix(WANTED): (P2, P1)})

        heard = await met.router.update()
        assert (route(WANTED, "192.0.2.2"),) == heard.advertised
        assert not heard.withdrawn


@pytest.mark.parametrize("text", ["10.1.0.0/16", V6])
async def test_several_paths_are_received_and_withdrawn_one_by_one(text: str) -> None:
    ours, theirs = {"add_path_receive": True}, {"add_path_send": True, "add_path_receive": False}
    one, two = path(text, 1, med=1), path(text, 2, med=2)
    async with meeting(ours, theirs) as met:
        await met.tell(one, two)
        assert {PrefixPath(one.prefix, 1): one, PrefixPath(one.prefix, 2): two} == met.received

        await met.take_back(Withdrawal(one.prefix, one.prefix.version == 6, path_id=1))

        assert {PrefixPath(one.prefix, 2): two} == met.received
        assert [PrefixPath(one.prefix, 1)] == met.withdrawn


async def test_a_received_path_replaces_the_one_with_its_identifier_alone() -> None:
    ours, theirs = {"add_path_receive": True}, {"add_path_send": True, "add_path_receive": False}
    async with meeting(ours, theirs) as met:
        await met.tell(path(WANTED, 1, med=1), path(WANTED, 2, med=2))
        await met.tell(path(WANTED, 2, med=7), path("10.9.0.0/24", 1))

        meds = {key: each.attributes.med for key, each in met.received.items()}
        assert {
            PrefixPath(prefix(WANTED), 1): 1,
            PrefixPath(prefix(WANTED), 2): 7,
            PrefixPath(prefix("10.9.0.0/24"), 1): None,
        } == meds
