"""Intel's attestation: certificates, collateral, TCB levels, and the checks that every quote is put through (DCAP)."""
