"""Every annotation key, once.

The keys stand under a prefix that the user may change (`--annotation-prefix`), save those that
Kube-OVN's controller writes on Pods, whose prefix names the network.
"""

from dataclasses import dataclass
from functools import lru_cache

DEFAULT_PREFIX = "ovn.kubernetes.io"

POLICY = "bgp"
COMMUNITIES = "bgp-communities"
MED = "bgp-med"
LOCAL_PREFERENCE = "bgp-local-preference"
AS_PATH_PREPEND = "bgp-as-path-prepend"
PEERS = "bgp-peers"
ADDRESSES = "bgp-addresses"

IP_ADDRESS_SUFFIX = ".kubernetes.io/ip_address"
LOGICAL_SWITCH_SUFFIX = ".kubernetes.io/logical_switch"


@dataclass(frozen=True, slots=True)
class Keys:
    """The full keys under one prefix."""

    policy: str
    communities: str
    med: str
    local_preference: str
    as_path_prepend: str
    peers: str
    addresses: str
    attribute_beginning: str

    @property
    def known(self) -> frozenset[str]:
        """All keys that mean something."""
        return frozenset(
            (
                self.policy,
                self.communities,
                self.med,
                self.local_preference,
                self.as_path_prepend,
                self.peers,
                self.addresses,
            )
        )


@lru_cache(maxsize=16)
def keys_under(prefix: str) -> Keys:
    """The keys under `prefix`, such as `ovn.kubernetes.io/bgp-med` under `ovn.kubernetes.io`."""
    return Keys(
        policy=f"{prefix}/{POLICY}",
        communities=f"{prefix}/{COMMUNITIES}",
        med=f"{prefix}/{MED}",
        local_preference=f"{prefix}/{LOCAL_PREFERENCE}",
        as_path_prepend=f"{prefix}/{AS_PATH_PREPEND}",
        peers=f"{prefix}/{PEERS}",
        addresses=f"{prefix}/{ADDRESSES}",
        attribute_beginning=f"{prefix}/{POLICY}-",
    )
