"""Pages of a list: `continue` tokens that pin the list as it was at the first page."""

import itertools
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from tests.lab.kubeapi.errors import ApiError, number

KEPT = 64


class Pages:
    """The lists that somebody is paging through."""

    def __init__(self) -> None:
        self._lists: OrderedDict[str, tuple[list[Any], int]] = OrderedDict()
        self._numbers = itertools.count(1)

    def page(self, items: list[Any], rv: int, query: Mapping[str, str]) -> tuple[list[Any], dict[str, Any]]:
        """The page that a request asks for, and its list metadata; raises ApiError 410."""
        limit = number("limit", query.get("limit", ""))
        token = query.get("continue", "")
        start, name = 0, ""
        if token:
            name, _, offset = token.partition(".")
            if name not in self._lists:
                raise ApiError(410, "The provided continue parameter is too old to display a consistent list")
            items, rv = self._lists[name]
            start = number("continue", offset)
        metadata: dict[str, Any] = {"resourceVersion": str(rv)}
        page = items[start : start + limit] if limit else items[start:]
        if start + len(page) < len(items):
            if not name:
                name = str(next(self._numbers))
                self._lists[name] = (items, rv)
                if len(self._lists) > KEPT:
                    self._lists.popitem(last=False)
            metadata |= {
                "continue": f"{name}.{start + len(page)}",
                "remainingItemCount": len(items) - start - len(page),
            }
        return page, metadata

    def forget(self) -> None:
        """Make every open token too old."""
        self._lists.clear()
