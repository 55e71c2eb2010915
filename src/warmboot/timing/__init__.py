"""Where the seconds of a kexec go, from the call of reboot to user space, in a rehearsal and on this computer."""
