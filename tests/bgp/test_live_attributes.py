"""Settings about what routes carry change under a running session."""

from speaker.bgp.codec_update import UpdateDecoder
from speaker.bgp.messages import MessageType, UpdateMessage
from speaker.model.peer import Peer
from speaker.model.prefix import Family
from speaker.model.route import Learned, PathSegment, SegmentType
from tests.bgp.builders import prefix, route, routes
from tests.bgp.meeting import Meeting, meeting

WANTED, OWN = "10.2.0.0/24", "10.3.0.0/24"
PRIVATE = Learned(as_path=(PathSegment(SegmentType.AS_SEQUENCE, (64512, 7)),))
REFRESH = {b"\0\1\0\1", b"\0\2\0\1"}


async def next_update(met: Meeting, reader: UpdateDecoder) -> UpdateMessage:
    """What the router reads next, with what the routes carry; marks of End-of-RIB are passed over."""
    while True:
        kind, body = await met.router.receive()
        if kind is MessageType.UPDATE:
            update = reader.unpack_update(body)
            if update.end_of_rib is None:
                return update


def reader_of(met: Meeting) -> UpdateDecoder:
    """The router's reading, with its OPEN in place of the speaker's: both offer the same."""
    mirror: Peer = met.router.mirror
    return UpdateDecoder(mirror, met.router.open()[19:])


def path_of(update: UpdateMessage) -> tuple[int, ...]:
    (each,) = update.advertised
    assert each.attributes.learned is not None
    return tuple(asn for segment in each.attributes.learned.as_path for asn in segment.asns)


async def test_private_as_numbers_come_and_go_without_a_new_session() -> None:
    """Only routes that carry a path of others are sent again."""
    sent = {prefix(WANTED): route(WANTED, learned=PRIVATE)} | routes(OWN)
    async with meeting(advertised=sent) as met:
        reader = reader_of(met)
        heard = {path_of(await next_update(met, reader)) for _ in range(2)}
        assert heard == {(65000, 64512, 7), (65000,)}

        met.change(remove_private_asns=True)
        assert path_of(await next_update(met, reader)) == (65000, 7)
        met.change(remove_private_asns=False)
        assert path_of(await next_update(met, reader)) == (65000, 64512, 7)

        assert met.flaps == 0


async def test_another_cluster_asks_for_what_was_a_loop_before() -> None:
    """RFC 4456 §8: which routes have been in our cluster depends on which cluster that is."""
    async with meeting({"asn": 65000}) as met:
        await met.first_advertisement()

        met.change(cluster_id=type(met.peer.router_id)("10.9.9.9"))

        asked = {await met.router.expect(MessageType.ROUTE_REFRESH) for _ in Family}
        assert asked == REFRESH
        assert met.flaps == 0
