"""The status page for people: the status -> HTML, and the events that keep an open page up to date."""
