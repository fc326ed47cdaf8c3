"""The flags: one table, from which options, validation, `Settings` and the reference page are made."""

from speaker.settings.build import settings_from
from speaker.settings.flag import Flag, Group
from speaker.settings.settings import PodScope, Settings, ShutdownMode
from speaker.settings.table import FLAGS, HOST_VARIABLES

__all__ = [
    "FLAGS",
    "HOST_VARIABLES",
    "Flag",
    "Group",
    "PodScope",
    "Settings",
    "ShutdownMode",
    "settings_from",
]
