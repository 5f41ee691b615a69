"""How many connections there may be."""

import resource
from pathlib import Path

import pytest
from support import SCRIPT, key, public_pem, serving

from jwks_server.errors import ConfigError
from jwks_server.serving.descriptors import memory_limit, room_for_connections, room_in

MIB = 1024 * 1024


def test_room_for_connections() -> None:
    """There are as many connections as descriptors, less a reserve; more can't be asked for."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    descriptors = 50_096 if most == resource.RLIM_INFINITY else most
    assert room_for_connections(0) <= min(50_000, descriptors - 96)
    assert room_for_connections(5) == 5
    with pytest.raises(ConfigError, match="LimitNOFILE="):
        room_for_connections(descriptors + 1)


def test_room_in_memory() -> None:
    """Half of the memory is left for everything else; there is always room for a few."""
    assert room_in(256 * MIB) == 64 * MIB // (24 * 1024)
    assert room_in(1 * MIB) == 32


@pytest.mark.parametrize(
    ("membership", "files", "limit"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": "268435456", "memory.max": "max"}, 256 * MIB),
        ("0::/\n", {"memory.max": "134217728\n"}, 128 * MIB),
        ("4:memory:/x\n0::/\n", {"memory/x/memory.limit_in_bytes": "134217728"}, 128 * MIB),
        ("4:memory:/x\n", {"memory/memory.limit_in_bytes": "9223372036854771712"}, None),
        ("0::/../a\n", {"memory.max": "nonsense"}, None),
        ("", {}, None),
    ],
)
def test_memory_limit(tmp_path: Path, membership: str, files: dict[str, str], limit: int | None) -> None:
    """The lowest limit of the process's groups and those around them counts, in either version."""
    (tmp_path / "membership").write_text(membership)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert memory_limit(str(tmp_path / "membership"), str(tmp_path)) == limit


def test_hardly_any_descriptors(tmp_path: Path) -> None:
    """With 64 descriptors the program says what it needs, and doesn't start."""
    import subprocess

    done = subprocess.run(
        ["sh", "-c", 'ulimit -n 64 && exec "$@"', "sh", SCRIPT, "serve", str(tmp_path), "--bind", "127.0.0.1:0"],
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert b"at least 128" in done.stderr.splitlines()[-1]
    assert done.stderr.endswith(b"[config-invalid]\n")


async def test_few_descriptors(tmp_path: Path) -> None:
    """With few descriptors the log says at the start how many connections there may be."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    async with serving(tmp_path, through=("sh", "-c", 'ulimit -n 200 && exec "$@"', "sh")) as server:
        pass
    (told,) = [one for one in server.logs if one["event"] == "connections-limited"]
    assert (told["connections"], told["descriptors"]) == (104, 200)
