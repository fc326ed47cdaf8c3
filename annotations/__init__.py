"""What users may write on Kubernetes objects to have them published.

Knows the annotation keys, the grammar of their values and how to say what is wrong with one. Knows
nothing of Kubernetes, BGP sessions or the speaker: standard library only, and nothing here raises.
"""
