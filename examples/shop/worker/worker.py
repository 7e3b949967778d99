"""Takes numbers from Redis, factors them, and puts the results back. SIGTERM ends it after the job at hand."""

import signal
import socket
import threading
import time
from pathlib import Path

import redis

REDIS_AUTH = Path("/run/secrets/redis-auth")  # one line: requirepass WORD
ALIVE = Path("/tmp/alive")  # touched on every round; the health check looks at its age
RESULTS_KEPT = 100


def factors(number: int) -> list[int]:
    found, divisor = [], 2
    while divisor * divisor <= number:
        while number % divisor == 0:
            found.append(divisor)
            number //= divisor
        divisor += 1 if divisor == 2 else 2
    return [*found, number] if number > 1 else found


def work_until(stopped: threading.Event, store: redis.Redis) -> None:
    while not stopped.is_set():
        try:
            job = store.blpop("jobs", timeout=1)
        except redis.RedisError as error:
            print(f"Redis: {error}; trying again")
            time.sleep(1)
            continue
        ALIVE.touch()
        if job:
            number = int(job[1])
            result = f"{number} = {' × '.join(map(str, factors(number)))} (by {socket.gethostname()})"
            store.pipeline().lpush("results", result).ltrim("results", 0, RESULTS_KEPT - 1).execute()
            print(result)


def main() -> None:
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    password = REDIS_AUTH.read_text().split()[1]
    print("worker waits for jobs")
    work_until(stopped, redis.Redis("redis", password=password, decode_responses=True, socket_timeout=5))
    print("closed")


if __name__ == "__main__":
    main()
