"""The oracle: the same operations on real Linux kernels and on the model, compared call for call."""
