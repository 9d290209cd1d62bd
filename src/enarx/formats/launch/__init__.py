"""What is launched, as bytes: firmware, kernels, enclave images and the blocks that bind a launch. One module for each format.

`enarx.image.launch` computes from them what hardware measures.
"""
