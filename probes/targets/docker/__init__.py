"""The Docker target: containers and Compose services of one engine."""
