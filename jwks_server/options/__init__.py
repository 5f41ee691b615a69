"""The options: what can be set, and the settings that come of it."""
