"""An issuer's folder: what is wrong with the machine is not wrong with a file."""

import os
import resource
from pathlib import Path

from support import key, public_pem, thumbprint

from jwks_server.errors import SourceError
from jwks_server.keys.observation import Observation
from jwks_server.source.directory import Directory


def test_no_descriptor_left_is_no_bad_file(tmp_path: Path) -> None:
    """However few descriptors the process has left, no known key is lost: the directory is at fault, not its file."""
    path = tmp_path / "a.pem"
    path.write_bytes(public_pem(key("P-256")))
    directory = Directory(tmp_path, ["*.pem"])
    directory.read()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    following = os.dup(0)
    os.close(following)
    outcomes = []
    for spare in range(12):
        os.utime(path, (spare, spare))  # so that the file is read again
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (following + spare, hard))
            seen = directory.read()["/"]
        except SourceError as error:
            outcomes.append(error.code)
            continue
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert isinstance(seen, Observation)
        assert seen.files["a.pem"].error is None
        assert seen.files["a.pem"].keys[0].thumbprint == thumbprint(key("P-256"))
        outcomes.append("read")
    assert {outcomes[0], outcomes[-1]} == {"directory-unreadable", "read"}
