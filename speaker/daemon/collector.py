"""The garbage collector, kept from looking in vain at what is there to stay.

Knows Python's collector; must not know what is kept.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_MANY = 20_000
"""So many young objects take the collector some milliseconds."""


class CollectorRelief:
    """Spares the collector what has come to be kept, whenever there is enough of it.

    What is kept of the cluster and of learned routes holds no cycles: counting references frees it, and
    ten thousand changes leave the collector nothing. It would look at all of it in vain: one pass over ten
    thousand Pods stops the event loop for 50 to 90 ms. To spare it once would not do, for each change puts
    new objects in the place of old ones. Connections do leave cycles when they break, so the collector stays
    on, and what is young is collected before it is spared. `make bench ROW=gc` compares.

    Args:
        at_once: after how many objects of whoever keeps them.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._unspared = 0

    def count(self, objects: int) -> None:
        """So many have come to be kept since this was last called.

        During a pause nothing is done: what is a lot by then is spared at its end.
        """
        self._unspared += objects
        if self._unspared >= self._at_once and gc.isenabled():
            self.spare()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Have the collector wait while much is decided.

        What is made then is kept, or freed by its count: passes find nothing, and take a fifth of the time
        where fifty thousand Pods are published at once. So much would make the next pass a long one; it is
        spared too, unseen, and with it the little that others may have left meanwhile.
        """
        gc.disable()
        try:
            yield
        finally:
            if gc.get_count()[0] > _MANY:
                self._unspared = 0
                gc.freeze()
            gc.enable()

    def spare(self) -> None:
        """Have the collector look no more at what is there now."""
        self._unspared = 0
        gc.collect(1)
        gc.freeze()
