"""Each module has its mirrored test file, so that a reader finds its tests without a search."""

from support import ROOT

# Modules without a test file of their own, and why.
EXCEPTIONS = {
    "__main__": "test_cli.py and test_service.py run it",
    "commands/judged": "commands/test_verify.py is about it",
    "commands/layout": "commands/test_render.py is about it",
    "commands/progress": "commands/test_wait.py is about it",
    "keys/evaluation": "keys/test_evaluate.py is about it",
    "keys/instants": "keys/test_changes_logged.py is about it",
    "keys/observation": "keys/test_evaluate.py is about it",
    "options/completion": "commands/test_completion.py is about it",
    "signals": "test_service.py is about it",
    "keys/assign": "keys/test_build.py is about it",
}


def test_each_module_has_its_test_file() -> None:
    """A module jwks_server/A/B.py has tests/A/test_B.py, but for the exceptions above."""
    package = ROOT / "jwks_server"
    modules = [one.relative_to(package) for one in package.rglob("*.py") if one.name != "__init__.py"]
    lacking = {
        str(one.with_suffix(""))
        for one in modules
        if not (ROOT / "tests" / one.with_name(f"test_{one.name}")).is_file()
    }
    assert lacking <= EXCEPTIONS.keys()
