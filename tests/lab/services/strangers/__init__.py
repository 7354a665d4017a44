"""What is not FastAPI, run by the same servers from the same site-packages."""
