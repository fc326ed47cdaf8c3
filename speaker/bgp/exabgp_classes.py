"""The exabgp classes that the codec uses, imported quietly, and what their failures mean to us.

Nothing else imports exabgp.

exabgp reads its own environment variables at the first import and would set up logging. The variable
that silences it is taken away again afterwards, so that our children do not inherit it.
"""

# ruff: noqa: E402 -- the environment has to speak before the first import

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from speaker.bgp.messages import ErrorCode, Notification, ProtocolError
from speaker.model.prefix import Family

_QUIET = "exabgp_log_enable"
_before = os.environ.get(_QUIET)
os.environ[_QUIET] = "false"

from exabgp.environment import getenv
from exabgp.logger import log
from exabgp.util import dns

# Attribute caches are process-wide and would be filled by what peers send.
getenv().cache.attributes = False
# Its decoders log to a logger that only its own daemon sets up.
log.disable()
# At its import the host name capability, which we never offer, asks DNS for this host's full name: where no
# name server answers that takes many seconds.
vars(dns)["__domain_name"] = "localhost"

from exabgp.bgp.message import Notify, Open, Update
from exabgp.bgp.message.direction import Direction
from exabgp.bgp.message.open.asn import ASN
from exabgp.bgp.message.open.capability import (
    ASN4,
    AddPath,
    Capabilities,
    Capability,
    EnhancedRouteRefresh,
    Graceful,
    MultiProtocol,
    Negotiated,
    RouteRefresh,
)
from exabgp.bgp.message.open.capability import NextHop as ExtendedNextHop
from exabgp.bgp.message.open.capability.extended import ExtendedMessage
from exabgp.bgp.message.open.holdtime import HoldTime
from exabgp.bgp.message.open.routerid import RouterID
from exabgp.bgp.message.open.version import Version
from exabgp.bgp.message.update.attribute import (
    MED,
    ASPath,
    Attribute,
    Attributes,
    LocalPreference,
    NextHop,
    Origin,
)
from exabgp.bgp.message.update.attribute.aspath import CONFED_SEQUENCE, CONFED_SET, SEQUENCE, SET
from exabgp.bgp.message.update.attribute.community import (
    Communities,
    Community,
    ExtendedCommunities,
    ExtendedCommunity,
    LargeCommunities,
    LargeCommunity,
)
from exabgp.protocol.family import AFI, SAFI

if _before is None:
    del os.environ[_QUIET]
else:
    os.environ[_QUIET] = _before

__all__ = [
    "AFI",
    "AFI_SAFI",
    "ASN",
    "ASN4",
    "CONFED_SEQUENCE",
    "CONFED_SET",
    "MED",
    "SAFI",
    "SEQUENCE",
    "SET",
    "ASPath",
    "AddPath",
    "Attribute",
    "Attributes",
    "Capabilities",
    "Capability",
    "Communities",
    "Community",
    "Direction",
    "EnhancedRouteRefresh",
    "ExtendedCommunities",
    "ExtendedCommunity",
    "ExtendedMessage",
    "ExtendedNextHop",
    "Graceful",
    "HoldTime",
    "LargeCommunities",
    "LargeCommunity",
    "LocalPreference",
    "MultiProtocol",
    "Negotiated",
    "NextHop",
    "Notify",
    "Open",
    "Origin",
    "RouteRefresh",
    "RouterID",
    "Update",
    "Version",
    "decoding",
]

AFI_SAFI = {Family.IPV4: (AFI.ipv4, SAFI.unicast), Family.IPV6: (AFI.ipv6, SAFI.unicast)}

# What exabgp's decoders have been seen to raise, or could, for bytes they did not expect.
_DECODER_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)


# Authentication Failure is gone since RFC 4271 (Appendix A): its parameter is one of the unsupported.
_REPLACED = {(2, 5): (2, 4)}


@contextmanager
def decoding(what: str, code: ErrorCode) -> Iterator[None]:
    """Turns every failure of exabgp's decoders inside the block into a `ProtocolError`.

    Args:
        what: the message, for the sentence.
        code: of the NOTIFICATION, where exabgp does not say.
    """
    try:
        yield
    except Notify as fault:
        # Only the header errors of RFC 4271 §6.1 define their data as octets that exabgp fills; what it
        # gives elsewhere is text, where the RFC wants the erroneous attribute, so nothing is sent.
        data = bytes(fault.data) if fault.code == ErrorCode.MESSAGE_HEADER else b""
        said = "" if data else bytes(fault.data).decode("ascii", "replace")[:120]
        code_and_subcode = (int(fault.code), int(fault.subcode))
        notification = Notification(*_REPLACED.get(code_and_subcode, code_and_subcode), data)
        reason = f"peer sent {what} that is malformed" + (f": {said}" if said else "")
        raise ProtocolError(notification, reason) from None
    except _DECODER_FAULTS:
        raise ProtocolError(Notification(code), f"peer sent {what} that cannot be decoded") from None
