"""Roles and the attribute Only to Customer (RFC 9234 §5): what we send, and what we make of what comes."""

import struct
from typing import Any

import pytest

from speaker.bgp.codec_open import pack_open
from speaker.bgp.codec_update import AttributeContext, UpdateDecoder, pack_attributes
from speaker.bgp.messages import MessageType, Notification, UpdateMessage
from speaker.bgp.packing import PackingContext, pack_routes
from speaker.model.peer import Role, SessionState
from speaker.model.prefix import Address, Prefix
from speaker.model.route import PathAttributes, PrefixPath, Route
from tests.bgp.builders import peer, prefix, route, routes, until
from tests.bgp.meeting import meeting

OURS, THEIRS, OTHER = 65000, 65030, 64999
OPPOSITE = {
    Role.PROVIDER: Role.CUSTOMER,
    Role.CUSTOMER: Role.PROVIDER,
    Role.ROUTE_SERVER: Role.ROUTE_SERVER_CLIENT,
    Role.ROUTE_SERVER_CLIENT: Role.ROUTE_SERVER,
    Role.PEER: Role.PEER,
}
# The roles of ours in which the peer is a customer, a peer or a client of the route server.
DOWNWARD = {Role.PROVIDER, Role.PEER, Role.ROUTE_SERVER}


def attribute(value: str, flags: int = 0xC0) -> bytes:
    """OTC with any value, in hexadecimal."""
    octets = bytes.fromhex(value)
    return bytes((flags, 35, len(octets))) + octets


def otc(asn: int) -> bytes:
    """A proper OTC."""
    return attribute(f"{asn:08x}")


def update(peer_asn: int, *, ibgp: bool = False, marks: bytes = b"") -> bytes:
    """The body of an UPDATE for 10.1.0.0/16, as the peer would send it."""
    context = AttributeContext(local_asn=peer_asn, ibgp=ibgp, four_octet_as=True)
    hop: Address = route("10.1.0.0/16").next_hop
    attributes = pack_attributes(context, PathAttributes(), hop) + marks
    return struct.pack("!HH", 0, len(attributes)) + attributes + bytes.fromhex("100a01")


def read(role: Role | None, *, marks: bytes = b"", **settings: Any) -> UpdateMessage:
    """What a speaker with a role makes of a route with these marks."""
    configured = peer(role=role, **settings)
    theirs = peer(asn=OURS, local_asn=configured.asn)
    body = pack_open(theirs, restarting=False, forwarding_preserved=True)[19:]
    packed = update(configured.asn, ibgp=configured.is_ibgp, marks=marks)
    return UpdateDecoder(configured, body).unpack_update(packed)


def marker(message: UpdateMessage) -> int | None:
    [one] = message.advertised
    return one.attributes.only_to_customer


# -- what we send --------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", Role)
async def test_routes_go_downward_with_our_as_number_and_upward_without(role: Role) -> None:
    """RFC 9234 §5: to a customer, a peer or a client of ours they go with a mark."""
    theirs = {"role": OPPOSITE[role]}
    async with meeting({"role": role}, theirs, advertised=routes("10.0.0.0/24")) as met:
        kind, body = await met.router.receive()

        assert kind is MessageType.UPDATE
        assert (otc(OURS) in body) is (role in DOWNWARD)


async def test_routes_of_both_families_are_marked() -> None:
    theirs = {"role": Role.CUSTOMER}
    both = routes("10.0.0.0/24", "2001:db8::/48")
    async with meeting({"role": Role.PROVIDER}, theirs, advertised=both) as met:
        heard = await met.first_advertisement()

        marks = {one.prefix: one.attributes.only_to_customer for each in heard for one in each.advertised}
        assert dict.fromkeys(both, OURS) == marks


async def test_without_a_role_nothing_is_marked() -> None:
    async with meeting(advertised=routes("10.0.0.0/24")) as met:
        [heard] = await met.first_advertisement()

        assert marker(heard) is None


async def test_inside_the_as_nothing_is_marked() -> None:
    """RFC 9234 §4: roles are of external sessions."""
    settings = {"role": Role.PROVIDER, "asn": OURS}
    async with meeting(settings, advertised=routes("10.0.0.0/24")) as met:
        _, body = await met.router.receive()

        assert otc(OURS) not in body


def test_a_mark_that_is_there_stays_as_it_is() -> None:
    """RFC 9234 §5: "Once the OTC Attribute has been set, it MUST be preserved unchanged"."""
    context = AttributeContext(local_asn=OURS, ibgp=False, four_octet_as=True, only_to_customer=True)
    marked = route("10.0.0.0/24", only_to_customer=OTHER)

    [packed] = pack_routes(PackingContext(attributes=context), [marked])

    assert otc(OTHER) in packed
    assert otc(OURS) not in packed


def test_the_mark_has_four_octets_toward_a_peer_with_as_numbers_of_two() -> None:
    """RFC 9234 §5: "The OTC Attribute is an optional transitive [...] of length 4 octets"."""
    context = AttributeContext(
        local_asn=4_200_000_001, ibgp=False, four_octet_as=False, only_to_customer=True
    )

    assert otc(4_200_000_001) in pack_attributes(context, PathAttributes(), None)


@pytest.mark.parametrize("role", Role)
async def test_a_marked_route_goes_to_nobody_but_customers_and_clients(role: Role) -> None:
    """RFC 9234 §5, second rule for sending: not "to Providers, Peers, or RSes"."""
    theirs = {"role": OPPOSITE[role]}
    desired: dict[Prefix, Route] = routes("10.0.0.0/24", only_to_customer=OTHER)
    async with meeting({"role": role}, theirs, advertised=desired) as met:
        heard = await met.first_advertisement()

        assert bool(heard) is (role in (Role.PROVIDER, Role.ROUTE_SERVER))
        assert bool(met.peers.advertised("tor")) is bool(heard)


async def test_a_route_that_gets_a_mark_is_withdrawn_from_a_provider() -> None:
    theirs = {"role": Role.PROVIDER}
    async with meeting({"role": Role.CUSTOMER}, theirs, advertised=routes("10.0.0.0/24")) as met:
        await met.first_advertisement()

        met.advertise(routes("10.0.0.0/24", only_to_customer=OTHER))

        assert (PrefixPath(prefix("10.0.0.0/24")),) == (await met.router.update()).withdrawn


# -- what we make of what comes ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "marks", "result"),
    [
        pytest.param(Role.PROVIDER, b"", None, id="from a customer, unmarked"),
        pytest.param(Role.PROVIDER, otc(THEIRS), "leak", id="from a customer, marked"),
        pytest.param(Role.ROUTE_SERVER, b"", None, id="from a client, unmarked"),
        pytest.param(Role.ROUTE_SERVER, otc(THEIRS), "leak", id="from a client, marked"),
        pytest.param(Role.PEER, b"", THEIRS, id="from a peer, unmarked"),
        pytest.param(Role.PEER, otc(THEIRS), THEIRS, id="from a peer, marked by it"),
        pytest.param(Role.PEER, otc(OTHER), "leak", id="from a peer, marked by another"),
        pytest.param(Role.CUSTOMER, b"", THEIRS, id="from a provider, unmarked"),
        pytest.param(Role.CUSTOMER, otc(OTHER), OTHER, id="from a provider, marked"),
        pytest.param(Role.ROUTE_SERVER_CLIENT, b"", THEIRS, id="from a route server, unmarked"),
        pytest.param(Role.ROUTE_SERVER_CLIENT, otc(OTHER), OTHER, id="from a route server, marked"),
        pytest.param(None, b"", None, id="without a role, unmarked"),
        pytest.param(None, otc(OTHER), OTHER, id="without a role, marked"),
    ],
)
def test_the_rules_for_what_is_received(role: Role | None, marks: bytes, result: int | str | None) -> None:
    """RFC 9234 §5: a leak is "ineligible", so withdrawn; what comes from above gets a mark."""
    heard = read(role, marks=marks)

    if result == "leak":
        assert UpdateMessage(withdrawn=(PrefixPath(prefix("10.1.0.0/16")),)) == heard
    else:
        assert result == marker(heard)


@pytest.mark.parametrize("role", [None, *Role])
@pytest.mark.parametrize("value", ["", "fe06", "0000fe0600", "0000fe060000fe06"])
def test_a_mark_of_another_length_is_a_withdrawal(role: Role | None, value: str) -> None:
    """RFC 9234 §5: a malformed OTC is handled by "treat-as-withdraw"."""
    heard = read(role, marks=attribute(value))

    assert UpdateMessage(withdrawn=(PrefixPath(prefix("10.1.0.0/16")),)) == heard


def test_a_mark_that_somebody_did_not_know_is_a_mark() -> None:
    """The Partial bit of RFC 4271 §4.3."""
    assert OTHER == marker(read(None, marks=attribute(f"{OTHER:08x}", flags=0xE0)))


def test_of_two_marks_the_first_counts() -> None:
    """RFC 7606 §3 (g): all but the first of an attribute that stands there twice are discarded."""
    assert OTHER == marker(read(None, marks=otc(OTHER) + otc(THEIRS)))


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(("marks", "result"), [(b"", None), (otc(OTHER), OTHER)])
def test_inside_the_as_a_role_says_nothing(role: Role, marks: bytes, result: int | None) -> None:
    """A role may be configured for a peer that is, or has become, internal."""
    assert result == marker(read(role, marks=marks, asn=OURS))


async def test_a_leak_takes_the_earlier_route_back_and_keeps_the_session() -> None:
    async with meeting({"role": Role.PROVIDER}, {"role": Role.CUSTOMER}) as met:
        await met.tell(route("10.1.0.0/16"))

        await met.router.send(*pack_routes(met.context(), [route("10.1.0.0/16", only_to_customer=OTHER)]))
        await met.until_received()

        assert [PrefixPath(prefix("10.1.0.0/16"))] == met.withdrawn
        assert met.speaker.state() is SessionState.ESTABLISHED


# -- the session ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs", "reason"),
    [
        pytest.param(
            {"role": Role.PROVIDER},
            {"role": Role.PEER},
            "peer opened with the role peer, expected customer since ours is provider",
            id="another role",
        ),
        pytest.param(
            {"role": Role.PEER, "role_strict": True},
            {"role": None},
            "peer opened without a role, expected peer",
            id="none in strict mode",
        ),
    ],
)
async def test_a_mismatch_of_roles_ends_the_attempt(
    ours: dict[str, Any], theirs: dict[str, Any], reason: str
) -> None:
    async with meeting(ours, theirs, established=False) as met:
        await met.router.accept()
        await met.router.open_received()
        await met.router.send(met.router.open())

        assert Notification(2, 11) == await met.router.expect_notification()
        assert reason in await met.speaker.until_error("role")


async def test_a_peer_that_tells_no_role_is_accepted_and_hears_marked_routes() -> None:
    """RFC 9234 §4.2: without strict mode the rules of §5 hold by our own role."""
    settings = {"role": Role.PROVIDER}
    async with meeting(settings, {"role": None}, advertised=routes("10.0.0.0/24")) as met:
        await until(lambda: met.peers.advertised("tor"))

        [heard] = await met.first_advertisement()
        assert marker(heard) == OURS
