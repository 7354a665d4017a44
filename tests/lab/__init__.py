"""The lab: real sick FastAPI services in real containers, one per signature and one per look-alike.

The images are built from a Debian root file system and Python wheels, so no container registry is needed.
``python -m tests.lab up [CASE…]`` starts services for a person to look at, ``down`` removes them.
"""
