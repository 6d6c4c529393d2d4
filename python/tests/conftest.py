"""Parts that the tests share: the emulator as a process, a client, and a clock for both."""

from __future__ import annotations

import http.server
import json
import logging
import os
import pathlib
import signal
import socketserver
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from typing import Any

import pytest

import hoopauth

# A shell that starts its jobs in the background has them ignore it, and the processes of the tests
# would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = pathlib.Path(os.environ.get("HOOPAUTH_ROOT", pathlib.Path(__file__).parents[2]))
CLIENT_ID = "65f0a1b2c3d4e5f607182930-hoopdev1"
CLIENT_SECRET = "3f9c2d1e-7b54-4a60-9d8e-1f2a3b4c5d6e"
LOCATIONS = [f"location:hoopLocation0000000{i}" for i in (1, 2, 3)]
LOCATION = LOCATIONS[0]
COMPANY = "company:hoopCompany000000001"
PRIVATE_INTEGRATION = "pit-10ca7100-0000-4000-8000-000000000001"
SCOPES = (
    "contacts.readonly contacts.write conversations.readonly conversations.write "
    "calendars.readonly calendars.write opportunities.readonly opportunities.write "
    "locations.readonly companies.readonly oauth.readonly oauth.write"
)
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def emulator_program() -> str:
    named = os.environ.get("HOOPAUTH_EMULATOR")
    built = [ROOT / "target" / profile / "hoopauth-emulator" for profile in ("ci", "debug")]
    found = [named] if named else [str(path) for path in built if path.exists()]
    assert found, "build the emulator first: cargo build --profile ci -p hoopauth-emulator"
    return found[0]


class Clock:
    """A clock that moves only when told."""

    def __init__(self, now: float) -> None:
        self.wall, self.steady = now, 1.0

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.steady

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


class Emulator:
    """A local HoopAI, with the means to control it."""

    def __init__(self, *flags: str) -> None:
        self.process = subprocess.Popen(
            [emulator_program(), *flags], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        self.urls: dict[str, str] = json.loads(self.process.stdout.readline())
        self.api = self.urls["api"]

    def control(self, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with OPENER.open(f"{self.urls['control']}/{path}", data=data, timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def statistics(self) -> dict[str, Any]:
        return self.control("statistics")

    def hold(self, *, answers: bool = True) -> None:
        self.control("hold", {"endpoint": "token", "answers": answers})

    def release(self) -> None:
        self.control("release", {})

    def held(self, at_least: int = 1) -> bool:
        return self.control(f"held?endpoint=token&at_least={at_least}&timeout=30")["reached"]

    def grant(self, account: str) -> hoopauth.Grant:
        issued = self.control("grants", {"account": account})
        return hoopauth.Grant(
            account,
            issued["access_token"],
            refresh_token=issued["refresh_token"],
            expires_at=self.control("clock")["now"] + issued["expires_in"],
            company_id=issued["company_id"],
        )

    def options(self, **options: Any) -> dict[str, Any]:
        return {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "redirect_uri": "https://app.example/callback?from=hoop",
            "scopes": SCOPES,
            "token_requests_per_minute": 1000,
            "store": "memory:",
            **self.hosts(),
            **options,
        }

    def hosts(self) -> dict[str, Any]:
        return {
            "api_base": self.api,
            "authorize_url": self.urls["authorize"],
            "token_url": self.urls["token"],
            "location_token_url": self.urls["location_token"],
        }

    def call(self, headers: dict[str, str], path: str) -> tuple[int, bytes]:
        try:
            with OPENER.open(
                urllib.request.Request(self.api + path, headers=headers), timeout=60
            ) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read()

    def end(self) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        assert self.process.wait(30) == 0
        self.process.stdout.close()


class World:
    """An emulator, and clients of it that go by its clock."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        now = emulator.control("clock", {"frozen": True})["now"]
        self.clock = Clock(float(now))
        self.clients: list[hoopauth.Client] = []

    def client(self, **options: Any) -> hoopauth.Client:
        options.setdefault("clock", self.clock)
        client = hoopauth.Client(**self.emulator.options(**options))
        self.clients.append(client)
        return client

    def ended(self, account: str = LOCATION, **options: Any) -> hoopauth.Client:
        """A client whose token has ended: the next call refreshes."""
        client = self.client(**options)
        client.import_grant(self.emulator.grant(account))
        self.advance(86_399)
        return client

    def advance(self, seconds: int) -> None:
        self.clock.advance(seconds)
        self.emulator.control("clock", {"advance": seconds})


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def approve(url: str, account: str) -> str:
    """Approves at the authorize page; the URL that the browser is sent to."""
    return sent_to(f"{url}&approve={account}")


def deny(url: str) -> str:
    """Refuses at the authorize page; the URL that the browser is sent to."""
    return sent_to(f"{url}&deny=1")


def sent_to(url: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirect)
    with pytest.raises(urllib.error.HTTPError) as redirect:
        opener.open(url, timeout=60)
    with redirect.value:
        return redirect.value.headers["location"]


class Server:
    """A server that notes what comes and answers what it is told to."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer: Any = lambda *_: (200, {}, b"{}")
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                if self.headers.get("Transfer-Encoding") == "chunked":
                    body = b""
                    while size := int(self.rfile.readline(), 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                else:
                    body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.seen.append((self.command, self.path, dict(self.headers), body))
                status, headers, content = outer.answer(
                    self.command, self.path, dict(self.headers), body
                )
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def log_message(self, *_: Any) -> None:
                pass

        class Threading(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            block_on_close = False

        self.server = Threading(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self.thread.start()

    def end(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture(scope="session")
def one_emulator() -> Any:
    emulator = Emulator()
    yield emulator
    emulator.end()


@pytest.fixture
def emulator() -> Any:
    emulator = Emulator()
    yield emulator
    emulator.end()


@pytest.fixture
def world(emulator: Emulator) -> Any:
    world = World(emulator)
    yield world
    emulator.release()
    for client in world.clients:
        client.close()


@pytest.fixture
def server() -> Any:
    server = Server()
    yield server
    server.end()


@pytest.fixture
def other_server() -> Any:
    server = Server()
    yield server
    server.end()


@pytest.fixture(autouse=True)
def all_logs() -> Any:
    """Everything runs with the log at its most talkative."""
    logging.getLogger("hoopauth").setLevel(1)


def run_python(
    code: str, *arguments: str, check: bool = True, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs a program of its own, for what only a whole process can show."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "error", "-c", code, *arguments],
        text=True,
        capture_output=True,
        timeout=120,
        env={**os.environ, **environment},
        check=False,
    )
    if check:
        assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return done
