"""A real Kubernetes for the tests: one node on this machine, built from source, removed without a trace.

``python -m tests.cluster`` brings it up and down with the standard library alone, since that happens before anything is
set up. ``case``, ``cases``, ``manifests``, ``runner`` and ``fixtures`` are the lab on it, or on any other cluster.
"""
