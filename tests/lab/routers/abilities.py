"""What each router can do, by feature: it selects the tests of a feature, and is what a matrix is made of.

Only what a daemon lacks is written down, each with its reason, as found by running the versions in
`VERSIONS`. A configuration that asks a router for what it lacks is refused here.
"""

from collections.abc import Iterator, Mapping

from speaker.model.prefix import Family, family_of
from tests.lab.routers.config import Neighbor, RouterConfig

VERSIONS: Mapping[str, str] = {
    "bird": "BIRD 2.0.12",
    "frr": "FRR 8.4.4",
    "gobgp": "GoBGP 3.10",
    "openbgpd": "OpenBGPD 7.7",
}
"""The routers, by the names of their drivers."""

FEATURES: Mapping[str, str] = {
    "ipv6-session": "RFC 4760 over IPv6",
    "passive": "the router dials us",
    "collision": "RFC 4271 §6.8: both dial",
    "dynamic-range": "the router takes us for one of a prefix",
    "link-local": "sessions between IPv6 link-local addresses",
    "multihop": "eBGP through a hop",
    "hold-time-zero": "RFC 4271 §4.2: no KEEPALIVEs",
    "md5": "RFC 2385 over IPv4",
    "md5-ipv6": "RFC 2385 over IPv6",
    "md5-range": "RFC 2385 for all in a prefix",
    "ttl-security": "RFC 5082",
    "extended-next-hop": "RFC 8950",
    "extended-messages": "RFC 8654",
    "roles": "RFC 9234",
    "route-refresh": "RFC 2918: the router asks us",
    "enhanced-route-refresh": "RFC 7313",
    "add-path-to-router": "RFC 7911: we send",
    "add-path-from-router": "RFC 7911: we receive",
    "communities": "RFC 1997",
    "large-communities": "RFC 8092",
    "extended-communities": "RFC 4360",
    "graceful-shutdown": "RFC 8326",
    "graceful-restart-helper": "RFC 4724: the router helps us",
    "graceful-restart-restarter": "RFC 4724: we help the router",
    "long-lived-helper": "RFC 9494: the router helps us",
    "long-lived-restarter": "RFC 9494: we help the router",
    "notification-restart": "RFC 8538",
    "shutdown-communication": "RFC 9003",
    "bfd": "RFC 5881 over IPv4",
    "bfd-ipv6": "RFC 5881 over IPv6",
    "bfd-multihop": "RFC 5883",
    "ecmp": "several next hops in the kernel",
}
"""What may be asked for, in the order of a matrix, each with its standard or in words."""


def _lacking(reason: str, *features: str) -> dict[str, str]:
    return dict.fromkeys(features, reason)


LACKS: Mapping[str, Mapping[str, str]] = {
    "bird": _lacking("BIRD 2.0.12 has no RFC 8538", "notification-restart"),
    "frr": {},
    "gobgp": {
        **_lacking("GoBGP has no BFD", "bfd", "bfd-ipv6", "bfd-multihop"),
        **_lacking("GoBGP forwards nothing", "ecmp"),
        **_lacking("GoBGP takes no password for dynamic neighbors", "md5-range"),
        **_lacking("GoBGP takes a hold time of 0 for the time a write may last", "hold-time-zero"),
        **_lacking("GoBGP keeps all that it heard and never asks again", "route-refresh"),
        **_lacking("GoBGP 3.10 has no RFC 7313", "enhanced-route-refresh"),
        **_lacking("GoBGP 3.10 has no RFC 8654", "extended-messages"),
        **_lacking("GoBGP 3.10 has no RFC 9234", "roles"),
    },
    "openbgpd": {
        **_lacking("OpenBGPD has no BFD", "bfd", "bfd-ipv6", "bfd-multihop"),
        **_lacking("OpenBGPD forwards nothing on Linux", "ecmp"),
        **_lacking("OpenBGPD has no passwords on ranges", "md5-range"),
        **_lacking("OpenBGPD 7.7 ends with a segmentation fault on Linux", "link-local"),
        **_lacking("OpenBGPD takes no IPv6 next hops for IPv4 prefixes", "extended-next-hop"),
        **_lacking("OpenBGPD 7.7 has no RFC 8654", "extended-messages"),
        **_lacking("OpenBGPD helps, and is not helped", "graceful-restart-restarter"),
        **_lacking("OpenBGPD 7.7 has no RFC 9494", "long-lived-helper", "long-lived-restarter"),
        **_lacking("OpenBGPD 7.7 has no RFC 8538", "notification-restart"),
    },
}
"""By router and feature, why it cannot."""

NOTES: Mapping[str, Mapping[str, str]] = {
    "bird": {
        "md5": "begins anew when its password changes, and drops what it kept for us",
        "bfd": "takes a restart that outlasts it for a failure, unless `bfd graceful` is set",
        "bfd-multihop": "with a local address only",
    },
    "frr": {
        "link-local": "accepts such sessions and does not dial them; not for a range",
        "ttl-security": "not enforced on a range",
        "graceful-restart-restarter": "tells of a restart whenever it starts, the first time too",
        "bfd-multihop": "with a local address only",
    },
    "gobgp": {
        "link-local": "not for a range",
        "dynamic-range": "without ADD-PATH",
        "extended-next-hop": "always offered",
        "extended-communities": "in its own only AS numbers of two octets",
        "graceful-shutdown": "with a preference of 1, for it takes 0 for none",
        "shutdown-communication": "shows ours, forgets its own",
        "passive": "dials after five seconds or more",
        "collision": "does not dial while it is called",
        "md5": "begins anew when its password changes, and drops what it kept for us",
        "long-lived-helper": "does not offer it unless it restarts gracefully itself",
        "notification-restart": "shuts down without a Hard Reset",
    },
    "openbgpd": {
        "collision": "does not dial while it is called",
        "hold-time-zero": "takes ours and has none of its own",
        "md5": "takes another password from the next session on",
        "route-refresh": "asks, and answers none of our requests: it takes the family for not negotiated",
        "enhanced-route-refresh": "asks, and answers none of our requests",
    },
}
"""By router and feature, what is particular about how it can."""

# What a neighbor may ask for beyond the features.
_REFUSED: Mapping[str, Mapping[str, str]] = {
    "bird": _lacking("BIRD has no RFC 8538, and so no reset that is not hard", "soft-reset"),
    "frr": {
        **_lacking("FRR has no ranges of link-local addresses", "link-local-range"),
        **_lacking("FRR has no graceful BFD", "bfd-graceful"),
    },
    "gobgp": {
        **_lacking("GoBGP has no ranges of link-local addresses", "link-local-range"),
        **_lacking("GoBGP has no additional paths on dynamic neighbors", "add-path-range"),
        **_lacking("GoBGP has no word for the hardness of a reset", "soft-reset"),
        **_lacking("GoBGP forwards nothing", "static-routes"),
    },
    "openbgpd": {
        **_lacking("OpenBGPD has no ranges of link-local addresses", "link-local-range"),
        **_lacking("OpenBGPD has no RFC 8538, and so no reset that is not hard", "soft-reset"),
        **_lacking("OpenBGPD forwards nothing on Linux", "static-routes"),
    },
}


def able(feature: str) -> tuple[str, ...]:
    """The routers that have a feature, in the order of a matrix.

    Raises:
        LookupError: there is no such feature.
    """
    if feature not in FEATURES:
        raise LookupError(f"{feature} is no feature of the lab's routers")
    return tuple(name for name in VERSIONS if feature not in LACKS[name])


def check(name: str, config: RouterConfig) -> None:
    """Refuse a configuration that asks for what the router lacks.

    Raises:
        ValueError: it does; the message has the reason.
    """
    reasons = {**LACKS[name], **_REFUSED[name]}
    for feature in _asked(config):
        if feature in reasons:
            raise ValueError(f"{feature}: {reasons[feature]}")


def _asked(config: RouterConfig) -> Iterator[str]:
    for each in config.neighbors:
        yield from _asked_of_address(each)
        yield from _asked_of_capabilities(each)
    if config.restarts_gracefully:
        yield "graceful-restart-restarter"
    if config.long_lived_seconds is not None:
        yield "long-lived-helper"
    if config.notification_restart:
        yield "notification-restart"
    if not config.hard_reset:
        yield "soft-reset"
    if config.static_routes:
        yield "static-routes"


def _asked_of_address(each: Neighbor) -> Iterator[str]:
    ipv6 = family_of(each.where) is Family.IPV6
    if each.where.is_link_local and ipv6:
        yield "link-local-range" if each.is_range else "link-local"
    if each.password is not None:
        yield "md5-range" if each.is_range else "md5-ipv6" if ipv6 else "md5"
    if each.bfd:
        yield "bfd-multihop" if each.multihop else "bfd-ipv6" if ipv6 else "bfd"
    if each.bfd_graceful:
        yield "bfd-graceful"


def _asked_of_capabilities(each: Neighbor) -> Iterator[str]:
    wanted = {
        "extended-next-hop": each.extended_next_hop,
        "extended-messages": each.extended_messages,
        "enhanced-route-refresh": each.enhanced_refresh,
        "roles": each.role is not None,
        "add-path-to-router": each.add_path_rx,
        "add-path-from-router": each.add_path_tx,
        "add-path-range": each.is_range and (each.add_path_rx or each.add_path_tx),
    }
    yield from (feature for feature, asked in wanted.items() if asked)
