"""What a kexec of this computer may run into after the jump, as far as it can be seen before."""
