"""The fabric between nodes, decided: which sessions there are, who reflects, and when one is given up.

Knows the custom resources, the Nodes and what speakers report of themselves, all as values; reads and
writes nothing by itself, knows no clock, and is the same on every node that sees the same things.
"""
