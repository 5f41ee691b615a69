"""The entry of the program: the console script, and ``python -m jwks_server``."""

import signal
import sys

_INTERRUPTED = 130


def main() -> None:
    """Run the command line.

    The imports take a while, and a signal may come before they are done. So ``serve`` handles signals first, and ends
    with success. A signal that ends another command is a failure.
    """
    if sys.argv[1:2] == ["serve"]:
        _take_signals()
    try:
        from jwks_server import console  # noqa: PLC0415 - see above

        console.open_standard_streams()
        console.guard()
        from jwks_server import cli  # noqa: PLC0415 - see above

        cli.main()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _take_signals() -> None:
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a reload is not needed: everything is about to be read
    for other in (signal.SIGUSR1, signal.SIGUSR2):  # a log rotator may send them; they mean nothing here
        signal.signal(other, signal.SIG_IGN)


def _leave(_number: int, _frame: object) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
