"""What is served: pages, their representations, and the catalog that holds the current edition. Pure."""
