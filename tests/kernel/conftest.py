"""A network namespace of a test's own, without a name, that vanishes with the test."""

from collections.abc import Iterator

import pytest

from tests.lab.net.namespace import Namespace

DUPLICATE_DETECTION = {
    "net.ipv6.conf.all.accept_dad": 1,
    "net.ipv6.conf.default.accept_dad": 1,
    "net.ipv6.conf.default.dad_transmits": 1,
}
"""As on a real host; the rest of the lab does without."""


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """A namespace with lo up, and a link `up0` that has 10.0.0.1/24 and fd00::1/64."""
    with Namespace("host", DUPLICATE_DETECTION) as made:
        made.ip(
            "link add up0 type veth peer name far0",
            "link set up0 up",
            "link set far0 up",
            "addr add 10.0.0.1/24 dev up0",
            "addr add fd00::1/64 dev up0 nodad",
        )
        yield made
