"""What runs in a guest: the agents and the root they run from."""
