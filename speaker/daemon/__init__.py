"""The running speaker: the only place where the parts meet.

Knows every part and the settings; decides nothing about routes (`speaker.routing` does) and nothing
about sessions (`speaker.bgp` does). An unexpected exception ends the process, and Kubernetes starts
it again.
"""

import asyncio
import logging

from speaker.daemon.speaker import Speaker
from speaker.errors import SpeakerError
from speaker.settings import Settings

_log = logging.getLogger(__name__)


def run(settings: Settings) -> int:
    """Run the speaker until SIGTERM or SIGINT; returns the exit status (0, or 1 for a failure)."""
    try:
        asyncio.run(_run(settings))
    except Exception as error:  # noqa: BLE001 # the one broad except: say it once, end, be restarted
        for each in _leaves(error):
            if isinstance(each, SpeakerError):
                _log.error("stopped", extra={"reason": str(each)})
            else:
                _log.critical("stopped by a defect", exc_info=each)
        return 1
    return 0


async def _run(settings: Settings) -> None:
    # Built inside the loop: its parts take hold of the running loop.
    await Speaker(settings).run()


def _leaves(error: BaseException) -> list[BaseException]:
    """The exceptions inside nested groups, in order."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]
