"""Two reports of warmboot: what differs."""
