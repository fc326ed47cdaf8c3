"""Every row by its name."""

from collections.abc import Awaitable, Callable

from tests.bench.rows.changes import one_change, same_cost
from tests.bench.rows.command_line import command_line
from tests.bench.rows.garbage import garbage
from tests.bench.rows.load import api_cost, flood, peers, receive
from tests.bench.rows.starting import cold_start, idle, memory
from tests.bench.rows.transfer import publish, resend, transfer
from tests.bench.table import Line

ROWS: dict[str, Callable[[], Awaitable[list[Line]]]] = {
    "transfer": transfer,
    "publish": publish,
    "resend": resend,
    "change": one_change,
    "scale": same_cost,
    "start": cold_start,
    "memory": memory,
    "idle": idle,
    "load": flood,
    "gc": garbage,
    "peers": peers,
    "receive": receive,
    "api": api_cost,
    "cli": command_line,
}
