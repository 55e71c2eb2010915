"""Calls recorded on real kernels, replayed on the model, generated and shrunk."""
