"""Each module has its mirrored test file, so that a reader finds its tests without a search."""

from pathlib import Path

from support import ROOT

import jwks_server

# Modules without a test file of their own, and why.
EXCEPTIONS = {
    "__main__": "test_main.py is about it",
    "commands/judged": "commands/test_verify.py is about it",
    "keys/evaluation": "keys/test_evaluate.py is about it",
    "keys/observation": "keys/test_evaluate.py is about it",
    "serving/head_buffer": "serving/test_request_head.py is about it",
    "serving/open_connection": "serving/test_connections.py is about it",
    "serving/tls_context": "serving/test_tls_wire.py is about it",
    "serving/tls_engine": "serving/test_tls_wire.py is about it",
    "serving/wire": "serving/test_connections.py is about it",
    "options/completion": "commands/test_completion.py is about it",
    "signals": "test_service.py is about it",
    "tasks": "test_service.py is about it",
    "commands/apart": "commands/test_render.py is about it",
    "serving/new_connection": "serving/test_connection.py is about it",
    "keys/tighten": "keys/test_evaluate.py is about it",
    "keys/writing": "test_writing.py is about it",
    "source/history": "source/test_issuers.py is about it",
    "source/inotify": "source/test_notices.py is about it",
    "source/owned": "source/test_state.py is about it",
    "source/places": "source/test_watch.py is about it",
    "source/report": "source/test_reload.py is about it",
    "source/remembered": "source/test_state.py is about it",
    "keys/allowed": "keys/test_assign.py is about it",
    "keys/index": "keys/test_decide.py is about it",
}


def test_each_module_has_its_test_file() -> None:
    """A module jwks_server/A/B.py has tests/A/test_B.py, but for the exceptions above."""
    package = Path(jwks_server.__file__).parent
    modules = [one.relative_to(package) for one in package.rglob("*.py") if one.name != "__init__.py"]
    lacking = {
        str(one.with_suffix(""))
        for one in modules
        if not (ROOT / "tests" / one.with_name(f"test_{one.name}")).is_file()
    }
    assert lacking <= EXCEPTIONS.keys()
