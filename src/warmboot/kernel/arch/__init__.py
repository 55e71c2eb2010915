"""Hooks of the architectures: machine_kexec_prepare, machine_kexec_post_load, machine_kexec."""
