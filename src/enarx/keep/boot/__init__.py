"""How a Keep starts: `process` makes one out of sandboxed processes."""
