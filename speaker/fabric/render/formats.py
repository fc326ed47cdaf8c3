"""The formats that a router's side can be written in, by name."""

from collections.abc import Callable, Mapping

from speaker.fabric.render import arista, bird, frr, junos
from speaker.fabric.render.side import RouterSide

FORMATS: Mapping[str, Callable[[RouterSide], str]] = {
    "frr": frr.render,
    "bird": bird.render,
    "arista": arista.render,
    "junos": junos.render,
}
