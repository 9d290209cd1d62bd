"""The workload: `compiler` makes machine code of its module, `runner` runs that, `wasi` is what both ask of wasmtime."""
