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
        asyncio.run(Speaker(settings).run())
    except* SpeakerError as group:
        for error in _leaves(group):
            _log.error("stopped", extra={"reason": str(error)})  # noqa: TRY400 # one sentence, no traceback
        return 1
    except* Exception as group:  # the one broad except: say it once, end, be restarted
        for error in _leaves(group):
            _log.critical("stopped by a defect", exc_info=error)
        return 1
    return 0


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """The exceptions inside nested groups, in order."""
    found: list[BaseException] = []
    for error in group.exceptions:
        found.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return found
