"""The HTTP side: finished replies from the catalog. It never opens a key file."""
