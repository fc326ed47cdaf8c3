"""The running speaker: the only place where the parts meet.

Knows every part and the settings; decides nothing about routes (`speaker.routing` does) and nothing
about sessions (`speaker.bgp` does). An unexpected exception ends the process, and Kubernetes starts
it again. There are two compositions: `speaker` with a cluster, and `advertise` without one.
"""

import asyncio
import gc
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from speaker.errors import SpeakerError
from speaker.settings import Settings

_log = logging.getLogger(__name__)


def run(settings: Settings, reread: Callable[[], Settings]) -> int:
    """Run the speaker until SIGTERM or SIGINT; returns the exit status (0, or 1 for a failure).

    Args:
        settings: the checked command line.
        reread: the same settings with the password that its file holds now; raises UsageError.
    """
    return supervised(lambda: _speaker(settings, reread))


def supervised(main: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Run a composition until it ends; returns the exit status (0, or 1 for a failure, which is logged)."""
    try:
        asyncio.run(main())
    except Exception as error:  # noqa: BLE001 # the one broad except: say it once, end, be restarted
        for each in _leaves(error):
            if isinstance(each, SpeakerError):
                _log.error("stopped", extra={"reason": str(each)})
            else:
                _log.critical("stopped by a defect", exc_info=each)
        return 1
    return 0


def _speaker(settings: Settings, reread: Callable[[], Settings]) -> Coroutine[Any, Any, None]:
    """The speaker, not yet running; what it needs is imported here, where no event loop waits for it."""
    # Imports make what stays: classes and functions, a hundred thousand objects. The collector would look at
    # them a few hundred times meanwhile, and again in every full pass that the first ten thousand Pods cause:
    # 0.21 s in all and 70 ms of them at once, against 0.05 s and 16 ms this way.
    gc.disable()
    # What runs without a cluster must not import Kubernetes' packages.
    from speaker.cluster import import_client  # noqa: PLC0415
    from speaker.daemon.speaker import Speaker  # noqa: PLC0415
    from speaker.health import import_server  # noqa: PLC0415

    import_client()
    if settings.metrics_address is not None:
        import_server()
    gc.freeze()
    gc.enable()

    async def run() -> None:
        # Built inside the loop: its parts take hold of the running loop.
        await Speaker(settings, reread).run()

    return run()


def _leaves(error: BaseException) -> list[BaseException]:
    """The exceptions inside nested groups, in order."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]
