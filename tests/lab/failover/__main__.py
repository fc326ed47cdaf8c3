"""`make failover`: what happens to packets when a speaker, its node or its link goes away."""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

from tests.lab.failover.measuring import Figures, measure, middle
from tests.lab.failover.page import PAGE, plain, render
from tests.lab.failover.rack import Rack
from tests.lab.failover.scenarios import SCENARIOS, Scenario
from tests.lab.net import namespace
from tests.lab.routers.abilities import VERSIONS
from tests.lab.routers.drivers import DRIVERS, missing
from tests.lab.waiting import NotReachedError

ROUTERS = ("bird", "frr")


def main() -> int:
    """Measure; returns 0 if nothing was lost where nothing may be."""
    arguments = _arguments()
    routers: Sequence[str] = arguments.router or ROUTERS
    why = [sentence for sentence in (namespace.available(), *map(missing, routers)) if sentence]
    if why:
        _say(*why)
        return 2
    chosen = [each for each in SCENARIOS if not arguments.only or each.name in arguments.only]
    try:
        runs = {router: asyncio.run(_measure_all(router, chosen)) for router in routers}
    except (NotReachedError, RuntimeError) as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    _show(runs, as_json=arguments.output == "json")
    if arguments.write:
        PAGE.write_text(render({router: _middles(each) for router, each in runs.items()}), encoding="utf-8")
    broken = [sentence for router, each in runs.items() for sentence in _broken(router, each)]
    _say(*broken)
    return 1 if broken else 0


Runs = dict[str, list[Figures]]
"""By scenario."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.failover", description=__doc__)
    names = [each.name for each in SCENARIOS]
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--router", action="append", choices=ROUTERS, help="only this one")
    parser.add_argument("--write", action="store_true", help="write the page, which needs all of them")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    arguments = parser.parse_args()
    if arguments.write and (arguments.only or arguments.router):
        parser.error("the page has every scenario and every router")
    return arguments


async def _measure_all(router: str, chosen: Sequence[Scenario]) -> Runs:
    """Every scenario that the router has; those of one setup share a lab."""
    here = [each for each in chosen if router in each.routers]
    setups = list(dict.fromkeys(each.setup for each in here))
    here.sort(key=lambda each: setups.index(each.setup))
    found: Runs = {}
    for setup, scenarios in groupby(here, key=lambda each: each.setup):
        # Unix sockets live here: the path must be short.
        folder = Path(tempfile.mkdtemp(prefix="failover-"))
        try:
            async with Rack(folder, DRIVERS[router], setup) as rack:
                for scenario in scenarios:
                    _say(f"{router}: {scenario.name}")
                    found[scenario.name] = [await measure(rack, scenario.event) for _ in range(scenario.runs)]
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return found


def _middles(runs: Runs) -> dict[str, Figures]:
    return {name: middle(figures) for name, figures in runs.items()}


def _show(runs: dict[str, Runs], *, as_json: bool) -> None:
    if as_json:
        document = {
            router: {name: [asdict(figures) for figures in each] for name, each in found.items()}
            for router, found in runs.items()
        }
        print(json.dumps(document, indent=2))
        return
    for router, found in runs.items():
        print(f"\n{VERSIONS[router]}\n")
        print("\n".join(plain(_middles(found))))


def _broken(router: str, runs: Runs) -> list[str]:
    """What may not be, in any run."""
    sentences = []
    for scenario in SCENARIOS:
        for figures in runs.get(scenario.name, ()):
            ways = (figures.shared, figures.single) if scenario.single_path else (figures.shared,)
            lost, moved = sum(way.lost for way in ways), sum(way.moved for way in ways)
            if (scenario.loses_none and lost) or (scenario.moves_none and moved):
                sentences.append(f"{router}: {scenario.name} lost {lost} packets and moved {moved} flows")
    return sentences


def _say(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
