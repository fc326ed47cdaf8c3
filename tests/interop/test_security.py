"""Passwords (RFC 2385) and TTL security (RFC 5082): who knows and who is near gets in, and nobody else."""

import pytest

from speaker.model.peer import Password, SessionState
from speaker.model.prefix import Family
from tests.bgp.builders import prefix, until
from tests.interop.counters import TTL_TOO_LOW, WRONG_SIGNATURE, dropped
from tests.interop.matrix import proves
from tests.interop.rack import NODE_ASN, Rack
from tests.lab.routers.config import Neighbor
from tests.lab.routers.router import Router

pytestmark = pytest.mark.netns

ESTABLISHED = SessionState.ESTABLISHED
SECRET = "s3cret"


async def with_a_password(rack: Rack, family: Family) -> None:
    """A session whose segments are signed on both sides."""
    await rack.router(rack.neighbor(family=family, password=SECRET))
    speaker = rack.speaker(rack.peer(family=family, password=Password(SECRET)))

    await speaker.until_state(ESTABLISHED, "tor1")


@proves("md5")
async def test_a_password_over_ipv4(rack: Rack) -> None:
    await with_a_password(rack, Family.IPV4)


@proves("md5-ipv6")
async def test_a_password_over_ipv6(rack: Rack) -> None:
    await with_a_password(rack, Family.IPV6)


@proves("md5", "passive", "md5-ipv6")
async def test_a_password_of_a_router_that_dials(rack: Rack) -> None:
    """Over both families: the key is there before the connection comes, and the wrong one is no answer."""
    speaker = rack.speaker(
        *(
            rack.peer(family=family, name=family, passive=True, password=Password(SECRET))
            for family in Family
        ),
        listen_port=179,
    )
    await rack.router(*(rack.neighbor(family=family, passive=False, password=SECRET) for family in Family))

    for family in Family:
        await speaker.until_state(ESTABLISHED, family)


@proves("md5-range")
@pytest.mark.parametrize("family", list(Family))
async def test_a_password_for_a_whole_range(rack: Rack, family: Family) -> None:
    """With another one the router's kernel drops our segments; with the right one there is a session."""
    where = prefix("172.30.0.0/16" if family is Family.IPV4 else "fd00:30::/32")
    router = await rack.router(Neighbor(where=where, asn=NODE_ASN, passive=True, password=SECRET))
    speaker = rack.speaker(rack.peer(family=family, password=Password("wrong")))
    await until(lambda: dropped(router.namespace, WRONG_SIGNATURE), "a segment with a wrong signature")

    speaker.peers.set_peers([rack.peer(family=family, password=Password(SECRET))])

    await speaker.until_state(ESTABLISHED, "tor1")


@proves("ttl-security")
@pytest.mark.parametrize("family", list(Family))
async def test_ttl_security_on_both_sides(rack: Rack, family: Family) -> None:
    await rack.router(rack.neighbor(family=family, ttl_security=True))
    speaker = rack.speaker(rack.peer(family=family, ttl_security_hops=1))

    await speaker.until_state(ESTABLISHED, "tor1")


async def established(router: Router) -> set[str]:
    """The peers with which the router itself has a session."""
    return {str(peer) for peer, info in (await router.sessions()).items() if info.established}


@proves("ttl-security")
async def test_the_router_does_not_hear_what_may_have_come_from_afar(rack: Rack) -> None:
    """With a TTL of 254 we could be behind another router.

    Routers look at the TTL only once the accepted connection is their daemon's: our OPEN may be heard
    before that, and so the session be established to us. Nothing that we send after it is.
    """
    router = await rack.router(rack.neighbor(ttl_security=True))
    speaker = rack.speaker(rack.peer(multihop_ttl=254))
    speaker.peers.update("tor1", rack.routes("10.96.0.10/32"))

    await until(lambda: dropped(router.namespace, TTL_TOO_LOW), "a segment that the router drops")
    before = dropped(router.namespace, TTL_TOO_LOW)
    await until(lambda: dropped(router.namespace, TTL_TOO_LOW) > before, "another one", seconds=30)

    assert await router.next_hops() == {}
    assert "172.30.1.2" not in await established(router)


@proves("ttl-security")
async def test_we_do_not_hear_a_router_that_may_be_far_away(rack: Rack) -> None:
    await rack.router()
    speaker = rack.speaker(rack.peer(ttl_security_hops=1))
    node = rack.topology["node1"].namespace

    await until(lambda: dropped(node, TTL_TOO_LOW), "a segment that we drop")

    assert speaker.state("tor1") is not ESTABLISHED
