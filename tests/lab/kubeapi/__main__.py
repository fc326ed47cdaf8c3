"""`python -m tests.lab.kubeapi`: the embedded API server as a program."""

import argparse
import asyncio
import contextlib
import signal
from pathlib import Path

from tests.lab.kubeapi.server import KubeApi


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="An embedded Kubernetes API server for tests and demos.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 lets the kernel choose")
    parser.add_argument(
        "--data", type=Path, help="folder that keeps objects, history, tokens and certificates; else memory"
    )
    parser.add_argument("--tls", action="store_true", help="serve HTTPS (needs --data)")
    parser.add_argument(
        "--forget-history",
        action="store_true",
        help="keep the objects, but answer 410 to who resumes a watch",
    )
    parser.add_argument("--kubeconfig", type=Path, required=True, help="file to write the kubeconfig to")
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    if arguments.data is not None:
        arguments.data.mkdir(parents=True, exist_ok=True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    # kubectl sends no token over plain HTTP.
    api = KubeApi(
        arguments.data,
        host=arguments.host,
        port=arguments.port,
        tls=arguments.tls,
        anonymous_admin=not arguments.tls,
    )
    if arguments.forget_history:
        api.store.compact()
    async with api:
        api.kubeconfig(arguments.kubeconfig)
        print(api.url, flush=True)
        await stop.wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(_arguments()))
