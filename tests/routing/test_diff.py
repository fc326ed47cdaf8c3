"""The difference of two Adj-RIBs-Out."""

import pytest

from speaker.model.prefix import Prefix
from speaker.model.route import PathAttributes, Route
from speaker.routing.diff import Plan, apply, diff
from tests.builders import address, prefix


def route(text: str, hop: str = "192.0.2.1", med: int | None = None) -> Route:
    return Route(prefix(text), address(hop), PathAttributes(med=med))


A, B, C = route("10.0.0.1/32"), route("10.0.0.2/32"), route("fd00::1/128")


def rib(*routes: Route) -> dict[Prefix, Route]:
    return {each.prefix: each for each in routes}


def test_from_nothing_everything_is_advertised_in_order() -> None:
    assert diff({}, rib(C, B, A)) == Plan(advertise=(A, B, C))


def test_a_withdrawal_names_what_was_sent() -> None:
    assert diff(rib(A, B), rib(A)) == Plan(withdraw=(B,))


@pytest.mark.parametrize("changed", [route("10.0.0.1/32", "192.0.2.9"), route("10.0.0.1/32", med=5)])
def test_a_change_of_next_hop_or_attributes_is_advertised(changed: Route) -> None:
    assert diff(rib(A, B), rib(changed, B)) == Plan(advertise=(changed,))


def test_nothing_to_do() -> None:
    assert diff(rib(A), rib(A)).is_empty


def test_apply_is_the_inverse() -> None:
    before, after = rib(A, B), rib(B, route("10.0.0.1/32", med=1), C)

    assert apply(diff(before, after), before) == after


def test_a_plan_has_no_truth() -> None:
    with pytest.raises(TypeError, match="is_empty"):
        bool(Plan())
