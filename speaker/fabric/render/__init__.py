"""The router's side of the sessions that BGPPeers ask for: `speaker render-router`.

    names       what may stand in any router's configuration, and what a password is called there
    side        what a router is told, as values
    gathering   the plan of the whole cluster in, one router's side out
    frr, bird, arista, junos     a side in the words of each, a text
    formats     which there are

Pure. Knows the plan of the whole cluster; must not know the router's other neighbours, nor any password.
"""
