"""kdump on one computer: its configuration, where dumps go, what saves them, and what the capture initrd is made of."""
