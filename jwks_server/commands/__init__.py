"""The commands, one module each. They show what the server decides."""
