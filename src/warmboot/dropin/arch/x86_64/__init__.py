"""kexec-tools' options that x86_64 alone has."""
