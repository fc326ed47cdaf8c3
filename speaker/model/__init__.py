"""The frozen values that flow through the speaker.

Knows the vocabulary of RFC 4271 and of the Kubernetes API; knows no file, socket, clock or
third-party package. Every value is immutable, compared by content and safe to share.
"""
