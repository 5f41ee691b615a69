"""Publishes a directory of PEM or JWK files as a correct, current, cacheable JWK Set (RFC 7517)."""

__version__ = "0.1.0"
