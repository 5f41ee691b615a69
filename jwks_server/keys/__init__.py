"""The pure core: bytes and times in, a key set out. No clock, no I/O, no web server, no logging."""
