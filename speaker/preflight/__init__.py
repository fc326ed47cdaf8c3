"""Checks, before any route depends on it, that this node and its peers can have a session."""
