"""What the embedded server and worker need to run: directories, secrets and settings, made at the first start.

state/server/password        of the API; the user is `stampede`. 0600
state/server/encryption-key  with which the server encrypts secret blocks. 0600. Losing it loses the secrets
state/server/server.env      settings of the server. 0600
state/host/worker.env        settings of this host's worker, and where the API is. 0600
"""

from __future__ import annotations

import base64
import os
import secrets
import socket
import sys
from pathlib import Path

import certifi

import stampede
from stampede.control_plane.services import Service, add, read_env, write_private
from stampede.errors import ServerUnreachable
from stampede.places import RUN_VARIABLE, STATE_VARIABLE, Places
from stampede.volumes.settings import POOL_VARIABLES

USER = "stampede"
DEFAULT_PORT = 4200
RUNS_KEPT_DAYS = 30
STATES_WRITTEN_EVERY_S = 1
REMEMBERED_WAITS = "P30D"
PASSED_ON = (
    "STAMPEDE_FLOWS",
    "STAMPEDE_VERBS",
    "STAMPEDE_BACKGROUND",
    "STAMPEDE_CLUSTER",
    "STAMPEDE_METRICS",
    "DOCKER_HOST",
    *POOL_VARIABLES,
)
SERVER, WORKER = "server", "worker"
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}


def connection(places: Places) -> tuple[str, str]:
    """The API's URL, and `user:password`. Raises: ServerUnreachable when nothing was ever set up here."""
    try:
        settings = read_env(worker_env(places))
    except FileNotFoundError as error:
        raise ServerUnreachable(
            f"There is no control plane under {places.state}", "stampede server start makes one"
        ) from error
    return settings["PREFECT_API_URL"], settings["PREFECT_API_AUTH_STRING"]


def chosen_address(places: Places) -> tuple[str, int]:
    """Host and port that the server was last told to listen on; the defaults when it never was."""
    try:
        settings = read_env(server_env(places))
    except FileNotFoundError:
        return "127.0.0.1", DEFAULT_PORT
    return settings["PREFECT_SERVER_API_HOST"], int(settings["PREFECT_SERVER_API_PORT"])


def prepare(places: Places, host: str, port: int) -> None:
    """Afterwards everything that server and worker read is there; secrets that exist are kept."""
    for folder in (places.state, places.server, places.host, places.logs, places.run):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    password = _kept(places.server / "password", secrets.token_urlsafe(24))
    key = _kept(places.server / "encryption-key", base64.urlsafe_b64encode(os.urandom(32)).decode())
    certificate = places.server / "one-ca.pem"
    write_private(certificate, _first_certificate())
    auth = f"{USER}:{password}"
    write_private(server_env(places), _lines(_server_settings(places, host, port, auth, key)))
    write_private(worker_env(places), _lines(_worker_settings(places, host, port, auth, certificate)))
    module = [sys.executable, "-m"]
    served = ("stampede.deployments.server_entry", "--host", host, "--port", str(port))
    add(places, Service(SERVER, (*module, *served), str(server_env(places))))
    add(places, Service(WORKER, (*module, "stampede.deployments.worker_entry"), str(worker_env(places)), (SERVER,)))


def server_env(places: Places) -> Path:
    return places.server / "server.env"


def worker_env(places: Places) -> Path:
    return places.host / "worker.env"


def _shared(places: Places, home: Path) -> dict[str, str]:
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        STATE_VARIABLE: str(places.state),
        RUN_VARIABLE: str(places.run),
        "PYTHONPATH": str(Path(stampede.__file__).resolve().parents[1]),
        "MALLOC_ARENA_MAX": "2",
    }


def _server_settings(places: Places, host: str, port: int, auth: str, key: str) -> dict[str, str]:
    return _shared(places, places.server) | {
        "PREFECT_SERVER_API_HOST": host,
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_API_AUTH_STRING": auth,
        "PREFECT_SERVER_ENCRYPTION_KEY": key,
        # Where messages of automations say that a run can be looked at.
        "PREFECT_UI_URL": os.environ.get("STAMPEDE_URL") or f"http://{_ANYWHERE.get(host, host)}:{port}",
        # What waits for an event that does not come is kept in the database. As shipped, a server that was away for a
        # minute when the time was up forgets it when it starts, and nobody is told.
        "PREFECT_SERVER_EVENTS_EXPIRED_BUCKET_BUFFER": REMEMBERED_WAITS,
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "2",
        # States of tasks come as events. One transaction for each, as Prefect has it, is a third of the server's work;
        # the last few wait for the beat. Prefect cuts the beat to whole seconds: below 1 s it would never rest.
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "10",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": str(STATES_WRITTEN_EVERY_S),
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(RUNS_KEPT_DAYS * 86400),
    }


def _worker_settings(places: Places, host: str, port: int, auth: str, certificate: Path) -> dict[str, str]:
    return (
        _shared(places, places.host / "prefect")
        | {
            "PREFECT_API_URL": f"http://{_ANYWHERE.get(host, host)}:{port}/api",
            "PREFECT_API_AUTH_STRING": auth,
            # Building a TLS context from the whole bundle costs 16 ms for each client, even for http.
            "PREFECT_API_SSL_CERT_FILE": str(certificate),
            "PREFECT_DEFAULT_RESULT_STORAGE_BLOCK": "api-results/default",
            "PREFECT_RESULTS_DEFAULT_SERIALIZER": "stampede-json",
            "PREFECT_TASKS_DEFAULT_PERSIST_RESULT": "false",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
            "STAMPEDE_HOST": _host_name(places),
            "STAMPEDE_CONTROL": "1",
        }
        | {name: value for name, value in _before(places).items() if name in POOL_VARIABLES}
        | {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    )


def _host_name(places: Places) -> str:
    """As the environment says, else as it was before: a host keeps its name when its hostname changes."""
    return os.environ.get("STAMPEDE_HOST") or _before(places).get("STAMPEDE_HOST") or socket.gethostname()


def _before(places: Places) -> dict[str, str]:
    """What the worker was last told. How its pool is to be holds until something else is said, if only nothing."""
    try:
        return read_env(worker_env(places))
    except FileNotFoundError:
        return {}


def _lines(settings: dict[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _kept(path: Path, fresh: str) -> str:
    """The secret in the file, which is made of `fresh` when there is none."""
    if not path.exists():
        write_private(path, fresh + "\n")
    path.chmod(0o600)
    return path.read_text().strip()


def _first_certificate() -> str:
    bundle = Path(certifi.where()).read_text()
    end = "-----END CERTIFICATE-----"
    return bundle[bundle.index("-----BEGIN") : bundle.index(end) + len(end)] + "\n"
