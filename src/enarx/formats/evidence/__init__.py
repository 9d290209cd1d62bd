"""Evidence and endorsements of each kind of TEE: bytes to frozen types, exact and strict. One module for each kind."""
