"""What both sides offer comes to work: long messages, and roles between ASes."""

import pytest

from speaker.bgp.messages import MAX_MESSAGE
from speaker.model.peer import Role
from tests.bgp.builders import prefix, until
from tests.interop.matrix import proves
from tests.interop.rack import NODE_ASN, ROUTER_ASN, Rack
from tests.interop.wire import Wire
from tests.lab.routers.bird import Bird
from tests.lab.routers.frr import Frr
from tests.lab.routers.openbgpd import OpenBgpd
from tests.lab.routers.router import Router

pytestmark = pytest.mark.netns

VIP = "10.96.0.10/32"
HOPS = {VIP: {"172.30.1.2"}}


async def offered(router: Router, rack: Rack) -> frozenset[str]:
    """What the router says that we offer."""
    return (await router.sessions())[rack.address()].capabilities or frozenset()


# -- extended messages ---------------------------------------------------------------------------------


@proves("extended-messages")
async def test_a_route_that_no_ordinary_message_can_carry(rack: Rack) -> None:
    """RFC 8654: more than a thousand communities on one route."""
    router = await rack.router(rack.neighbor(extended_messages=True))
    wire = Wire()
    speaker = rack.speaker(rack.peer(), wire=wire)
    communities = tuple(range(NODE_ASN << 16 | 1, (NODE_ASN << 16 | 1) + 1100))

    speaker.peers.update("tor1", rack.routes(VIP, communities=communities))

    table = await router.wait_routes(HOPS)
    # BIRD shows the first of a long list only.
    shown = len(table[prefix(VIP)][0].communities)
    assert shown == len(communities) or router.name == "bird"
    assert wire.sent.longest > MAX_MESSAGE
    assert "extended-messages" in await offered(router, rack)
    facts = speaker.peers.sessions()["tor1"].facts
    assert facts is not None
    assert facts.extended_messages


@proves("extended-messages")
async def test_a_router_without_them_gets_none(rack: Rack) -> None:
    """What does not fit into 4096 octets is left out, and nothing else suffers."""
    router = await rack.router()
    speaker = rack.speaker(rack.peer(extended_messages=False))
    communities = tuple(range(NODE_ASN << 16 | 1, (NODE_ASN << 16 | 1) + 1100))

    speaker.peers.update("tor1", rack.routes("10.96.0.11/32", communities=communities) | rack.routes(VIP))

    await router.wait_routes(HOPS)
    assert set(speaker.peers.advertised("tor1")) == {prefix(VIP)}


# -- roles ---------------------------------------------------------------------------------------------


@proves("roles")
async def test_a_customer_sees_that_our_routes_are_only_for_customers(rack: Rack) -> None:
    """RFC 9234 section 5: toward a customer every route bears OTC with our AS; both sides are strict."""
    router = await rack.router(rack.neighbor(role=Role.CUSTOMER, role_strict=True))
    speaker = rack.speaker(rack.peer(role=Role.PROVIDER, role_strict=True))

    speaker.peers.update("tor1", rack.routes(VIP))

    await router.wait_routes(HOPS)
    assert await shows_otc(router)
    assert "role:provider" in await offered(router, rack)


async def shows_otc(router: Router) -> bool:
    """Whether the router tells of OTC with our AS on the VIP."""
    match router:
        case Bird():
            return f"BGP.otc: {NODE_ASN}" in await router.command(f"show route for {VIP} all")
        case Frr():
            (path,) = (await router.command_json(f"show bgp ipv4 unicast {VIP} json"))["paths"]
            return bool(path["otc"] == NODE_ASN)
        case OpenBgpd():
            (path,) = (await router.command("show", "rib", "detail"))["rib"]
            marks = [each["as"] for each in path["attributes"] if each["type"] == "OTC"]
            return marks == [NODE_ASN]
    return False


@proves("roles")
async def test_what_a_provider_sends_is_only_for_customers(rack: Rack) -> None:
    """The router marks what it sends to us, and takes what we send without a mark."""
    router = await rack.router(
        rack.neighbor(role=Role.PROVIDER, role_strict=True), originate=(prefix("10.50.0.0/24"),)
    )
    speaker = rack.speaker(rack.peer(role=Role.CUSTOMER, role_strict=True))
    speaker.peers.update("tor1", rack.routes(VIP))

    await router.wait_routes(HOPS)
    await until(lambda: speaker.peers.received("tor1"), "the router's own prefix")

    (received,) = speaker.peers.received("tor1").values()
    assert received.attributes.only_to_customer == ROUTER_ASN


@proves("roles")
async def test_what_is_only_for_customers_does_not_go_up(rack: Rack) -> None:
    """A route with OTC is not sent to a provider; the same without it is."""
    router = await rack.router(rack.neighbor(role=Role.PROVIDER))
    speaker = rack.speaker(rack.peer(role=Role.CUSTOMER))

    speaker.peers.update("tor1", rack.routes(VIP) | rack.routes("10.96.0.11/32", only_to_customer=65099))

    await router.wait_routes(HOPS)
    assert set(speaker.peers.advertised("tor1")) == {prefix(VIP)}


@proves("roles")
async def test_roles_that_do_not_fit_make_no_session(rack: Rack) -> None:
    """RFC 9234 section 4.2: Role Mismatch, whichever side reads the other's OPEN first."""
    await rack.router(rack.neighbor(role=Role.PROVIDER))
    speaker = rack.speaker(rack.peer(role=Role.PROVIDER))

    reason = await speaker.until_error("2/11", "tor1")

    assert "role" in reason.lower()


@proves("roles")
@pytest.mark.parametrize("strict", ["we", "the router"])
async def test_whoever_is_strict_refuses_a_peer_without_a_role(rack: Rack, strict: str) -> None:
    we = strict == "we"
    await rack.router(rack.neighbor() if we else rack.neighbor(role=Role.PROVIDER, role_strict=True))
    speaker = rack.speaker(rack.peer(role=Role.CUSTOMER, role_strict=True) if we else rack.peer())

    reason = await speaker.until_error("2/11", "tor1")

    assert ("without a role, expected provider" if we else "peer sent NOTIFICATION 2/11") in reason
