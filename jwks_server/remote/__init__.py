"""What a client sees: sets fetched from every replica, and tokens verified with them."""
