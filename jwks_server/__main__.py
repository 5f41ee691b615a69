"""The entry of the program: the console script, and ``python -m jwks_server``."""

import signal
import sys


def main() -> None:
    """Take the signals in hand before the imports, which take longer than a signal may; then run the command line."""
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    if hasattr(signal, "SIGHUP"):  # there is none on Windows
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # everything is about to be read anyway
    from jwks_server import cli  # noqa: PLC0415 - see above

    cli.main()


def _leave(_number: int, _frame: object) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
