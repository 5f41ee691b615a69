"""Where the program listens: unix sockets, descriptors that were handed down, shared ports."""

import asyncio
import os
import signal
import socket
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from sites import GET, read_reply, statuses
from support import HANG_SECONDS, SCRIPT, key, public_pem, run, serving

_LAST = GET[:-2] + b"Connection: close\r\n\r\n"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Make a directory with one key."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "a.pem").write_bytes(public_pem(key("RSA")))
    return tmp_path / "keys"


async def ask_unix(path: Path) -> bytes:
    """Ask once over a unix socket."""
    async with asyncio.timeout(HANG_SECONDS):
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(_LAST)
        reply = await reader.read()
        writer.close()
        return reply


async def ask(port: int) -> bytes:
    """Ask once over TCP."""
    async with asyncio.timeout(HANG_SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_LAST)
        reply = await reader.read()
        writer.close()
        return reply


async def failure(*arguments: str, pass_fds: Sequence[int] = (), **environment: str) -> bytes:
    """Run the program, which fails; give the last line that it writes."""
    process = await asyncio.create_subprocess_exec(
        *(SCRIPT, "serve", *arguments),
        stderr=asyncio.subprocess.PIPE,
        pass_fds=pass_fds,
        env={**os.environ, **environment},
    )
    async with asyncio.timeout(HANG_SECONDS):
        _, stderr = await process.communicate()
    assert process.returncode in {1, 2}
    assert b"Traceback" not in stderr
    return stderr.splitlines()[-1]


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_unix_socket(keys: Path, tmp_path: Path, loop: str) -> None:
    """A unix socket is made with its mode, answers, and is gone at the end."""
    path = tmp_path / "a.sock"
    async with serving(keys, "--bind", f"unix:{path}", "--unix-mode", "600", "--loop", loop) as server:
        assert (await server.log("listening"))["address"] == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert statuses(await ask_unix(path)) == [200]
    assert not path.exists()


async def test_stale_unix_socket(keys: Path, tmp_path: Path) -> None:
    """A socket that a dead process has left is replaced; one that lives, or a file, is left alone."""
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with serving(keys, "--bind", f"unix:{path}") as server:
        await server.log("listening")
        assert statuses(await ask_unix(path)) == [200]
        taken = await failure(str(keys), "--bind", f"unix:{path}")
        assert b"(Address already in use)" in taken
        assert taken.endswith(b"[listen-failed]")
        assert statuses(await ask_unix(path)) == [200]
    path.write_bytes(b"precious")
    assert b"[listen-failed]" in await failure(str(keys), "--bind", f"unix:{path}")
    assert path.read_bytes() == b"precious"


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_inherited_descriptor(keys: Path, tmp_path: Path, family: socket.AddressFamily, loop: str) -> None:
    """fd:N is listened on; the parent process keeps its own copy."""
    address = ("127.0.0.1", 0) if family == socket.AF_INET else str(tmp_path / "a.sock")
    with socket.socket(family) as listener:
        listener.bind(address)
        listener.listen()
        flags = ("--bind", f"fd:{listener.fileno()}", "--loop", loop)
        async with serving(keys, *flags, pass_fds=[listener.fileno()]) as server:
            await server.log("listening")
            if family == socket.AF_INET:
                assert statuses(await ask(listener.getsockname()[1])) == [200]
            else:
                assert statuses(await ask_unix(tmp_path / "a.sock")) == [200]
        with socket.socket(family) as later:  # there is still someone to wait for
            later.connect(listener.getsockname())


async def test_descriptor_that_is_none(keys: Path) -> None:
    """A descriptor that isn't open, or is not a listening socket, is one sentence with its code."""
    assert b"[listen-failed]" in await failure(str(keys), "--bind", "fd:99")
    with socket.socket() as idle, (keys / "a.pem").open() as file:
        for one in (idle, file):
            line = await failure(str(keys), "--bind", f"fd:{one.fileno()}", pass_fds=[one.fileno()])
            assert line.endswith(b"[listen-failed]")


async def test_socket_activation(keys: Path) -> None:
    """Sockets from systemd are listened on instead of the default, the one that is named admin by the admin."""
    with socket.create_server(("127.0.0.1", 0)) as public, socket.create_server(("127.0.0.1", 0)) as admin:
        program = (
            "import os, sys\n"
            f"os.dup2({public.fileno()}, 3); os.dup2({admin.fileno()}, 4)\n"
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='2', LISTEN_FDNAMES='web:admin')\n"
            f"os.execv({SCRIPT!r}, [{SCRIPT!r}, 'serve', {str(keys)!r}, '--log-format', 'json'])\n"
        )
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program),
            pass_fds=[public.fileno(), admin.fileno()],
            stderr=asyncio.subprocess.PIPE,
        )
        assert statuses(await ask(public.getsockname()[1])) == [200]
        reader, writer = await asyncio.open_connection("127.0.0.1", admin.getsockname()[1])
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert statuses(await read_reply(reader)) == [200]
        writer.close()
        process.terminate()
        _, stderr = await process.communicate()
        assert stderr.count(b'"listening"') == 2


async def test_several_processes_on_one_port(keys: Path) -> None:
    """With --reuse-port a second process shares the port, and takes over when the first one ends."""
    async with serving(keys, "--reuse-port") as first:
        address = f"127.0.0.1:{first.port}"
        assert b"[listen-failed]" in await failure(str(keys), "--bind", address)
        second = await asyncio.create_subprocess_exec(
            *(SCRIPT, "serve", str(keys), "--bind", address, "--reuse-port", "--log-format", "json"),
            stderr=asyncio.subprocess.PIPE,
        )
        assert second.stderr is not None
        async with asyncio.timeout(HANG_SECONDS):
            while b'"listening"' not in await second.stderr.readline():
                pass
        first.process.terminate()
        assert await first.end() == 0
        for _ in range(10):
            assert statuses(await ask(first.port)) == [200]
        second.terminate()
        await second.communicate()


async def test_burst_of_connections(keys: Path) -> None:
    """Hundreds of clients at once are all let in."""
    async with serving(keys) as server:
        replies = await asyncio.gather(*[ask(server.port) for _ in range(500)])
        assert all(statuses(reply) == [200] for reply in replies)


async def test_admin_port_in_use(keys: Path) -> None:
    """The message names the flag that chooses the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        line = await failure(str(keys), "--admin-bind", f"127.0.0.1:{taken.getsockname()[1]}")
    assert b"choose another with --admin-bind" in line


async def test_unix_socket_whose_queue_is_full(keys: Path, tmp_path: Path) -> None:
    """A socket that somebody listens at, and doesn't accept at, is taken."""
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(path))
        busy.listen(0)
        waiting.connect(str(path))
        assert b"(Address already in use)" in await failure(str(keys), "--bind", f"unix:{path}")


async def test_descriptor_without_a_parent(keys: Path) -> None:
    """Connections that wait at a socket whose parent has gone are answered at the end, and none is let in after it."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    async with serving(keys, "--bind", f"fd:{listener.fileno()}", pass_fds=[listener.fileno()]) as server:
        await server.log("listening")
        listener.close()
        server.process.send_signal(signal.SIGSTOP)
        waiting = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        for _, writer in waiting:
            writer.write(_LAST)
        server.process.terminate()
        server.process.send_signal(signal.SIGCONT)
        for reader, writer in waiting:
            assert statuses(await reader.read()) == [200]
            writer.close()
        assert await server.end() == 0


async def test_kernel_without_ipv6(keys: Path, tmp_path: Path) -> None:
    """An address for which the kernel has no sockets is an error; of a name's addresses, the others are enough."""
    (tmp_path / "sitecustomize.py").write_text(
        "import errno, os, socket\n"
        "class Socket(socket.socket):\n"
        "    def __init__(self, family=-1, *rest, **more):\n"
        "        if family == socket.AF_INET6:\n"
        "            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))\n"
        "        super().__init__(family, *rest, **more)\n"
        "socket.socket = Socket\n"
        "real = socket.getaddrinfo\n"
        "def both(host, *rest, **more):\n"
        "    return [one for name in (['::1', '127.0.0.1'] if host == 'localhost' else [host])\n"
        "            for one in real(name, *rest, **more)]\n"
        "socket.getaddrinfo = both\n"
    )
    line = await failure(str(keys), "--bind", "[::]:0", "--admin-bind", "off", PYTHONPATH=str(tmp_path))
    assert b"[::]:0 can't be listened on (Address family not supported by protocol)" in line
    async with serving(keys, "--bind", "localhost:0", PYTHONPATH=str(tmp_path)) as server:
        assert (await server.log("listening"))["address"].startswith("127.0.0.1:")


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("flag", ["--bind", "--admin-bind"])
@pytest.mark.parametrize("kind", ["tcp", "unix"])
async def test_a_taken_address_is_told_before_anything_else(
    keys: Path, tmp_path: Path, kind: str, flag: str, loop: str
) -> None:
    """No key is read and nothing is logged: the only line names the address and has the code."""
    with socket.socket(socket.AF_UNIX) if kind == "unix" else socket.socket() as used:
        used.bind(str(tmp_path / "a.sock") if kind == "unix" else ("127.0.0.1", 0))
        used.listen()
        address = f"unix:{tmp_path}/a.sock" if kind == "unix" else f"127.0.0.1:{used.getsockname()[1]}"
        other = "--admin-bind" if flag == "--bind" else "--bind"
        done = await asyncio.to_thread(run, "serve", keys / "none", flag, address, other, "127.0.0.1:0", "--loop", loop)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"jwks-server: {address} can't be listened on (Address already in use); choose another with {flag}. "
        "[listen-failed]\n"
    )


async def test_an_address_that_is_taken_meanwhile(keys: Path) -> None:
    """Two processes can bind the same port before one of them listens; the other one then ends with the same error."""
    program = (
        "import socket, sys\n"
        "from jwks_server.serving import sockets\n"
        "real = sockets.taken\n"
        "def late(address, how):\n"
        "    found = real(address, how)\n"
        "    for one in found:\n"
        "        first = socket.socket()\n"
        "        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
        "        first.bind(one.getsockname())\n"
        "        first.listen()\n"
        "        kept.append(first)\n"
        "    return found\n"
        "kept = []\n"
        "sockets.taken = late\n"
        "sys.argv = ['jwks-server', *sys.argv[1:]]\n"
        "from jwks_server import cli\n"
        "cli.main()\n"
    )
    for loop in ("uvloop", "asyncio"):
        arguments = ["serve", str(keys), "--bind", "127.0.0.1:0", "--admin-bind", "off", "--loop", loop]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program, *arguments), stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(HANG_SECONDS):
            _, stderr = await process.communicate()
        assert process.returncode == 1
        assert b"Traceback" not in stderr
        assert b"(Address already in use); choose another with --bind. [listen-failed]" in stderr.splitlines()[-1]
