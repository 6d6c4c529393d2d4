"""Tests of the installed package: its files, its imports, its types."""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest
from conftest import (
    CLIENT_ID,
    CLIENT_SECRET,
    LOCATION,
    PRIVATE_INTEGRATION,
    ROOT,
    World,
    approve,
    emulator_program,
    run_python,
)

import hoopauth
from hoopauth import _hoopauth


def test_the_wheel_is_tested_not_the_source() -> None:
    assert "site-packages" in hoopauth.__file__
    assert not pathlib.Path(hoopauth.__file__).is_relative_to(ROOT / "python")
    assert pathlib.Path(hoopauth.__file__).parent.joinpath("py.typed").exists()


def test_versions_agree() -> None:
    assert hoopauth.__version__ == importlib.metadata.version("hoopauth")


def test_every_code_has_its_class() -> None:
    from hoopauth._errors import BY_CODE

    assert {code: kind.name for code, kind in BY_CODE.items()} == _hoopauth.ERROR_CODES
    for kind in BY_CODE.values():
        assert kind.__name__.upper() == kind.name.replace("_", "")
        assert getattr(hoopauth, kind.__name__) is kind
        assert kind.__doc__


def test_every_option_is_typed() -> None:
    assert list(hoopauth.Options.__annotations__) == hoopauth.OPTIONS


def test_everything_is_documented() -> None:
    for name in hoopauth.__all__:
        value = getattr(hoopauth, name)
        if isinstance(value, type):
            assert value.__doc__, name
            for member, method in vars(value).items():
                if not member.startswith("_"):
                    assert method.__doc__ or not callable(method), f"{name}.{member}"


def test_importing_imports_little() -> None:
    code = (
        "import sys; before = set(sys.modules); import hoopauth; "
        "print(*sorted(set(sys.modules) - before))"
    )
    imported = run_python(code).stdout.split()
    assert set(imported) <= {
        "__future__",
        "atexit",
        "hoopauth",
        "hoopauth._errors",
        "hoopauth._hoopauth",
        "hoopauth._hoopauth._hoopauth",
    }


def test_the_adapters_say_what_is_missing() -> None:
    for library in ("requests", "httpx"):
        code = f"import sys; sys.modules['{library}'] = None\nimport hoopauth\n"
        code += f"hoopauth.Client(access_token='a').{library}_auth()"
        done = run_python(code, check=False)
        assert f"pip install hoopauth[{library}]" in done.stderr


@pytest.mark.parametrize(
    "command", [["mypy", "--strict", "-p", "hoopauth"], ["mypy.stubtest", "hoopauth"]]
)
def test_types(command: list[str], tmp_path: pathlib.Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_user_code_is_checked(tmp_path: pathlib.Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import hoopauth\n"
        "class Mine:\n"
        "    def load(self, app: str, account: str) -> tuple[int, bytes] | None: return None\n"
        "    def save(\n"
        "        self, app: str, account: str, at: int, data: bytes, columns: object\n"
        "    ) -> bool: return True\n"
        "    def accounts(self, app: str) -> list[str]: return []\n"
        "client = hoopauth.Client(client_id='a', timeout=1.5, scopes=['x'], token_store=Mine())\n"
        "reveal_type(client.headers())\n"
        "hoopauth.Client(clientid='a')\n"
        "client.headers(1)\n"
        "params = {'a': 1, 'b': ['x', 2]}\n"
        "headers = [('X', '1')]\n"
        "answer = client.request('GET', '/', params=params, json={'a': [1]}, headers=headers)\n"
        "key = hoopauth.WebhookKey('ed25519', 'a', 'b')\n"
        "verifier = client.webhook_verifier([key], max_age=300, any_app=True)\n"
        "def handle(environ: dict[str, object]) -> None:\n"
        "    with verifier.verify(environ, b'') as delivery: reveal_type(delivery.type)\n"
        "async def view(request: object) -> None:\n"
        "    async with await verifier.verify_request_async(request) as delivery:\n"
        "        reveal_type(client.apply(delivery))\n"
        "client.request('GET', '/', jsn=1)\n"
        "verifier.verify({}, 'text')\n"
        "client.webhook_verifier(maxage=1)\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", "program.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    said = done.stdout
    assert 'note: Revealed type is "dict[str, str]"' in said or "builtins.dict[" in said, said
    assert 'program.py:10: error: Unexpected keyword argument "clientid"' in said, said
    assert "program.py:11: error" in said, said
    for line in (22, 23, 24):
        assert f"program.py:{line}: error" in said, said
    assert "Found 5 errors" in said, said


def test_the_metadata_names_nobody_and_no_place_that_is_not_there() -> None:
    metadata = importlib.metadata.metadata("hoopauth")
    assert metadata["Author"] == "The hoopauth developers"
    assert not [
        name
        for name in metadata
        if name in {"Author-email", "Maintainer-email", "Project-URL", "Home-page"}
    ]


def test_the_demonstration_says_nothing_else() -> None:
    command = [sys.executable, "-W", "error", str(ROOT / "examples" / "python" / "demo.py")]
    environment = {**os.environ, "HOOPAUTH_EMULATOR": emulator_program()}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.endswith("all of it as it should be\n")


def test_the_examples_run(world: World) -> None:
    emulator, examples = world.emulator, ROOT / "examples" / "python"
    emulator.control("clock", {"frozen": False})
    environment = {
        **os.environ,
        "HOOPAUTH_API_BASE": emulator.api,
        "HOOPAUTH_AUTHORIZE_URL": emulator.urls["authorize"],
        "HOOPAUTH_TOKEN_URL": emulator.urls["token"],
        "no_proxy": "127.0.0.1",
    }
    simple = {"HOOPAI_TOKEN": PRIVATE_INTEGRATION, "LOCATION_ID": "hoopLocation00000001"}
    command = [sys.executable, "-W", "error", str(examples / "private_integration.py")]
    done = subprocess.run(
        command,
        env={**environment, **simple},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.startswith("200: {"), done.stderr

    oauth = {
        "HOOPAUTH_CLIENT_ID": CLIENT_ID,
        "HOOPAUTH_CLIENT_SECRET": CLIENT_SECRET,
        "HOOPAUTH_REDIRECT_URI": "https://app.example/",
        "HOOPAUTH_SCOPES": "locations.readonly",
    }
    command[-1:] = ["-u", str(examples / "oauth.py")]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env={**environment, **oauth}, **pipes) as program:
        url = program.stdout.readline().removeprefix("open this page: ").strip()
        said, _ = program.communicate(approve(url, LOCATION) + "\n", timeout=60)
    assert f"authorized {LOCATION}\n200: {{" in said
