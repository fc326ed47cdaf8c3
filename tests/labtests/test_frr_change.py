"""What is typed to lead FRR from one configuration to another."""

from tests.lab.routers import frr_config
from tests.lab.routers.config import RouterConfig, neighbor
from tests.lab.routers.frr_change import lines

OLD = """\
route-map OLD permit 1
 set metric 1
exit
router bgp 65030
 neighbor 10.0.0.1 remote-as 65000
 neighbor 10.0.0.1 password first
 no bgp graceful-restart notification
 address-family ipv4 unicast
  neighbor 10.0.0.1 activate
  neighbor 10.0.0.1 maximum-prefix 2
 exit-address-family
exit
"""


def test_equal_configurations_need_nothing() -> None:
    assert lines(OLD, OLD) == []


def test_a_new_value_replaces_the_old_one() -> None:
    """A password that went first would open the door for a moment."""
    typed = lines(OLD, OLD.replace("password first", "password second"))

    assert typed == ["router bgp 65030", "neighbor 10.0.0.1 password second"]


def test_what_goes_is_negated_where_it_stands() -> None:
    typed = lines(OLD, OLD.replace("  neighbor 10.0.0.1 maximum-prefix 2\n", ""))

    assert typed == [
        *("router bgp 65030", "address-family ipv4 unicast", "no neighbor 10.0.0.1 maximum-prefix 2"),
    ]


def test_what_was_negated_comes_back() -> None:
    typed = lines(OLD, OLD.replace(" no bgp graceful-restart notification\n", ""))

    assert typed == ["router bgp 65030", "bgp graceful-restart notification"]


def test_what_is_below_a_line_goes_with_it() -> None:
    typed = lines(OLD, OLD.partition("exit\n")[2])

    assert typed == ["no route-map OLD permit 1"]


def test_a_new_block_comes_with_all_that_is_in_it() -> None:
    typed = lines(OLD.partition("exit\n")[2], OLD)

    assert typed == ["route-map OLD permit 1", "route-map OLD permit 1", "set metric 1"]


def test_a_neighbor_that_comes_is_configured_like_the_first() -> None:
    config = RouterConfig(asn=65030, router_id="192.168.50.1")
    with_neighbor = RouterConfig(
        asn=65030, router_id="192.168.50.1", neighbors=(neighbor("172.30.1.2", 65000),)
    )

    typed = lines(frr_config.bgpd(config), frr_config.bgpd(with_neighbor))

    assert typed[:2] == ["router bgp 65030", "neighbor 172.30.1.2 remote-as 65000"]
    assert not [line for line in typed if line.startswith("no ")]
