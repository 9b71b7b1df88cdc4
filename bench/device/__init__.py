"""The check of a machine with a GPU in one command: are the CUDA kernels right there, and how fast are they?"""
