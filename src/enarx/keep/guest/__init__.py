"""The workload's processes, `compiler`, `runner` and `collector`, and `wasi`, the one module that calls wasmtime."""
