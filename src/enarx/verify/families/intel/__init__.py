"""Intel's attestation (DCAP): certificates, collateral, TCB levels, and the checks of a quote."""
