"""Runs the command line as ``python -m jwks_server``."""

from jwks_server.cli import main

if __name__ == "__main__":
    main()
