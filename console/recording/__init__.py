"""Recordings of a session: a file of what was read and judged, and a session that answers from such a file."""
