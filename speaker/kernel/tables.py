"""Questions to the kernel about its addresses and routes, and its answers as values (rtnetlink(7)).

pyroute2 is the codec. Knows nothing of peers, of time or of what an answer is used for.
"""

import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

from pyroute2.netlink import NLM_F_REQUEST, NLMSG_ERROR
from pyroute2.netlink.rtnl import RTM_DELADDR, RTM_GETADDR, RTM_GETLINK, RTM_GETROUTE, RTM_NEWADDR
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from speaker.kernel.dialogue import Dialogue
from speaker.kernel.netlink import HEADER, attributes
from speaker.model.prefix import Address

ADDRESS_EVENTS = frozenset({RTM_NEWADDR, RTM_DELADDR})

_IFADDRMSG = struct.Struct("=BBBBi")  # family, prefix length, flags, scope, interface index
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_IFA_F_OPTIMISTIC, _IFA_F_DADFAILED, _IFA_F_TENTATIVE = 0x04, 0x08, 0x40
_RTN_UNICAST, _RTN_LOCAL = 1, 2


class Conversation(Dialogue):
    """One reading of the tables."""

    def addresses(self) -> Iterator[set[Address]]:
        """The usable local addresses, in portions of a few hundred.

        The portions are decoded here and not by pyroute2: with kube-proxy in IPVS mode each
        Service address is a local address, and ten thousand of them must not stall the caller.

        Raises:
            HostError: the kernel refuses.
            InterruptedError: the table changed under the reading; read again.
        """
        header = _IFADDRMSG.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        for portion in self.portions(RTM_GETADDR, RTM_NEWADDR, header):
            found = (_address(payload) for payload in portion)
            yield {address for address in found if address is not None}

    def source_toward(self, destination: Address) -> Address | None:
        """The source address the kernel would choose toward `destination`; None without a route.

        A link-local destination needs its scope (interface name or index), which a link-local
        source address then carries too.

        Raises:
            HostError: the kernel does not answer.
        """
        scope = destination.scope_id if isinstance(destination, IPv6Address) else None
        request = rtmsg()
        request["family"] = socket.AF_INET if destination.version == 4 else socket.AF_INET6
        request["dst_len"] = destination.max_prefixlen
        request["attrs"] = [("RTA_DST", str(destination).partition("%")[0])]
        if scope is not None:
            index = self._link_index(scope)
            if index is None:
                return None
            request["attrs"].append(("RTA_OIF", index))
        answer = self._ask(request, RTM_GETROUTE)
        if answer is None:
            return None
        route = rtmsg(answer)
        route.decode()
        source = route.get_attr("RTA_PREFSRC")
        if source is None or route["type"] not in (_RTN_UNICAST, _RTN_LOCAL):
            return None
        if isinstance(destination, IPv4Address):
            return IPv4Address(source)
        found = IPv6Address(source)
        return IPv6Address(f"{found}%{scope}") if scope and found.is_link_local else found

    def _link_index(self, scope: str) -> int | None:
        """The interface index that a scope names; asked here, as only this socket knows the namespace."""
        if scope.isdecimal():
            return int(scope)
        request = ifinfmsg()
        request["attrs"] = [("IFLA_IFNAME", scope)]
        answer = self._ask(request, RTM_GETLINK)
        if answer is None:
            return None
        link = ifinfmsg(answer)
        link.decode()
        return int(link["index"])

    def _ask(self, request: rtmsg | ifinfmsg, message_type: int) -> bytes | None:
        """The kernel's answer to a question about one thing, or None when it says there is none."""
        request["header"]["type"] = message_type
        request["header"]["flags"] = NLM_F_REQUEST
        request.encode()
        self.send(bytes(request.data))
        answer = self.receive()
        return None if HEADER.unpack_from(answer)[1] == NLMSG_ERROR else bytes(answer)


def _address(payload: memoryview) -> Address | None:
    """The address of one RTM_NEWADDR; None when it cannot be used yet."""
    family, _, flags, _, _ = _IFADDRMSG.unpack_from(payload)
    values = dict(attributes(payload[_IFADDRMSG.size :]))
    if _IFA_FLAGS in values:
        flags = struct.unpack_from("=I", values[_IFA_FLAGS])[0]
    if flags & _IFA_F_DADFAILED or (flags & _IFA_F_TENTATIVE and not flags & _IFA_F_OPTIMISTIC):
        return None
    # On a point-to-point link IFA_ADDRESS is the other end, IFA_LOCAL ours.
    octets = values.get(_IFA_LOCAL, values.get(_IFA_ADDRESS))
    if octets is None or family not in (socket.AF_INET, socket.AF_INET6):
        return None
    return IPv4Address(bytes(octets)) if family == socket.AF_INET else IPv6Address(bytes(octets))
