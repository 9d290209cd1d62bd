"""The files of a launch as bytes: firmware, kernels, enclave images and ID blocks, with one module for each format.

`enarx.image.launch` computes launch measurements from them.
"""
