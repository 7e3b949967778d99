"""How long Stampede takes, beside the raw Docker API, docker-compose and a swarm. `python -m benchmarks --help`."""
