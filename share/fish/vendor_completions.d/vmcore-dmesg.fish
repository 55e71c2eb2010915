# Completion of vmcore-dmesg for fish. Made by tools/manual: change what --help says instead.

complete -c vmcore-dmesg -f

complete -c vmcore-dmesg -F
