"""A process with a router and a speaking client of it, that waits to be killed: `python -m ... bird`.

It prints the inode of the router's network namespace once the router answers.
"""

import asyncio
import os
import sys

from tests.lab.net.topology import Topology
from tests.lab.routers.config import tor_config
from tests.lab.routers.drivers import DRIVERS


async def main(name: str) -> None:
    """Start the router, say where, and wait."""
    with Topology(nodes=1, clients=0) as network:
        tor = network["tor1"].namespace
        async with DRIVERS[name](tor_config(), tor):
            sys.stdout.write(f"{os.fstat(tor.fd).st_ino}\n")
            sys.stdout.flush()
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
