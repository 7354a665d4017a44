"""Containers and Compose services on a Docker Engine."""
