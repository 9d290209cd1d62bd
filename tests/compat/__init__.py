"""Real programs and the guides for languages: the same in a Keep as under the wasmtime command (`make compat`)."""
