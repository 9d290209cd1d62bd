"""The process beside each Keep: it holds the Keep's control socket, stores its output and serves its clients."""
