"""FastAPI processes on this machine."""
