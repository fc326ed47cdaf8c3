"""The table of what routers can do is complete, and a configuration beyond it is refused with its reason."""

import pytest

from speaker.model.peer import Role
from tests.lab.routers import abilities
from tests.lab.routers.abilities import FEATURES, LACKS, NOTES, VERSIONS, able, check
from tests.lab.routers.config import RouterConfig, neighbor
from tests.lab.routers.drivers import DRIVERS


def config(where: str = "172.30.1.2", /, **options: object) -> RouterConfig:
    """A router with one neighbor."""
    return RouterConfig(asn=65030, router_id="192.168.50.1", neighbors=(neighbor(where, 65000, **options),))


def test_each_driver_and_only_known_features_are_in_the_table() -> None:
    assert list(VERSIONS) == list(DRIVERS) == list(LACKS)
    for table in (LACKS, NOTES):
        assert {feature for each in table.values() for feature in each} <= set(FEATURES)


def test_what_a_router_lacks_has_no_notes() -> None:
    assert not [(name, feature) for name in NOTES for feature in NOTES[name] if feature in LACKS[name]]


def test_every_feature_has_a_router_that_can() -> None:
    assert all(able(feature) for feature in FEATURES)


def test_able_names_routers_in_order() -> None:
    assert able("roles") == ("bird", "frr", "openbgpd")
    assert able("bfd") == ("bird", "frr")


def test_an_unknown_feature_is_no_empty_answer() -> None:
    with pytest.raises(LookupError, match="rolls"):
        able("rolls")


@pytest.mark.parametrize("name", list(VERSIONS))
def test_a_plain_configuration_asks_for_nothing(name: str) -> None:
    check(name, config(passive=True))


@pytest.mark.parametrize(
    ("asked", "feature"),
    [
        pytest.param(config(bfd=True), "bfd", id="bfd"),
        pytest.param(config("fd00:30:1::2", bfd=True), "bfd-ipv6", id="bfd-ipv6"),
        pytest.param(config(bfd=True, multihop=True), "bfd-multihop", id="bfd-multihop"),
        pytest.param(config(extended_next_hop=True), "extended-next-hop", id="extended-next-hop"),
        pytest.param(config(extended_messages=True), "extended-messages", id="extended-messages"),
        pytest.param(config(enhanced_refresh=True), "enhanced-route-refresh", id="enhanced-route-refresh"),
        pytest.param(config(role=Role.PEER), "roles", id="roles"),
        pytest.param(config("172.30.0.0/16", password="x"), "md5-range", id="md5-range"),
        pytest.param(config("fe80::1%node1"), "link-local", id="link-local"),
        pytest.param(
            RouterConfig(asn=65030, router_id="192.168.50.1", long_lived_seconds=1),
            "long-lived-helper",
            id="long-lived-helper",
        ),
        pytest.param(
            RouterConfig(asn=65030, router_id="192.168.50.1", notification_restart=True),
            "notification-restart",
            id="notification-restart",
        ),
        pytest.param(
            RouterConfig(asn=65030, router_id="192.168.50.1", restarts_gracefully=True),
            "graceful-restart-restarter",
            id="graceful-restart-restarter",
        ),
    ],
)
@pytest.mark.parametrize("name", list(VERSIONS))
def test_what_a_router_lacks_is_refused_and_nothing_else(
    name: str, asked: RouterConfig, feature: str
) -> None:
    reason = LACKS[name].get(feature)
    if reason is None:
        check(name, asked)
        return

    with pytest.raises(ValueError, match=feature) as refused:
        check(name, asked)
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("asked", "able_ones"),
    [
        pytest.param(config("172.30.0.0/16", add_path_rx=True), {"bird", "frr", "openbgpd"}, id="add-path"),
        pytest.param(config("fe80::/10", interface="node1"), {"bird"}, id="link-local"),
        pytest.param(config(bfd=True, bfd_graceful=True), {"bird"}, id="bfd-graceful"),
        pytest.param(
            RouterConfig(asn=65030, router_id="192.168.50.1", hard_reset=False), {"frr"}, id="soft-reset"
        ),
    ],
)
def test_options_beyond_the_features(asked: RouterConfig, able_ones: set[str]) -> None:
    found = set()
    for name in abilities.VERSIONS:
        try:
            check(name, asked)
        except ValueError:
            continue
        found.add(name)

    assert found == able_ones
