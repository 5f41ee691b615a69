"""The client's side: fetch sets from every replica, and verify tokens with them."""
