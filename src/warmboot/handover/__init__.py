"""Handover: what Linux's KHO and LUO keep in memory over a kexec, decoded from any view of that memory."""
