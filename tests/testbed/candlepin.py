# SPDX-License-Identifier: LGPL-2.1-or-later
"""A Candlepin for tests: the calls that reporters of guests make, with the answers and oddities of the real one.

    with Candlepin(directory) as candlepin:
        candlepin.add_owner("acme", users={"admin": "secret"})
        candlepin.job_steps = ["CREATED", "RUNNING", "FINISHED"]
        candlepin.script("POST", "/hypervisors/", Answer(429, headers={"Retry-After": "2"}), times=1)
        ...
        candlepin.wait_for("POST", "/hypervisors/", count=2)

From the command line, in tests/:  /usr/bin/python3 -m testbed.candlepin --owner acme --user admin:secret [--port N] DIRECTORY
It prints its port and writes what it was asked as JSON lines; behaviours are set with
    curl -k https://localhost:PORT/_control -d '{"job_steps": [...], "script": [{"path": ..., "status": ...}]}'
"""

import argparse
import base64
import dataclasses
import email.message
import http.server
import json
import re
import socket
import ssl
import sys
import threading
import time
import urllib.parse
import uuid

from testbed.certificates import Authority
from testbed.wait import FACTOR

TERMINAL = ("FINISHED", "FAILED", "CANCELED")
CAPABILITIES = ["cores", "ram", "guest_limit", "vcpu", "hypervisors_async", "hypervisors_heartbeat"]


@dataclasses.dataclass
class Answer:
    """What a script makes the server do with a request instead of its work.

    `cut`: "before" closes without an answer, "head" in the middle of the headers, "body" in the middle of the body.
    `delay`: seconds before the answer; `drip`: seconds between the bytes of the body. `work`: do the work as well, so
    that only the answer is lost or late."""
    status: int = None
    body: str = None
    headers: dict = dataclasses.field(default_factory=dict)
    content_type: str = "application/json"
    delay: float = 0
    drip: float = 0
    cut: str = None
    work: bool = False


@dataclasses.dataclass
class Request:
    time: float
    method: str
    path: str        # without the query
    query: dict      # name -> value
    headers: email.message.Message  # names in any case
    body: bytes
    consumer: str    # CN of the client's certificate, or None
    connection: int  # which of the server's connections
    status: int = None

    @property
    def json(self):
        return json.loads(self.body)


class Job:
    def __init__(self, owner, reporter, principal, steps, result):
        self.id = uuid.uuid4().hex
        self.owner, self.reporter, self.principal = owner, reporter, principal
        self.steps = list(steps)
        self.result = result  # called when it finishes, or the text of a failure
        self.state = self.steps.pop(0)
        self.result_data = None
        self.held = False

    def advance(self):
        """One look at the job is one step."""
        if self.steps and not self.held and self.state not in TERMINAL:
            self.state = self.steps.pop(0)
        self.settle()

    def settle(self):
        if self.state in TERMINAL and self.result_data is None:
            self.result_data = self.result() if self.state == "FINISHED" else "job failed: test"

    def dto(self):
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime())
        dto = {"created": stamp, "updated": stamp, "id": self.id, "key": "HypervisorUpdateJob",
               "name": "Hypervisor Update", "origin": "candlepin.test", "principal": self.principal or "system",
               "state": self.state, "attempts": 1, "maxAttempts": 1, "statusPath": "/jobs/" + self.id}
        if self.result_data is not None:
            dto["resultData"] = self.result_data
        return dto


class HttpError(Exception):
    def __init__(self, status, message, **extra):
        super().__init__(message)
        self.status, self.body = status, {"displayMessage": message, "requestUuid": str(uuid.uuid4()), **extra}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def setup(self):
        self.request.settimeout(self.timeout)
        self.request.do_handshake()
        super().setup()
        self.candlepin = self.server.candlepin
        self.number = self.candlepin.count_connection()
        subject = dict(pair[0] for pair in (self.request.getpeercert() or {}).get("subject", ()))
        self.consumer = subject.get("commonName")
        self.consumer_owner = subject.get("organizationName")

    def log_message(self, *arguments):
        pass

    def handle_any(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return
        url = urllib.parse.urlsplit(self.path)
        request = Request(time.time(), self.command, url.path, dict(urllib.parse.parse_qsl(url.query)),
                          self.headers, body, self.consumer, self.number)
        if url.path == "/_control":
            self.candlepin.control(request.json)
            self.answer(request, Answer(200, "{}"))
            return
        answer = self.candlepin.find_script(request)
        self.candlepin.record(request)
        if answer is None:
            answer = self.work(request)
        else:
            if answer.work:
                done = self.work(request)
                answer = dataclasses.replace(answer, status=answer.status or done.status,
                                             body=done.body if answer.body is None else answer.body)
            self.candlepin.stopping.wait(answer.delay)
        self.answer(request, answer)

    do_GET = do_POST = do_PUT = do_DELETE = handle_any

    def work(self, request):
        try:
            user = None if request.path.endswith("/status") else self.authenticate()  # that one is for everybody
            return Answer(*self.candlepin.serve(request, user, self.consumer_owner))
        except HttpError as error:
            # Satellite passes errors on as text/plain, whatever is in them.
            plain = self.candlepin.satellite
            return Answer(error.status, json.dumps(error.body),
                          content_type="text/plain" if plain else "application/json")

    def authenticate(self):
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        if kind != "Basic":
            return None
        user, _, password = base64.b64decode(value).decode().partition(":")
        if self.candlepin.users.get(user, (None, None))[0] != password:
            raise HttpError(401, "Invalid Credentials")
        return user

    def answer(self, request, answer):
        request.status = answer.status
        if answer.cut == "before":
            return self.cut()
        body = (answer.body or "").encode()
        self.send_response(answer.status or 200)
        if answer.status != 204:
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.cut == "head":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Le")
            return self.cut()
        self.end_headers()
        if answer.cut == "body":
            self.wfile.write(body[:len(body) // 2])
            return self.cut()
        if answer.drip:
            for byte in body:
                if self.candlepin.stopping.wait(answer.drip):
                    return self.cut()
                self.wfile.write(bytes([byte]))
        else:
            self.wfile.write(body)

    def cut(self):
        self.close_connection = True
        try:
            self.request.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        error = sys.exc_info()[1]
        if not isinstance(error, (OSError, ValueError)):
            super().handle_error(request, client_address)
        self.candlepin.connection_errors.append(str(error))


class Candlepin:
    """The server; everything set on it counts from the next request on."""

    def __init__(self, directory, prefix="/candlepin", port=0, satellite=False, certificate=None, authority=None):
        self.authority = authority or Authority(directory)
        self.certificate, self.key = certificate or self.authority.issue_server()
        self.prefix, self.satellite = prefix, satellite
        self.capabilities = list(CAPABILITIES)
        self.resources = ["consumers", "guestids", "hypervisors", "jobs", "status"]
        self.mode = "NORMAL"
        self.users = {}         # name -> (password, owner)
        self.owners = {}        # key -> {hypervisor id: host}
        self.deleted = set()    # consumers
        self.consumers = {}     # uuid -> what was PUT
        self.jobs = {}
        self.job_steps = ["CREATED", "FINISHED"]
        self.hold_jobs = False
        self.failed_update = []
        self.requests = []
        self.connections = 0
        self.connection_errors = []
        self.scripts = []
        self.log = None
        self.changed = threading.Condition()
        self.stopping = threading.Event()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        context.load_verify_locations(self.authority.certificate)
        context.verify_mode = ssl.CERT_OPTIONAL
        self.server = Server(("127.0.0.1", port), Handler)
        self.server.candlepin = self
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                 do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def stop(self):
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    # -- what tests set and ask

    def add_owner(self, key, users=None):
        self.owners[key] = {}
        for user, password in (users or {}).items():
            self.users[user] = (password, key)

    def script(self, method, path, answer, times=None):
        """The next `times` (None: all) requests whose method is this and whose path contains that get `answer`."""
        with self.changed:
            self.scripts.append([method, path, answer, times])

    def clear_scripts(self):
        with self.changed:
            self.scripts.clear()

    def release_jobs(self):
        with self.changed:
            self.hold_jobs = False
            for job in self.jobs.values():
                job.held = False

    def find(self, method=None, path=""):
        with self.changed:
            return [r for r in self.requests if method in (None, r.method) and path in r.path]

    def check_ins(self):
        return self.find("POST", "/hypervisors/")

    def polls(self):
        return self.find("GET", "/jobs/")

    def heartbeats(self):
        return self.find("PUT", "/heartbeat")

    def wait_for(self, method=None, path="", count=1, timeout=30):
        """Waits until so many requests have come, and returns them."""
        return self.wait_until(lambda: len(self.find_unlocked(method, path)) >= count,
                               f"{count} x {method} {path}", timeout) and self.find(method, path)

    def wait_until(self, condition, what="condition", timeout=30):
        with self.changed:
            if not self.changed.wait_for(condition, timeout * FACTOR):
                seen = [f"{r.method} {r.path} {r.status}" for r in self.requests]
                raise AssertionError(f"no {what} within {timeout} s; requests: {seen}")
        return True

    def find_unlocked(self, method, path):
        return [r for r in self.requests if method in (None, r.method) and path in r.path]

    def control(self, order):
        with self.changed:
            for name in ("job_steps", "hold_jobs", "failed_update", "mode", "capabilities"):
                if name in order:
                    setattr(self, name, order[name])
            for item in order.get("script", ()):
                method, path, times = item.pop("method", None), item.pop("path", ""), item.pop("times", None)
                self.scripts.append([method, path, Answer(**item), times])
        if order.get("release_jobs"):
            self.release_jobs()

    # -- what handlers call

    def count_connection(self):
        with self.changed:
            self.connections += 1
            return self.connections

    def record(self, request):
        with self.changed:
            self.requests.append(request)
            if self.log:
                print(json.dumps({"method": request.method, "path": request.path, "query": request.query,
                                  "body": request.body.decode(errors="replace")}), file=self.log, flush=True)
            self.changed.notify_all()

    def find_script(self, request):
        with self.changed:
            for item in self.scripts:
                method, path, answer, times = item
                if method in (None, request.method) and path in request.path and times != 0:
                    if times is not None:
                        item[3] -= 1
                    return answer
        return None

    def serve(self, request, user, certificate_owner):
        """Returns (status, body)."""
        if not request.path.startswith(self.prefix + "/"):
            raise HttpError(404, "Not found: " + request.path)
        path = request.path[len(self.prefix):]
        with self.changed:
            for method, pattern, function in ROUTES:
                match = re.fullmatch(pattern, path)
                if match and method == request.method:
                    arguments = [urllib.parse.unquote(group) for group in match.groups()]
                    status, body = function(self, request, (user, certificate_owner), *arguments)
                    self.changed.notify_all()
                    return status, "" if body is None else json.dumps(body)
        raise HttpError(404, "Not found: " + request.path)

    def authorize(self, request, identity, owner=None):
        user, certificate_owner = identity
        mine = self.users[user][1] if user else certificate_owner
        if mine is None:
            raise HttpError(401, "Invalid Credentials")
        if request.consumer in self.deleted:
            raise HttpError(410, f"Unit {request.consumer} has been deleted", deletedId=request.consumer)
        if owner is not None and owner not in self.owners:
            raise HttpError(404, f"owner with key: {owner} was not found.")
        if owner is not None and mine != owner:
            raise HttpError(403, "Insufficient permissions")
        return user or request.consumer

    def get_status(self, request, identity):
        reason = {} if self.mode == "NORMAL" else {"modeReason": "maintenance"}
        return 200, {"mode": self.mode, **reason, "result": self.mode == "NORMAL", "version": "4.4.2",
                     "release": "1", "standalone": False, "managerCapabilities": self.capabilities,
                     "timeUTC": time.strftime("%Y-%m-%dT%H:%M:%S+0000")}

    def get_root(self, request, identity):
        return 200, [{"rel": name, "href": "/" + name} for name in self.resources]

    def post_hypervisors(self, request, identity, owner):
        principal = self.authorize(request, identity, owner)
        if not request.headers.get("Content-Type", "").startswith("text/plain"):
            raise HttpError(415, "Unsupported media type")
        try:
            hosts = json.loads(request.body)["hypervisors"]
        except (ValueError, KeyError, TypeError):
            raise HttpError(400, "Host to guest mapping was not provided for hypervisor update.")
        busy = [job.id for job in self.jobs.values() if job.owner == owner and job.state not in TERMINAL]
        reporter = request.query.get("reporter_id")
        job = Job(owner, reporter, principal, self.job_steps, lambda: self.apply(owner, reporter, hosts))
        job.held = self.hold_jobs
        if busy:  # not queued, and yet no HTTP error
            job.state, job.result_data = "FAILED", "Job blocked by the following existing jobs: " + ", ".join(busy)
        job.settle()
        self.jobs[job.id] = job
        return 200, job.dto()

    def apply(self, owner, reporter, hosts):
        known, result = self.owners[owner], {"created": [], "updated": [], "unchanged": [], "failedUpdate": []}
        for host in hosts:
            name = host["hypervisorId"]["hypervisorId"].lower()
            system = host.get("facts", {}).get("dmi.system.uuid")
            same = [k for k, v in known.items() if system and v["facts"].get("dmi.system.uuid") == system]
            old = known.pop(name if name in known else same[0], None) if name in known or same else None
            new = {"name": host.get("name"), "facts": host.get("facts") or (old or {}).get("facts", {}),
                   "guests": {g["guestId"].lower(): g.get("attributes", {}) for g in host["guestIds"]}
                   if host.get("guestIds") is not None else (old or {}).get("guests", {}), "reporter": reporter}
            known[name] = new
            kind = "created" if old is None else "unchanged" if old == new else "updated"
            result[kind].append({"uuid": str(uuid.uuid4()), "name": name, "owner": {"key": owner}})
        result["failedUpdate"] = list(self.failed_update)
        return result

    def put_heartbeat(self, request, identity, owner):
        principal = self.authorize(request, identity, owner)
        reporter = request.query.get("reporter_id")
        if not reporter:
            raise HttpError(400, "Provided reporter_id is absent or empty.")
        text = f'Last hypervisor check-in updated for owner "{owner}" by reporter: {reporter}'
        return 200, Job(None, reporter, principal, ["FINISHED"], lambda: text).dto()

    def get_job(self, request, identity, job_id):
        principal = self.authorize(request, identity)
        job = self.jobs.get(job_id)
        if job is None:
            raise HttpError(404, f"Job with id {job_id} could not be found.")
        if not identity[0] and job.principal != principal:
            raise HttpError(403, "Insufficient permissions")
        job.advance()
        return 200, job.dto()

    def put_consumer(self, request, identity, consumer):
        self.authorize(request, identity)
        if consumer in self.deleted:
            raise HttpError(410, f"Unit {consumer} has been deleted", deletedId=consumer)
        if not request.headers.get("Content-Type", "").startswith("application/json"):
            raise HttpError(415, "Unsupported media type")
        self.consumers[consumer] = request.json
        return 204, None


ROUTES = [
    ("GET", "/status/?", Candlepin.get_status),
    ("GET", "/", Candlepin.get_root),
    ("POST", "/hypervisors/([^/]+)", Candlepin.post_hypervisors),
    ("PUT", "/hypervisors/([^/]+)/heartbeat", Candlepin.put_heartbeat),
    ("GET", "/jobs/([^/]+)", Candlepin.get_job),
    ("PUT", "/consumers/([^/]+)", Candlepin.put_consumer),
]


def main():
    parser = argparse.ArgumentParser(description="a Candlepin for tests")
    parser.add_argument("directory", help="where its certificates are made")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--prefix", default="/candlepin")
    parser.add_argument("--satellite", action="store_true", help="errors come as text/plain")
    parser.add_argument("--owner", action="append", default=[])
    parser.add_argument("--user", action="append", default=[], metavar="NAME:PASSWORD")
    options = parser.parse_args()
    with Candlepin(options.directory, options.prefix, options.port, options.satellite) as candlepin:
        for owner in options.owner or ["admin"]:
            candlepin.add_owner(owner, dict(user.split(":", 1) for user in options.user))
        candlepin.log = sys.stdout
        print(candlepin.port, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
