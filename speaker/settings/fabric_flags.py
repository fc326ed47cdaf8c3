"""The flags about the fabric between nodes, and about routes that are learned: rows and nothing else."""

from speaker.model.prefix import Prefix
from speaker.settings.flag import Flag, Group
from speaker.texts.readers import SWITCH, integer, many, one, prefix

LARGEST_TABLE = 4294967295

FABRIC: Flag[bool] = Flag(
    name="fabric",
    group=Group.FABRIC,
    reader=SWITCH,
    help="Read BGPConfiguration, BGPPeer and BGPFilter (bgp.route-speaker.io) and all Nodes: peers, a mesh or"
    " route reflectors between the nodes, and what they teach. Peers in flags are no longer required.",
    default="false",
)
IMPORT_ROUTES: Flag[bool] = Flag(
    name="import-routes",
    group=Group.FABRIC,
    reader=SWITCH,
    help="Learn routes from the peers in flags too; under --fabric all peers teach.",
    default="false",
)
IMPORT_PREFIX: Flag[tuple[Prefix, ...]] = Flag(
    name="import-prefix",
    group=Group.FABRIC,
    reader=many("prefix list", prefix),
    help="What may be learned beside the Pod ranges of the cluster: prefixes inside these. 0.0.0.0/0 or ::/0"
    " permits everything, the default route too.",
)
KERNEL_ROUTES: Flag[bool] = Flag(
    name="kernel-routes",
    group=Group.FABRIC,
    reader=SWITCH,
    help="Put learned routes into the kernel, with protocol number 203.",
    default="true",
)
KERNEL_TABLE: Flag[int] = Flag(
    name="kernel-table",
    group=Group.FABRIC,
    reader=one("number", integer(1, LARGEST_TABLE)),
    help="The kernel's routing table for learned routes; 254 is the main one.",
    default="254",
)
KERNEL_METRIC: Flag[int] = Flag(
    name="kernel-metric",
    group=Group.FABRIC,
    reader=one("number", integer(1, LARGEST_TABLE)),
    help="The metric of learned routes in the kernel; the lower wins.",
    default="1024",
)

FABRIC_FLAGS: tuple[Flag[object], ...] = (
    FABRIC,
    IMPORT_ROUTES,
    IMPORT_PREFIX,
    KERNEL_ROUTES,
    KERNEL_TABLE,
    KERNEL_METRIC,
)
