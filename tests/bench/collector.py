"""The BIRD that routes are sent to: it keeps what it hears and does nothing with it.

Knows how it is configured for one peer, told to begin anew, and asked how many routes it has.
"""

import re
from pathlib import Path

from tests.lab.routers.bird import Bird

_IMPORTED = re.compile(r"Routes: +(\d+) imported")
_STATE = re.compile(r"BGP state: +(\w+)")
PROTOCOL = "peer0"


class Collector(Bird):
    """One BIRD with one passive session, and without the kernel: its own work is the same for everybody."""

    def _write(self) -> Path:
        (neighbor,) = self.config.neighbors
        text = f"""
log stderr {{ warning, error, fatal, bug }};
router id {self.config.router_id};
protocol device {{ scan time 60; }}
protocol bgp {PROTOCOL} {{
  local port {self.config.port} as {self.config.asn};
  neighbor {neighbor.where} as {neighbor.asn};
  passive on;
  hold time {self.config.hold_seconds};
  error wait time 1,1; connect delay time 1;
  ipv4 {{ import all; export none; }};
}}
"""
        file = self.folder / "bird.conf"
        file.write_text(text, encoding="utf-8")
        return file

    async def state(self) -> tuple[bool, int]:
        """Whether the session is established, and how many routes have come over it."""
        # The counters of the protocol: counting the table would cost the more the more there is in it.
        reply = await self.command(f"show protocols all {PROTOCOL}")
        state, imported = _STATE.search(reply), _IMPORTED.search(reply)
        return state is not None and state[1] == "Established", int(imported[1]) if imported else 0

    async def close_peer(self) -> None:
        """End the session, and take none."""
        await self.command(f"disable {PROTOCOL}")

    async def open_peer(self) -> None:
        """Take a session again."""
        await self.command(f"enable {PROTOCOL}")
