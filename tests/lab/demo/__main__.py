"""`make demo`: a small cluster and a router on this machine, and a tour of what annotations do."""

import argparse
import asyncio
import contextlib
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from rich.live import Live

from tests.lab.cluster import Table
from tests.lab.demo.commands import Commands, commands, shown
from tests.lab.demo.loopback import LoopbackStage
from tests.lab.demo.objects import NODES
from tests.lab.demo.rack import RackStage, missing_for_rack
from tests.lab.demo.screen import Screen, live
from tests.lab.demo.stage import Stage
from tests.lab.demo.tour import TOUR, Step
from tests.lab.kubectl import CommandFailedError
from tests.lab.waiting import NotReachedError, eventually

STEP_SECONDS = 15.0
START_SECONDS = 30.0
REFRESH_SECONDS = 0.5


def main() -> int:
    """Run the demo; returns 0 if every step of the tour was seen on the router."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the tour")
    once = parser.parse_args().once
    # Unix sockets live here: the path must be short.
    folder = Path(tempfile.mkdtemp(prefix="route-speaker-"))
    try:
        return asyncio.run(_demo(folder, once=once))
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _demo(folder: Path, *, once: bool) -> int:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    screen = Screen()
    stage = _choose(folder, screen)
    async with stage:
        kubeconfig = stage.api.kubeconfig(folder / "kubeconfig")
        _introduce(screen, stage, kubeconfig)
        try:
            await _wait_for_start(stage)
        except NotReachedError as error:
            screen.say("", str(error), *_complaints(stage))
            return 1
        succeeded = await _play(screen, stage, kubeconfig)
        if screen.is_terminal and not once:
            with contextlib.suppress(asyncio.CancelledError):
                await _stay(screen, stage)
    return 0 if succeeded else 1


def _choose(folder: Path, screen: Screen) -> Stage:
    """The best stage that this machine has; says why it is not the real one."""
    why = missing_for_rack()
    if not why:
        return RackStage(folder)
    screen.say("This demo's router is not a real one:", *(f"  - {each}" for each in why), "")
    return LoopbackStage(folder)


def _introduce(screen: Screen, stage: Stage, kubeconfig: Path) -> None:
    screen.say(
        f"Cluster: an embedded Kubernetes API at {stage.api.url}; {', '.join(NODES)}, a speaker on each.",
        f"Router:  {stage.router}.",
        "",
        "To try things yourself, in another terminal:",
        f"  export KUBECONFIG={kubeconfig}",
        "  kubectl get pods,services,subnets,nodes",
        f"  .venv/bin/speaker status --control-socket={stage.speakers[0].control_socket}",
    )
    if shutil.which("kubectl") is None:
        screen.say(
            "", "There is no kubectl here: the tour sends the same requests through the kubernetes package."
        )


async def _wait_for_start(stage: Stage) -> None:
    async def up() -> int:
        return await stage.established()

    await eventually(
        up, lambda nodes: nodes == len(NODES), within=START_SECONDS, what="a session with every node"
    )
    for speaker in stage.speakers:
        await speaker.wait_in_sync()


async def _play(screen: Screen, stage: Stage, kubeconfig: Path) -> bool:
    """Whether every step of the tour was seen on the router."""
    run = commands(kubeconfig)
    seen = 0
    for number, step in enumerate(TOUR, start=1):
        screen.step(number, len(TOUR), step.says)
        seen += await _take(screen, stage, step, run)
    screen.say("", f"{seen} of {len(TOUR)} steps were seen on the router.")
    if seen < len(TOUR):
        screen.say(*_complaints(stage))
    return seen == len(TOUR)


async def _take(screen: Screen, stage: Stage, step: Step, run: Commands) -> bool:
    try:
        for arguments in step.commands:
            screen.command(shown(arguments), await run.run(arguments))
    except CommandFailedError as error:
        screen.say(f"  failed: {error}")
        return False
    expected: Table = {prefix: set(nodes) for prefix, nodes in step.expected.items()}
    started = time.monotonic()
    try:
        table = await eventually(stage.table, lambda table: table == expected, within=STEP_SECONDS)
    except NotReachedError:
        screen.failure(expected, await stage.table())
        return False
    screen.table(table, time.monotonic() - started)
    return True


def _complaints(stage: Stage) -> list[str]:
    """What the speakers warn of, to tell why a step was not seen."""
    lines = [
        f"  {speaker.node}: {line}"
        for speaker in stage.speakers
        for line in speaker.log().splitlines()
        if " WARNING " in line or " ERROR " in line or "level=warning" in line or "level=error" in line
    ]
    return ["", "The speakers say:", *lines[-20:]] if lines else []


async def _stay(screen: Screen, stage: Stage) -> None:
    screen.say("", "The router's table, live. Ctrl-C ends the demo.", "")
    with Live(console=screen.console, auto_refresh=False) as display:
        while True:
            sessions = f"{await stage.established()} of {len(NODES)} nodes have their sessions"
            display.update(live(await stage.table(), sessions), refresh=True)
            await asyncio.sleep(REFRESH_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
