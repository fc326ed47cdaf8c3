"""What is wanted, where it leads, and what of it changed."""

from ipaddress import ip_address, ip_network

from speaker.kernel.intent import Intent
from speaker.kernel.routes import Entry
from speaker.model.fib import UNREACHABLE, Hop, Resolution

ONE, TWO = ip_network("10.244.1.0/24"), ip_network("10.244.2.0/24")
NEAR, FAR = ip_address("10.0.0.2"), ip_address("192.168.9.1")
VIA_NEAR = Resolution(hops=(Hop(3, NEAR),), on_link=True)


def test_a_prefix_is_resolved_once_all_its_next_hops_are() -> None:
    intent = Intent()
    intent.set_routes({ONE: (NEAR, FAR)})
    intent.set_resolutions({NEAR: VIA_NEAR})
    assert not intent.is_resolved(ONE)
    intent.set_resolutions({FAR: UNREACHABLE})
    assert intent.is_resolved(ONE)
    assert intent.entry(ONE) == Entry(frozenset({Hop(3, NEAR)}))


def test_next_hops_that_lead_the_same_way_are_one() -> None:
    intent = Intent()
    intent.set_routes({ONE: (NEAR, FAR)})
    intent.set_resolutions({NEAR: VIA_NEAR, FAR: Resolution(hops=(Hop(3, NEAR),))})
    assert intent.entry(ONE) == Entry(frozenset({Hop(3, NEAR)}))


def test_what_leads_nowhere_is_no_entry() -> None:
    intent = Intent()
    intent.set_routes({ONE: (FAR,)})
    intent.set_resolutions({FAR: UNREACHABLE})
    assert intent.entry(ONE) is None
    assert intent.is_wanted(ONE)


def test_a_changed_resolution_changes_the_prefixes_over_it_alone() -> None:
    intent = Intent()
    intent.set_routes({ONE: (NEAR,), TWO: (FAR,)})
    intent.take_changed()
    intent.set_resolutions({FAR: VIA_NEAR})
    assert intent.take_changed() == {TWO}
    assert intent.entry(TWO) == Entry(frozenset({Hop(3, NEAR)}))


def test_next_hops_are_needed_as_long_as_a_prefix_uses_them() -> None:
    intent = Intent()
    intent.set_routes({ONE: (NEAR, FAR), TWO: (FAR,)})
    assert intent.next_hops == {NEAR, FAR}
    intent.set_routes({ONE: None})
    assert intent.next_hops == {FAR}
    intent.set_routes({TWO: (NEAR,)})
    assert intent.next_hops == {NEAR}


def test_a_resolution_that_is_in_use_is_not_forgotten() -> None:
    intent = Intent()
    intent.set_routes({ONE: (NEAR,)})
    intent.set_resolutions({NEAR: VIA_NEAR, FAR: VIA_NEAR})
    intent.forget([NEAR, FAR])
    intent.set_routes({TWO: (FAR,)})
    assert (intent.is_resolved(ONE), intent.is_resolved(TWO)) == (True, False)


def test_a_blackhole_counts_once_beside_a_route() -> None:
    intent = Intent()
    intent.set_routes({ONE: (NEAR,)})
    intent.set_blackholes([ONE, TWO])
    assert len(intent) == 2
    assert intent.entry(ONE) == Entry()


def test_blackholes_that_stay_do_not_change() -> None:
    intent = Intent()
    intent.set_blackholes([ONE])
    intent.take_changed()
    intent.set_blackholes([ONE, TWO])
    assert intent.take_changed() == {TWO}


def test_wanting_nothing_changes_all() -> None:
    intent = Intent()
    intent.set_routes({ONE: (NEAR,)})
    intent.set_blackholes([TWO])
    intent.take_changed()
    intent.clear()
    assert intent.take_changed() == {ONE, TWO}
    assert (len(intent), intent.entry(ONE), intent.entry(TWO)) == (0, None, None)
