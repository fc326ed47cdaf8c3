"""The least that a speaker needs to be told."""

from collections.abc import Callable, Mapping

import pytest

from speaker.settings import Settings, settings_from

LEAST: dict[str, object] = {"neighbor-address": "10.0.0.1", "neighbor-as": "65001", "cluster-as": "65000"}
HOST = {"NODE_NAME": "node1", "POD_IPS": "10.0.0.5,fd00::5"}

Build = Callable[..., Settings]


@pytest.fixture
def build() -> Build:
    """Builds settings from the least, changed by keywords; None takes a flag away."""

    def settings(environ: Mapping[str, str] | None = None, **flags: object) -> Settings:
        named = {name.replace("_", "-"): value for name, value in flags.items()}
        return settings_from(LEAST | named, HOST if environ is None else environ)

    return settings
