"""A kernel switch over many machines: surveyed, checked, rehearsed, and then switched in batches, by Ansible."""
