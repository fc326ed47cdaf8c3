"""ExaBGP run as a process, told what to announce through its API pipe, many prefixes a command.

Knows its configuration and its commands; what is sent is written out before the clock starts.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from pathlib import Path

from tests.bench.place import HOLD_SECONDS, NODE, NODE_ASN, ROUTER, ROUTER_ASN, Place
from tests.lab.processes import Child

GROUP = 500
"""How many prefixes stand in one command."""

_ENVIRONMENT = {
    "exabgp_daemon_user": "root",
    "exabgp_daemon_drop": "false",
    "exabgp_tcp_bind": "",
    "exabgp_api_cli": "false",
    "exabgp_api_ack": "false",
    "exabgp_log_level": "ERROR",
}


def commands(addresses: Sequence[IPv4Address], next_hop: IPv4Address) -> bytes:
    """What is written into its pipe."""
    lines = []
    for start in range(0, len(addresses), GROUP):
        prefixes = " ".join(f"{address}/32" for address in addresses[start : start + GROUP])
        lines.append(f"announce attributes next-hop {next_hop} nlri {prefixes}\n")
    return "".join(lines).encode()


class ExaBgp:
    """A running ExaBGP that waits for commands; `pipe` is where it reads them."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    async def announce(self, text: bytes) -> None:
        """Write the commands; returns when all of them are in the pipe."""
        await asyncio.to_thread(self._write, text)

    def _write(self, text: bytes) -> None:
        view = memoryview(text)
        while view:
            view = view[os.write(self._pipe, view) :]


@asynccontextmanager
async def exabgp(at: Place) -> AsyncIterator[ExaBgp]:
    """One on the node that dials the collector."""
    pipe, file = at.folder / "exabgp.pipe", at.folder / "exabgp.conf"
    os.mkfifo(pipe)
    file.write_text(_configuration(pipe), encoding="utf-8")
    child = await Child.start(
        "exabgp",
        [str(Path(sys.executable).with_name("exabgp")), "server", str(file)],
        namespace=at.node,
        log=at.folder / "exabgp.log",
        env={**os.environ, **_ENVIRONMENT},
    )
    # Its reader waits in open(2) for a writer, and ends when the last one closes.
    end = await asyncio.to_thread(os.open, pipe, os.O_WRONLY)
    try:
        yield ExaBgp(end)
    finally:
        os.close(end)
        await child.stop()
        pipe.unlink()


def _configuration(pipe: Path) -> str:
    return f"""
process routes {{
  run /bin/cat {pipe};
  encoder text;
}}
neighbor {ROUTER} {{
  router-id {NODE};
  local-address {NODE};
  local-as {NODE_ASN};
  peer-as {ROUTER_ASN};
  hold-time {HOLD_SECONDS};
  family {{ ipv4 unicast; }}
  api {{ processes [ routes ]; }}
}}
"""
