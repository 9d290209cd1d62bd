"""The workload's two processes, `compiler` and `runner`, and `wasi`, the one module that calls wasmtime."""
