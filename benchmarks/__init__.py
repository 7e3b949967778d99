"""How long Stampede takes, beside the raw Docker API, docker-compose, a swarm and restic: `python -m benchmarks`."""
