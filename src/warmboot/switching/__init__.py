"""Switching this computer to another kernel while services live on: the agent, and what `warmboot switch` does."""
