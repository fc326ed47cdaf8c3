"""From an object's annotations to what it asks for.

`parse` reads the keys of this project, `pod_networks` those that Kube-OVN's controller writes on
Pods. Neither raises: what cannot be understood counts as not written, and a Problem says so.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TypeVar

from annotations import values
from annotations.keys import DEFAULT_PREFIX, IP_ADDRESS_SUFFIX, LOGICAL_SWITCH_SUFFIX, keys_under
from annotations.problems import Problem, bounded, problem
from annotations.values import AddressType, Communities, PublishPolicy

_T = TypeVar("_T")

SUBNET_NAME_LIMIT = 253

_NETWORK_SUFFIXES = (IP_ADDRESS_SUFFIX, LOGICAL_SWITCH_SUFFIX)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishRequest:
    """What one object's annotations ask for; None means that the object does not say.

    Attributes:
        policy: whether and from where to publish.
        communities: communities of all kinds.
        med: MULTI_EXIT_DISC, 0 to 4294967295.
        local_preference: LOCAL_PREF, 0 to 4294967295.
        as_path_prepend: 0 to 10.
        peers: names or addresses of the only peers that may hear it.
        addresses: which addresses of a Service are meant.
    """

    policy: PublishPolicy | None = None
    communities: Communities | None = None
    med: int | None = None
    local_preference: int | None = None
    as_path_prepend: int | None = None
    peers: tuple[str, ...] | None = None
    addresses: frozenset[AddressType] | None = None

    @property
    def has_attributes(self) -> bool:
        """Whether any key that tenants need permission for is written."""
        return not (
            self.communities is None
            and self.med is None
            and self.local_preference is None
            and self.as_path_prepend is None
            and self.peers is None
        )


NOTHING_ASKED = PublishRequest()
_POLICY_ALONE = {policy: PublishRequest(policy=policy) for policy in PublishPolicy}
"""What nearly every annotated object asks, shared by all of them."""


@dataclass(frozen=True, slots=True)
class PodNetwork:
    """One network of a Pod as Kube-OVN's controller wrote it down.

    Attributes:
        provider: `ovn`, or `net1.ns.ovn` for an attachment.
        subnet: the Subnet's name, or "".
        addresses: the Pod's addresses there; empty before they are allocated.
    """

    provider: str
    subnet: str
    addresses: tuple[IPv4Address | IPv6Address, ...]


def parse(
    annotations: Mapping[str, str], prefix: str = DEFAULT_PREFIX
) -> tuple[PublishRequest, tuple[Problem, ...]]:
    """What `annotations` ask for under `prefix`, and what in them is not understood."""
    keys = keys_under(prefix)
    written = [key for key in annotations if key.startswith(keys.policy)]
    if not written:
        return NOTHING_ASKED, ()
    if written == [keys.policy]:
        policy = values.read_policy(annotations[keys.policy])
        if policy is not None:
            return _POLICY_ALONE[policy], ()
    problems = [
        problem(key, annotations[key], "no annotation has this name")
        for key in sorted(written)
        if key.startswith(keys.attribute_beginning) and key not in keys.known
    ]

    def read(key: str, reader: Callable[[str], _T | None], expected: str) -> _T | None:
        text = annotations.get(key)
        value = None if text is None else reader(text)
        if text is not None and value is None:
            problems.append(problem(key, text, expected))
        return value

    request = PublishRequest(
        policy=read(keys.policy, values.read_policy, values.POLICY_EXPECTED),
        communities=read(keys.communities, values.read_communities, values.COMMUNITIES_EXPECTED),
        med=read(keys.med, values.read_uint32, values.UINT32_EXPECTED),
        local_preference=read(keys.local_preference, values.read_uint32, values.UINT32_EXPECTED),
        as_path_prepend=read(keys.as_path_prepend, values.read_prepend, values.PREPEND_EXPECTED),
        peers=read(keys.peers, values.read_peers, values.PEERS_EXPECTED),
        addresses=read(keys.addresses, values.read_addresses, values.ADDRESSES_EXPECTED),
    )
    return request, tuple(problems)


def pod_networks(annotations: Mapping[str, str]) -> tuple[tuple[PodNetwork, ...], tuple[Problem, ...]]:
    """The Pod's Kube-OVN networks, by provider, and the address lists that cannot be read.

    A network is known by either of its two annotations; a list that cannot be read counts as empty.
    """
    addresses: dict[str, tuple[IPv4Address | IPv6Address, ...]] = {}
    subnets: dict[str, str] = {}
    problems: list[Problem] = []
    for key, text in annotations.items():
        if not key.endswith(_NETWORK_SUFFIXES):
            continue
        if key.endswith(IP_ADDRESS_SUFFIX):
            found = values.read_ip_list(text) if text.strip() else ()
            if found is None:
                problems.append(problem(key, text, values.IP_LIST_EXPECTED))
            addresses[sys.intern(key.removesuffix(IP_ADDRESS_SUFFIX))] = found or ()
        else:
            name = bounded(text.strip(), SUBNET_NAME_LIMIT)
            subnets[sys.intern(key.removesuffix(LOGICAL_SWITCH_SUFFIX))] = sys.intern(name)
    providers = addresses.keys() | subnets.keys()
    networks = [
        PodNetwork(provider, subnets.get(provider, ""), addresses.get(provider, ()))
        for provider in (sorted(providers) if len(providers) > 1 else providers)
    ]
    problems.sort(key=lambda each: each.key)
    return tuple(networks), tuple(problems)
