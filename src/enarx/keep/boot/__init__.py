"""The ways to start a Keep: `process` starts one as sandboxed processes of a zygote."""
