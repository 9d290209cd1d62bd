"""For each kind of TEE its claims, the policy for them, and a policy to begin with. Loads no cryptography."""
