"""The few routes of Prefect's REST API that the client uses, on a real socket, without Prefect.

Runs are played: a test says what each flow shall do (return, raise, take a while, be cancelled), and the fake goes
through the states that Prefect would show. What routes answer was read off Prefect 3.8; the functional tests of the
client hold against a real server.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from stampede.errors import StampedeError
from stampede.results import artifact_body, artifact_type, encode

AUTH = "admin:secret"
FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
BLOCK_NAME = re.compile(r"[a-z0-9-]+")
SECRET_FIELDS = {"content", "access_key", "secret_key", "session_token", "recovery_key", "master_key"}

Json = dict[str, Any]
Play = Callable[[Json], Any]


class Refusal(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


@dataclass
class FakeRun:
    """A run being played: Scheduled until `claimed_at`, Running until `ends_at`, then what its play says."""

    id: str
    flow: str
    name: str
    parameters: Json
    tags: list[str]
    claimed_at: float
    ends_at: float
    value: Any = None
    cancelled: bool = False
    crashed: bool = False
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat())

    @property
    def state(self) -> tuple[str, str]:
        now = time.monotonic()
        if self.cancelled:
            return "CANCELLED", "Cancelled"
        if now < self.claimed_at:
            return "SCHEDULED", "Scheduled"
        if now < self.ends_at:
            return "RUNNING", "Running"
        if self.crashed:
            return "CRASHED", "Crashed"
        return ("FAILED", "Failed") if isinstance(self.value, BaseException) else ("COMPLETED", "Completed")


class FakePrefect:
    """The state of the fake. `plays` maps a flow's name to a function of the run's parameters."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.plays: dict[str, Play] = {}
        self.per_stack: set[str] = set()
        self.known_parameters: dict[str, set[str]] = {}
        self.runs: dict[str, FakeRun] = {}
        self.keys: dict[str, str] = {}
        self.steps: dict[str, list[Json]] = {}
        self.every_run_has: list[Json] = []
        self.documents: dict[str, Json] = {}
        self.variables: dict[str, Json] = {}
        self.types = {"stampede-candidate", "stampede-revision", "stampede-host-report", "stampede-store"}
        self.requests: list[str] = []
        self.claim_after_s = 0.0
        self.take_s = 0.0
        self.crash = False
        self.busy = 0
        self.away_until = 0.0
        self.url = ""

    def restart(self, away_s: float) -> None:
        """Be away for that long: connections end without an answer, as those of a server that is starting."""
        self.away_until = time.monotonic() + away_s

    def play(self, flow: str, play: Play) -> None:
        """Let `flow` do this: return JSON, or raise a StampedeError."""
        self.plays[flow] = play

    def put_document(self, slug: str, name: str, data: Json) -> None:
        """Store a document as a worker would."""
        self._create_document({"name": name, "data": data, "block_type_id": slug})

    def put_variable(self, name: str, value: Any) -> None:
        """Store a variable as a worker would."""
        self._create_variable({"name": name, "value": value, "tags": []})

    def answer(self, method: str, path: str, body: Json) -> Any:
        """What a route answers. Raises: Refusal."""
        with self.lock:
            for pattern, route in self._routes().items():
                verb, _, shape = pattern.partition(" ")
                found = re.fullmatch(shape, path)
                if verb == method and found:
                    return route(body, *found.groups())
        raise Refusal(404, "Not Found")

    def _routes(self) -> dict[str, Callable[..., Any]]:
        return {
            "GET /deployments/name/([^/]+)/([^/]+)": self._deployment,
            "POST /deployments/([^/]+)/create_flow_run": self._create_run,
            "POST /flow_runs/filter": self._find_runs,
            "POST /flow_runs/([^/]+)/set_state": self._set_state,
            "GET /flow_runs/([^/]+)": self._read_run,
            "POST /task_runs/filter": self._find_tasks,
            "POST /flows/filter": lambda body: [{"id": each, "name": each} for each in body["flows"]["id"]["any_"]],
            "POST /artifacts/filter": self._find_artifacts,
            "GET /block_types/slug/([^/]+)": self._type,
            "GET /block_types/slug/([^/]+)/block_documents/name/([^/]+)": self._read_document,
            "POST /block_schemas/filter": lambda body: [
                {"id": "old", "created": "2026-01-01T00:00:00Z"},
                {"id": "schema", "created": "2026-02-01T00:00:00Z"},
            ],
            "POST /block_documents/": self._create_document,
            "POST /block_documents/filter": self._find_documents,
            "PATCH /block_documents/(.+)": self._update_document,
            "DELETE /block_documents/(.+)": self._delete_document,
            "POST /variables/": self._create_variable,
            "POST /variables/filter": lambda body: _page(list(self.variables.values()), body),
            "GET /variables/name/([^/]+)": self._read_variable,
            "DELETE /variables/([^/]+)": self._delete_variable,
        }

    def _deployment(self, _: Json, flow: str, name: str) -> Json:
        if flow not in self.plays or (name != "any" and name not in self.per_stack):
            raise Refusal(404, "Deployment not found")
        known = self.known_parameters.get(flow)
        schema: Json = {"properties": {each: {} for each in known}} if known else {}
        return {"id": f"{flow}@{name}", "parameter_openapi_schema": schema}

    def _create_run(self, body: Json, deployment: str) -> Json:
        if body["idempotency_key"] in self.keys:
            return self._read_run({}, self.keys[body["idempotency_key"]])
        flow = deployment.partition("@")[0]
        now = time.monotonic() + self.claim_after_s
        stack = body["parameters"].get("stack", "")
        run = FakeRun(
            str(uuid.uuid4()), flow, f"{flow} {stack}", body["parameters"], body["tags"], now, now + self.take_s
        )
        try:
            run.value = self.plays[flow](body["parameters"])
        except StampedeError as error:
            run.value = error
        except TypeError as error:
            raise Refusal(409, f"Error creating flow run: Validation failed: {error}") from error
        run.crashed = self.crash
        self.runs[run.id] = run
        self.keys[body["idempotency_key"]] = run.id
        return self._read_run({}, run.id)

    def _read_run(self, _: Json, run_id: str) -> Json:
        try:
            uuid.UUID(run_id)
        except ValueError as error:
            raise Refusal(422, "not a uuid") from error
        if run_id not in self.runs:
            raise Refusal(404, "Flow run not found")
        return self._described(self.runs[run_id])

    def _described(self, run: FakeRun) -> Json:
        kind, name = run.state
        stored = kind in ("COMPLETED", "FAILED") and run.value is not None
        data = {"type": "reference", "storage_key": run.id} if stored else None
        return {
            "id": run.id,
            "name": run.name,
            "flow_id": run.flow,
            "parameters": run.parameters,
            "tags": run.tags,
            "created": run.created,
            "start_time": run.created,
            "parent_task_run_id": None,
            "total_run_time": 1.5,
            "state_type": kind,
            "state_name": name,
            "state": {"type": kind, "name": name, "message": "", "data": data},
        }

    def _find_runs(self, body: Json) -> list[Json]:
        asked = body["flow_runs"]
        if "parent_flow_run_id" in asked:
            return []
        found = list(self.runs.values())
        if "flows" in body:
            found = [run for run in found if run.flow in body["flows"]["name"]["any_"]]
        if "tags" in asked:
            found = [run for run in found if set(asked["tags"]["all_"]) <= set(run.tags)]
        if "id" in asked:
            found = [run for run in found if run.id in asked["id"]["any_"]]
        return _page([self._described(run) for run in found], body)

    def _find_tasks(self, body: Json) -> list[Json]:
        ids = body["task_runs"]["flow_run_id"]["any_"]
        return _page(
            [{**step, "flow_run_id": run_id} for run_id in ids for step in self.steps.get(run_id, self.every_run_has)],
            body,
        )

    def _set_state(self, body: Json, run_id: str) -> Json:
        run = self.runs[run_id]
        if run.state[0] not in FINAL and body["state"]["type"] in ("CANCELLING", "CANCELLED"):
            run.cancelled = True
        return {"status": "ACCEPT"}

    def _find_artifacts(self, body: Json) -> list[Json]:
        asked = body["artifacts"]["type"]["any_"]
        return [
            artifact_body(run.id, encode(run.value), run.id)
            for run in self.runs.values()
            if artifact_type(run.id) in asked
        ][: body["limit"]]

    def _type(self, _: Json, slug: str) -> Json:
        if slug not in self.types:
            raise Refusal(404, "Block type not found")
        return {"id": slug}

    def _create_document(self, body: Json) -> Json:
        if not BLOCK_NAME.fullmatch(body["name"]):
            raise Refusal(422, "Block document name must only contain lowercase letters, numbers, and dashes.")
        key = f"{body['block_type_id']}/{body['name']}"
        if key in self.documents:
            raise Refusal(409, "Block already exists")
        self.documents[key] = {"id": key, "name": body["name"], "data": body["data"]}
        return self.documents[key]

    def _read_document(self, body: Json, slug: str, name: str) -> Json:
        if f"{slug}/{name}" not in self.documents:
            raise Refusal(404, "Block document not found")
        return _shown(self.documents[f"{slug}/{name}"], body.get("include_secrets") == "true")

    def _find_documents(self, body: Json) -> list[Json]:
        slugs = body["block_types"]["slug"]["any_"]
        found = [each for key, each in sorted(self.documents.items()) if key.partition("/")[0] in slugs]
        return _page([_shown(each, body["include_secrets"]) for each in found], body)

    def _update_document(self, body: Json, key: str) -> None:
        if key not in self.documents:
            raise Refusal(404, "Block document not found")
        before = self.documents[key]["data"] if body["merge_existing_data"] else {}
        self.documents[key]["data"] = {**before, **body["data"]}

    def _delete_document(self, _: Json, key: str) -> None:
        if self.documents.pop(key, None) is None:
            raise Refusal(404, "Block document not found")

    def _create_variable(self, body: Json) -> Json:
        if body["name"] in self.variables:
            raise Refusal(409, "A variable with this name already exists")
        self.variables[body["name"]] = {"id": str(uuid.uuid4()), **body}
        return self.variables[body["name"]]

    def _read_variable(self, _: Json, name: str) -> Json:
        if name not in self.variables:
            raise Refusal(404, "Variable not found")
        return self.variables[name]

    def _delete_variable(self, _: Json, variable_id: str) -> None:
        for name, each in list(self.variables.items()):
            if each["id"] == variable_id:
                del self.variables[name]
                return
        raise Refusal(404, "Variable not found")


def _page(found: list[Json], body: Json) -> list[Json]:
    offset = body.get("offset", 0)
    return found[offset : offset + body["limit"]]


def _shown(document: Json, secrets: bool) -> Json:
    data = document["data"]
    hidden = {name: "********" if name in SECRET_FIELDS and not secrets else value for name, value in data.items()}
    return {**document, "data": hidden}


class _Requests(BaseHTTPRequestHandler):
    """Reads a request, asks the fake, writes the answer. Connections are kept alive, as Prefect's are."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body leave together, or each answer waits 40 ms for an acknowledgement
    fake: FakePrefect

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is written: `requests` of the fake has them."""

    def _serve(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        body = json.loads(content) if content else dict(part.split("=") for part in query.split("&") if part)
        if time.monotonic() < self.fake.away_until:
            self.close_connection = True
            return
        self.fake.requests.append(f"{self.command} {path}")
        try:
            status, answer = 200, self._answer(path.removeprefix("/api"), body)
        except Refusal as refusal:
            status, answer = refusal.status, {"detail": refusal.detail}
        payload = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def _answer(self, path: str, body: Json) -> Any:
        if self.headers.get("Authorization") != "Basic " + base64.b64encode(AUTH.encode()).decode():
            raise Refusal(401, "Unauthorized")
        if self.fake.busy:
            self.fake.busy -= 1
            raise Refusal(503, "Service Unavailable")
        return self.fake.answer(self.command, path, body)


@contextmanager
def serve(fake: FakePrefect) -> Iterator[FakePrefect]:
    """The fake on a free port of loopback; `fake.url` says which."""
    requests = type("Requests", (_Requests,), {"fake": fake})
    server = ThreadingHTTPServer(("127.0.0.1", 0), requests)
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
