"""What is kept of learned routes: that it goes with them."""

import gc

from speaker.routing.paths import Entry, Path
from tests.builders import host
from tests.routing.learning import forwarding, hear, learned, lose, rib, view


def test_what_goes_needs_no_garbage_collector() -> None:
    """Learned routes are kept out of its passes: a cycle among them would stay for good."""
    loc_rib = rib(view(1), view(2))
    gc.collect()
    gc.disable()
    try:
        before = kept()
        for number in (1, 2):
            hear(loc_rib, number, learned(), learned("10.2.0.0/24", "192.0.2.13"), learned("172.16.0.0/24"))
            hear(loc_rib, number, learned(local_preference=200))
        forwarding(loc_rib)
        lose(loc_rib, 1, "10.1.0.0/24", "10.2.0.0/24", "172.16.0.0/24")
        loc_rib.set_host(host(view(1)))
        loc_rib.recompute()
        forwarding(loc_rib)

        assert kept() == before
    finally:
        gc.enable()


def kept() -> int:
    return sum(isinstance(each, Entry | Path) for each in gc.get_objects())
