"""The backend `process`: a Keep as a sandboxed child process, with a simulator that signs its evidence."""
