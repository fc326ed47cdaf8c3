"""Ends what the fuzz targets have built."""

from collections.abc import Iterator

import pytest

from tests.fuzz import targets


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Iterator[None]:
    yield
    targets.close()
