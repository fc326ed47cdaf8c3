"""The router's side of the sessions that BGPPeers ask for: `speaker render-router`.

    names       what may stand in any router's configuration, and what a password is called there
    side        who peers with the router and how, as values
    frr, bird, arista, junos     the same in the words of each, a text

Pure. Knows the plan of the whole cluster; must not know the router's other neighbours, nor any password.
"""
