"""How a Keep gets evidence about itself: one module for each kind of TEE, each with `host_data` and `attest`."""
