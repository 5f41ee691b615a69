"""What can be configured, and the settings that the server and the commands get."""
