# Completion of makedumpfile for fish. Made by tools/manual: change what --help says instead.

complete -c makedumpfile -f

complete -c makedumpfile -F
complete -c makedumpfile -s c -s l -s p -s z -d 'compress by zlib, LZO, snappy, zstd'
complete -c makedumpfile -s d -r -f -a '1 31 1,31' -d 'leave out 1 zeros, 2 cache, 4 private cache, 8 user memory, 16 free pages, or a sum of them'
complete -c makedumpfile -s E -d 'write ELF'
complete -c makedumpfile -s F -d 'write to standard output, flattened'
complete -c makedumpfile -s R -d 'put together what is flattened on standard input'
complete -c makedumpfile -s f -d 'replace DUMPFILE'
complete -c makedumpfile -s D -d 'tell more'
complete -c makedumpfile -s x -r -F -d 'not needed'
complete -c makedumpfile -s i -r -F -d 'not needed'
complete -c makedumpfile -l split -d 'write several files, for several disks'
complete -c makedumpfile -l reassemble -d 'make one of them'
complete -c makedumpfile -l num-threads -x -d 'compress in N threads'
complete -c makedumpfile -l dump-dmesg -d 'write the kernel\'s log only'
complete -c makedumpfile -l mem-usage -d 'tell what a dump of this computer would leave out'
complete -c makedumpfile -l show-stats -d 'tell what became of every page'
complete -c makedumpfile -l dry-run -d 'write nothing'
complete -c makedumpfile -l check-params -d 'see whether the options are right'
complete -c makedumpfile -l message-level -x -d 'print 1 progress, 2 messages, 4 errors, 8 more, 16 numbers'
complete -c makedumpfile -s h -l help -d 'print this'
complete -c makedumpfile -s v -d 'print the version'
