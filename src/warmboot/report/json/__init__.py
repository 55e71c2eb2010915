"""Results as JSON for a script."""
