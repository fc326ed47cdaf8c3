"""The whole flag table, in the order of help and of the reference page."""

from speaker.settings.bgp_flags import BGP_FLAGS
from speaker.settings.fabric_flags import FABRIC_FLAGS
from speaker.settings.flag import Flag
from speaker.settings.process_flags import ACCEPTED_FLAGS, PROCESS_FLAGS
from speaker.settings.publication_flags import PUBLICATION_FLAGS
from speaker.settings.session_flags import SESSION_FLAGS

FLAGS: tuple[Flag[object], ...] = (
    *BGP_FLAGS,
    *SESSION_FLAGS,
    *PUBLICATION_FLAGS,
    *FABRIC_FLAGS,
    *PROCESS_FLAGS,
    *ACCEPTED_FLAGS,
)

HOST_VARIABLES = {
    "POD_IPS": "The Pod's addresses, comma separated (status.podIPs).",
    "POD_IP": "The Pod's address (status.podIP), where POD_IPS is not set.",
    "POD_NAMESPACE": "The namespace of the speaker (metadata.namespace).",
    "DAEMONSET_NAME": "The speaker's DaemonSet, which --shutdown=auto looks at.",
}
"""What the environment says beside the flags, as in Kube-OVN's DaemonSet."""
