"""What the host keeps on disk about its Keeps, and how it is read back with suspicion."""
