"""The operator's commands, one module each: what the server decides, asked from the command line."""
