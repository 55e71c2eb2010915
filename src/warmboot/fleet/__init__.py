"""Whether an image loads on many machines, each known by its facts."""
