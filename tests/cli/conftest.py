"""What the program changes for its whole process, put back after each test."""

import logging
from collections.abc import Iterator

import pytest

from speaker import log


@pytest.fixture(autouse=True)
def _root_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    libraries = {name: logging.getLogger(name).level for name in log.LIBRARIES}
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
    for name, before in libraries.items():
        logging.getLogger(name).setLevel(before)
