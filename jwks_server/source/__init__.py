"""The directory side: the only code that touches a key file."""
