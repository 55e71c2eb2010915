# Completion of warmboot for fish. Made by tools/manual: change what --help says instead.

function __complete_warmboot
    set -l commands 'warmboot rehearse' 'warmboot crashkernel' 'warmboot check' 'warmboot compare' 'warmboot kdump' 'warmboot kdump install' 'warmboot kdump initrd' 'warmboot kdump test' 'warmboot kdump load' 'warmboot kdump unload' 'warmboot kdump status' 'warmboot kdump save' 'warmboot kdump pack' 'warmboot demo' 'warmboot inspect' 'warmboot signature' 'warmboot facts' 'warmboot risks' 'warmboot blackbox' 'warmboot load' 'warmboot exec' 'warmboot time' 'warmboot switch' 'warmboot unload' 'warmboot status' 'warmboot handover' 'warmboot handover show' 'warmboot handover check' 'warmboot handover cost' 'warmboot roll' 'warmboot roll start' 'warmboot roll resume' 'warmboot roll status' 'warmboot roll report' 'warmboot explain' 'warmboot record' 'warmboot replay' 'warmboot fuzz' 'warmboot witness' 'warmboot debian' 'warmboot debian kernel' 'warmboot debian initrd' 'warmboot debian fetch' 'warmboot debian build' 'warmboot dump' 'warmboot dump save' 'warmboot dump convert' 'warmboot dump why' 'warmboot dump fits' 'warmboot dump info' 'warmboot dump dmesg' 'warmboot dump read' 'warmboot dump tasks' 'warmboot dump bt' 'warmboot dump modules' 'warmboot dump devices' 'warmboot dump check' 'warmboot dump diff' 'warmboot dump drgn'
    set -l command warmboot
    for word in (commandline -opc)[2..-1]
        if contains -- "$command $word" $commands
            set command "$command $word"
        end
    end
    test "$command" = "$argv"
end

complete -c warmboot -f

complete -c warmboot -n '__complete_warmboot warmboot' -a rehearse -d 'does this kernel load and boot on such a machine?'
complete -c warmboot -n '__complete_warmboot warmboot' -a crashkernel -d 'how much memory must be reserved so that a crash gives a dump?'
complete -c warmboot -n '__complete_warmboot warmboot' -a check -d 'does it load on every machine of a fleet?'
complete -c warmboot -n '__complete_warmboot warmboot' -a compare -d 'what differs between two reports'
complete -c warmboot -n '__complete_warmboot warmboot' -a kdump -d 'a crash kernel, loaded, tried, and its dump saved'
complete -c warmboot -n '__complete_warmboot warmboot' -a demo -d 'a tiny kernel, loaded and run in this process'
complete -c warmboot -n '__complete_warmboot warmboot' -a inspect -d 'what a kernel file is and what it needs'
complete -c warmboot -n '__complete_warmboot warmboot' -a signature -d 'who signed a kernel, and does this machine accept it?'
complete -c warmboot -n '__complete_warmboot warmboot' -a facts -d 'this machine, or others, as JSON, for a rehearsal elsewhere'
complete -c warmboot -n '__complete_warmboot warmboot' -a risks -d 'what may fail on this computer after the jump'
complete -c warmboot -n '__complete_warmboot warmboot' -a blackbox -d 'how far the last kexec came, and what stopped it'
complete -c warmboot -n '__complete_warmboot warmboot' -a load -d 'load a kernel on this computer'
complete -c warmboot -n '__complete_warmboot warmboot' -a exec -d 'start the loaded kernel on this computer'
complete -c warmboot -n '__complete_warmboot warmboot' -a time -d 'where the seconds of a kexec go'
complete -c warmboot -n '__complete_warmboot warmboot' -a switch -d 'to another kernel, while services live on'
complete -c warmboot -n '__complete_warmboot warmboot' -a unload -d 'forget the kernel that is loaded'
complete -c warmboot -n '__complete_warmboot warmboot' -a status -d 'what is loaded on this computer'
complete -c warmboot -n '__complete_warmboot warmboot' -a handover -d 'what a kernel hands over to the next one'
complete -c warmboot -n '__complete_warmboot warmboot' -a roll -d 'switch a fleet to another kernel, canary first'
complete -c warmboot -n '__complete_warmboot warmboot' -a explain -d 'why did kexec fail?'
complete -c warmboot -n '__complete_warmboot warmboot' -a record -d 'play kexec operations on a real kernel in QEMU'
complete -c warmboot -n '__complete_warmboot warmboot' -a replay -d 'play a recorded trace on the model, and compare'
complete -c warmboot -n '__complete_warmboot warmboot' -a fuzz -d 'generated kexec calls on a real kernel and on the model, compared'
complete -c warmboot -n '__complete_warmboot warmboot' -a witness -d 'what a new kernel finds, on a real kernel and on the model, compared'
complete -c warmboot -n '__complete_warmboot warmboot' -a debian -d 'get Debian\'s kernels and a guest root'
complete -c warmboot -n '__complete_warmboot warmboot' -a dump -d 'save and read dumps of crashed kernels'
complete -c warmboot -n '__complete_warmboot warmboot' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot' -l version -d 'show program\'s version number and exit'
complete -c warmboot -n '__complete_warmboot warmboot' -l debug -d 'show where an error comes from'

complete -c warmboot -n '__complete_warmboot warmboot rehearse' -F
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l initrd -r -F -d 'an initial RAM disk'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l module -r -F -d 'a module of a multiboot kernel such as Xen, with its own command line'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l command-line -x -d 'the new kernel\'s command line, which also replaces an image\'s own'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l append -x -d 'add to the new kernel\'s command line'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l panic -d 'load it as the crash kernel, into the memory that is reserved for it'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l call -r -f -a 'auto kexec_load kexec_file_load' -d 'the system call'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l digest -r -f -a 'xxh64 sha256 none' -d 'what the image is checked by after the jump'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l no-blackbox -d 'the purgatory marks nothing'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l unpack -x -d 'unpack here what would unpack itself after the jump'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l profile -r -f -a 'linux-7.2 linux-6.18 linux-6.17 linux-6.16 linux-6.15 linux-6.14 linux-6.12 linux-6.11 linux-6.10 linux-6.8 linux-6.6 linux-6.5 linux-6.3 linux-6.1 linux-6.0 linux-5.15 linux-5.10 list' -d 'the release whose rules the model follows'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l like -r -F -d 'use the machine described by a file that \'warmboot facts\' wrote'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l memory -x -d 'the machine\'s RAM, as 512M or 4G'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l cpus -x -d 'its processors'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l crashkernel -x -d 'memory that its kernel has reserved for a crash kernel, as Linux takes it'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l no-boot -d 'stop at the new kernel\'s entry point'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l until -x -d 'boot until TEXT is on the console, instead of until user space'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l timeout -x -d 'seconds that the boot may take'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l console -r -F -d 'write the new kernel\'s console to FILE instead of showing it here'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l html -r -F -d 'write a page to FILE too'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l junit -r -F -d 'write the stages to FILE as JUnit\'s XML too, which systems for continuous integration show'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l json -d 'print one JSON object at the end, on errors too'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l crash -d 'boot KERNEL, load a capture kernel, crash, save the dump and look into it'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l on -r -f -a 'guest model' -d 'where it crashes'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l capture -r -F -d 'the kernel that takes the dump'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l capture-initrd -r -F -d 'the capture kernel\'s initrd'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l capture-append -x -d 'add to the capture kernel\'s command line'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l efi -d 'with EFI firmware, which WARMBOOT_OVMF or a package has'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l crash-by -r -f -a 'sysrq null watchdog nmi' -d 'how KERNEL crashes, in a guest'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l save -r -F -d 'keep the dump in FILE'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l handover -r -F -d 'boot a first kernel, run \'SCRIPT preserve\' in it, load KERNEL by kexec_file_load and jump'
complete -c warmboot -n '__complete_warmboot warmboot rehearse' -l first -r -F -d 'the kernel that preserves'

complete -c warmboot -n '__complete_warmboot warmboot crashkernel' -F
complete -c warmboot -n '__complete_warmboot warmboot crashkernel' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot crashkernel' -l capture-initrd -r -F -d 'the capture kernel\'s initrd'
complete -c warmboot -n '__complete_warmboot warmboot crashkernel' -l capture-append -x -d 'add to the capture kernel\'s command line'
complete -c warmboot -n '__complete_warmboot warmboot crashkernel' -l efi -d 'with EFI firmware, which WARMBOOT_OVMF or a package has'
complete -c warmboot -n '__complete_warmboot warmboot crashkernel' -l like -r -F -d 'use the machine described by a file that \'warmboot facts\' wrote'
complete -c warmboot -n '__complete_warmboot warmboot crashkernel' -l memory -x -d 'the machine\'s RAM, as 512M or 4G'
complete -c warmboot -n '__complete_warmboot warmboot crashkernel' -l until -x -d 'a size works if TEXT appears on the console'
complete -c warmboot -n '__complete_warmboot warmboot crashkernel' -l timeout -x -d 'seconds that a try may take'
complete -c warmboot -n '__complete_warmboot warmboot crashkernel' -l json -d 'print one JSON object at the end, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot check' -F
complete -c warmboot -n '__complete_warmboot warmboot check' -F
complete -c warmboot -n '__complete_warmboot warmboot check' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot check' -l initrd -r -F -d 'an initial RAM disk'
complete -c warmboot -n '__complete_warmboot warmboot check' -l command-line -x -d 'the new kernel\'s command line, which also replaces an image\'s own'
complete -c warmboot -n '__complete_warmboot warmboot check' -l append -x -d 'add to the new kernel\'s command line'
complete -c warmboot -n '__complete_warmboot warmboot check' -l panic -d 'as the crash kernel, into what each machine has reserved for it'
complete -c warmboot -n '__complete_warmboot warmboot check' -l call -r -f -a 'auto kexec_load kexec_file_load' -d 'the system call'
complete -c warmboot -n '__complete_warmboot warmboot check' -l profile -r -f -a 'linux-7.2 linux-6.18 linux-6.17 linux-6.16 linux-6.15 linux-6.14 linux-6.12 linux-6.11 linux-6.10 linux-6.8 linux-6.6 linux-6.5 linux-6.3 linux-6.1 linux-6.0 linux-5.15 linux-5.10 list' -d 'the release whose rules the model follows'
complete -c warmboot -n '__complete_warmboot warmboot check' -l verbose -d 'each machine too, after the summary'
complete -c warmboot -n '__complete_warmboot warmboot check' -l format -r -f -a 'table jsonl' -d 'table, jsonl'
complete -c warmboot -n '__complete_warmboot warmboot check' -l output -r -F -d 'write each machine\'s answer to a Parquet file'
complete -c warmboot -n '__complete_warmboot warmboot check' -l jobs -x -d 'processes'
complete -c warmboot -n '__complete_warmboot warmboot check' -l scheduler -x -d 'check on the Dask cluster whose scheduler is there'
complete -c warmboot -n '__complete_warmboot warmboot check' -l timeout -x -d 'seconds that the scheduler may take to answer'
complete -c warmboot -n '__complete_warmboot warmboot check' -l html -r -F -d 'write a page to FILE too'
complete -c warmboot -n '__complete_warmboot warmboot check' -l json -d 'print the summary as one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot compare' -F
complete -c warmboot -n '__complete_warmboot warmboot compare' -F
complete -c warmboot -n '__complete_warmboot warmboot compare' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot compare' -l html -r -F -d 'write a page to FILE too'
complete -c warmboot -n '__complete_warmboot warmboot compare' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot kdump' -a install -d 'install the unit and hooks'
complete -c warmboot -n '__complete_warmboot warmboot kdump' -a initrd -d 'make the capture initrd'
complete -c warmboot -n '__complete_warmboot warmboot kdump' -a test -d 'try all of it, before a crash'
complete -c warmboot -n '__complete_warmboot warmboot kdump' -a load -d 'load the capture kernel'
complete -c warmboot -n '__complete_warmboot warmboot kdump' -a unload -d 'forget the capture kernel'
complete -c warmboot -n '__complete_warmboot warmboot kdump' -a status -d 'what a crash would do now'
complete -c warmboot -n '__complete_warmboot warmboot kdump' -a save -d 'save /proc/vmcore as configured'
complete -c warmboot -n '__complete_warmboot warmboot kdump' -a pack -d 'fill an initrd\'s folder'
complete -c warmboot -n '__complete_warmboot warmboot kdump' -s h -l help -d 'show this help message and exit'

complete -c warmboot -n '__complete_warmboot warmboot kdump install' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot kdump install' -l root -r -f -a '(__fish_complete_directories)' -d 'the system to install into'
complete -c warmboot -n '__complete_warmboot warmboot kdump install' -l program -r -F -d 'warmboot\'s path there'
complete -c warmboot -n '__complete_warmboot warmboot kdump install' -l enable -d 'start the unit at each boot'
complete -c warmboot -n '__complete_warmboot warmboot kdump install' -l dry-run -d 'say what would be written'

complete -c warmboot -n '__complete_warmboot warmboot kdump initrd' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot kdump initrd' -l tool -r -f -a 'initramfs-tools dracut' -d 'initramfs-tools or dracut'
complete -c warmboot -n '__complete_warmboot warmboot kdump initrd' -l release -x -d 'the capture kernel\'s, as uname -r'
complete -c warmboot -n '__complete_warmboot warmboot kdump initrd' -l out -r -F -d '(default'
complete -c warmboot -n '__complete_warmboot warmboot kdump initrd' -l config -r -F -d '(default'
complete -c warmboot -n '__complete_warmboot warmboot kdump initrd' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot kdump test' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot kdump test' -l config -r -F -d '(default'
complete -c warmboot -n '__complete_warmboot warmboot kdump test' -l show -d 'print the command, and do nothing'
complete -c warmboot -n '__complete_warmboot warmboot kdump test' -l quick -d 'no rehearsal'
complete -c warmboot -n '__complete_warmboot warmboot kdump test' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot kdump load' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot kdump load' -l config -r -F -d '(default'
complete -c warmboot -n '__complete_warmboot warmboot kdump load' -l show -d 'print the command, and do nothing'

complete -c warmboot -n '__complete_warmboot warmboot kdump unload' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot kdump unload' -l config -r -F -d '(default'
complete -c warmboot -n '__complete_warmboot warmboot kdump unload' -l show -d 'print the command, and do nothing'

complete -c warmboot -n '__complete_warmboot warmboot kdump status' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot kdump status' -l config -r -F -d '(default'
complete -c warmboot -n '__complete_warmboot warmboot kdump status' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot kdump save' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot kdump save' -l config -r -F -d '(default'
complete -c warmboot -n '__complete_warmboot warmboot kdump save' -l show -d 'print the command, and do nothing'

complete -c warmboot -n '__complete_warmboot warmboot kdump pack' -f -a '(__fish_complete_directories)'
complete -c warmboot -n '__complete_warmboot warmboot kdump pack' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot kdump pack' -l config -r -F -d '(default'

complete -c warmboot -n '__complete_warmboot warmboot demo' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot demo' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot inspect' -F
complete -c warmboot -n '__complete_warmboot warmboot inspect' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot inspect' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot signature' -F
complete -c warmboot -n '__complete_warmboot warmboot signature' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot signature' -l like -r -F -d 'use the machine described by a file that \'warmboot facts\' wrote'
complete -c warmboot -n '__complete_warmboot warmboot signature' -l kernel -r -F -d 'the running kernel\'s file'
complete -c warmboot -n '__complete_warmboot warmboot signature' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot facts' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot facts' -l from -r -F -d 'files of one machine'
complete -c warmboot -n '__complete_warmboot warmboot facts' -l timeout -x -d 'seconds for each host'
complete -c warmboot -n '__complete_warmboot warmboot facts' -l ssh-config -r -F -d 'ssh\'s configuration, as for ssh -F'
complete -c warmboot -n '__complete_warmboot warmboot facts' -l json -d 'print JSON, as it always does, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot risks' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot risks' -l command-line -x -d 'the new kernel\'s command line'
complete -c warmboot -n '__complete_warmboot warmboot risks' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot blackbox' -f -a 'show arrived install clear'
complete -c warmboot -n '__complete_warmboot warmboot blackbox' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot blackbox' -l memory -r -F -d 'read a copy of the page, or of memory that holds it'
complete -c warmboot -n '__complete_warmboot warmboot blackbox' -l address -x -d 'read this physical address'
complete -c warmboot -n '__complete_warmboot warmboot blackbox' -l write -d 'with install'
complete -c warmboot -n '__complete_warmboot warmboot blackbox' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot load' -F
complete -c warmboot -n '__complete_warmboot warmboot load' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot load' -l initrd -r -F -d 'an initial RAM disk'
complete -c warmboot -n '__complete_warmboot warmboot load' -l module -r -F -d 'a module of a multiboot kernel such as Xen, with its own command line'
complete -c warmboot -n '__complete_warmboot warmboot load' -l command-line -x -d 'the new kernel\'s command line, which also replaces an image\'s own'
complete -c warmboot -n '__complete_warmboot warmboot load' -l reuse-command-line -d 'the running kernel\'s, without the boot loader\'s BOOT_IMAGE'
complete -c warmboot -n '__complete_warmboot warmboot load' -l append -x -d 'add to the new kernel\'s command line'
complete -c warmboot -n '__complete_warmboot warmboot load' -l panic -d 'load it as the crash kernel, into the memory that is reserved for it'
complete -c warmboot -n '__complete_warmboot warmboot load' -l call -r -f -a 'auto kexec_load kexec_file_load' -d 'the system call'
complete -c warmboot -n '__complete_warmboot warmboot load' -l digest -r -f -a 'xxh64 sha256 none' -d 'what the image is checked by after the jump'
complete -c warmboot -n '__complete_warmboot warmboot load' -l blackbox -x -d 'the page in which is marked how far it comes, see \'warmboot blackbox\''
complete -c warmboot -n '__complete_warmboot warmboot load' -l no-blackbox -d 'nothing is marked'
complete -c warmboot -n '__complete_warmboot warmboot load' -l unpack -x -d 'unpack here what would unpack itself after the jump'
complete -c warmboot -n '__complete_warmboot warmboot load' -l profile -r -f -a 'linux-7.2 linux-6.18 linux-6.17 linux-6.16 linux-6.15 linux-6.14 linux-6.12 linux-6.11 linux-6.10 linux-6.8 linux-6.6 linux-6.5 linux-6.3 linux-6.1 linux-6.0 linux-5.15 linux-5.10 list' -d 'the release whose rules the model follows'
complete -c warmboot -n '__complete_warmboot warmboot load' -l rescue -x -d 'have a panic reset the machine'
complete -c warmboot -n '__complete_warmboot warmboot load' -l dry-run -d 'stop before the system call'
complete -c warmboot -n '__complete_warmboot warmboot load' -l html -r -F -d 'write a page to FILE too'
complete -c warmboot -n '__complete_warmboot warmboot load' -l junit -r -F -d 'write the stages to FILE as JUnit\'s XML too, which systems for continuous integration show'
complete -c warmboot -n '__complete_warmboot warmboot load' -l json -d 'print one JSON object at the end, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot exec' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot exec' -l yes -d 'do not ask'
complete -c warmboot -n '__complete_warmboot warmboot exec' -l now -d 'at once'
complete -c warmboot -n '__complete_warmboot warmboot exec' -l rescue -x -d 'have the machine\'s watchdog reset it where the new kernel does not report within TIME from now'

complete -c warmboot -n '__complete_warmboot warmboot time' -F
complete -c warmboot -n '__complete_warmboot warmboot time' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot time' -l initrd -r -F -d 'an initial RAM disk'
complete -c warmboot -n '__complete_warmboot warmboot time' -l command-line -x -d 'the new kernel\'s command line, which also replaces an image\'s own'
complete -c warmboot -n '__complete_warmboot warmboot time' -l append -x -d 'add to the new kernel\'s command line'
complete -c warmboot -n '__complete_warmboot warmboot time' -l digest -r -f -a 'xxh64 sha256 none' -d 'what the image is checked by after the jump'
complete -c warmboot -n '__complete_warmboot warmboot time' -l unpack -x -d 'unpack here what would unpack itself after the jump'
complete -c warmboot -n '__complete_warmboot warmboot time' -l like -r -F -d 'use the machine described by a file that \'warmboot facts\' wrote'
complete -c warmboot -n '__complete_warmboot warmboot time' -l memory -x -d 'the machine\'s RAM, as 512M or 4G'
complete -c warmboot -n '__complete_warmboot warmboot time' -l cpus -x -d 'its processors'
complete -c warmboot -n '__complete_warmboot warmboot time' -l until -x -d 'boot until TEXT is on the console, instead of until user space'
complete -c warmboot -n '__complete_warmboot warmboot time' -l timeout -x -d 'seconds that the boot may take'
complete -c warmboot -n '__complete_warmboot warmboot time' -l console -r -F -d 'write the new kernel\'s console to FILE'
complete -c warmboot -n '__complete_warmboot warmboot time' -l no-keep -d 'keep nothing in /var/lib/warmboot'
complete -c warmboot -n '__complete_warmboot warmboot time' -l json -d 'print one JSON object at the end, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot switch' -F
complete -c warmboot -n '__complete_warmboot warmboot switch' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot switch' -l initrd -r -F -d 'an initial RAM disk'
complete -c warmboot -n '__complete_warmboot warmboot switch' -l append -x -d 'add to the new kernel\'s command line'
complete -c warmboot -n '__complete_warmboot warmboot switch' -l command-line -x -d 'the new kernel\'s command line, which also replaces an image\'s own'
complete -c warmboot -n '__complete_warmboot warmboot switch' -l keep -x -d 'keep only these'
complete -c warmboot -n '__complete_warmboot warmboot switch' -l cold -d 'keep nothing'
complete -c warmboot -n '__complete_warmboot warmboot switch' -l allow-cold -d 'go on where what is kept would not arrive, and services start cold'
complete -c warmboot -n '__complete_warmboot warmboot switch' -l hook -r -F -d 'run it with the words prepare, freeze, and thaw where it fails'
complete -c warmboot -n '__complete_warmboot warmboot switch' -l hook-timeout -x -d 'for each hook'
complete -c warmboot -n '__complete_warmboot warmboot switch' -l tell-timeout -x -d 'for services to answer that they are ready'
complete -c warmboot -n '__complete_warmboot warmboot switch' -l jump-timeout -x -d 'for systemd to stop everything'
complete -c warmboot -n '__complete_warmboot warmboot switch' -l now -d 'jump at once'
complete -c warmboot -n '__complete_warmboot warmboot switch' -l yes -d 'do not ask'
complete -c warmboot -n '__complete_warmboot warmboot switch' -l dry-run -d 'stop before anything is done'
complete -c warmboot -n '__complete_warmboot warmboot switch' -l profile -r -f -a 'linux-7.2 linux-6.18 linux-6.17 linux-6.16 linux-6.15 linux-6.14 linux-6.12 linux-6.11 linux-6.10 linux-6.8 linux-6.6 linux-6.5 linux-6.3 linux-6.1 linux-6.0 linux-5.15 linux-5.10 list' -d 'the release whose rules the model follows'
complete -c warmboot -n '__complete_warmboot warmboot switch' -l resume -d 'be the agent'
complete -c warmboot -n '__complete_warmboot warmboot switch' -l report -d 'print what the last switch took, what arrived, and the downtime'
complete -c warmboot -n '__complete_warmboot warmboot switch' -l list -d 'print what services have handed over'
complete -c warmboot -n '__complete_warmboot warmboot switch' -l abort -d 'call off a switch for which systemd is stopping services'
complete -c warmboot -n '__complete_warmboot warmboot switch' -l install -d 'install warmboot-switch.service, which runs the agent'
complete -c warmboot -n '__complete_warmboot warmboot switch' -l root -r -f -a '(__fish_complete_directories)' -d '--install'
complete -c warmboot -n '__complete_warmboot warmboot switch' -l socket -r -F -d 'the agent\'s socket'
complete -c warmboot -n '__complete_warmboot warmboot switch' -l group -x -d '--resume'
complete -c warmboot -n '__complete_warmboot warmboot switch' -l html -r -F -d 'write a page to FILE too'
complete -c warmboot -n '__complete_warmboot warmboot switch' -l junit -r -F -d 'write the stages to FILE as JUnit\'s XML too, which systems for continuous integration show'
complete -c warmboot -n '__complete_warmboot warmboot switch' -l json -d 'print one JSON object at the end, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot unload' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot unload' -l panic -d 'forget the crash kernel instead'
complete -c warmboot -n '__complete_warmboot warmboot unload' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot status' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot status' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot handover' -a show -d 'what is preserved, and whose it is'
complete -c warmboot -n '__complete_warmboot warmboot handover' -a check -d 'will the next kernel take what this one hands over?'
complete -c warmboot -n '__complete_warmboot warmboot handover' -a cost -d 'what KHO reserves here, why, and how much is enough'
complete -c warmboot -n '__complete_warmboot warmboot handover' -s h -l help -d 'show this help message and exit'

complete -c warmboot -n '__complete_warmboot warmboot handover show' -F
complete -c warmboot -n '__complete_warmboot warmboot handover show' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot handover show' -l qmp -r -F -d 'look at a guest in QEMU, by its QMP socket'
complete -c warmboot -n '__complete_warmboot warmboot handover show' -l extract -x -d 'write a memfd\'s content to TO'
complete -c warmboot -n '__complete_warmboot warmboot handover show' -l html -r -F -d 'write a page to FILE too'
complete -c warmboot -n '__complete_warmboot warmboot handover show' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot handover check' -F
complete -c warmboot -n '__complete_warmboot warmboot handover check' -F
complete -c warmboot -n '__complete_warmboot warmboot handover check' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot handover check' -l old-command-line -x -d 'OLD\'s command line'
complete -c warmboot -n '__complete_warmboot warmboot handover check' -l command-line -x -d 'NEW\'s command line'
complete -c warmboot -n '__complete_warmboot warmboot handover check' -l keep -x -d 'what has to survive'
complete -c warmboot -n '__complete_warmboot warmboot handover check' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot handover cost' -F
complete -c warmboot -n '__complete_warmboot warmboot handover cost' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot handover cost' -l initrd -r -F -d 'an initial RAM disk'
complete -c warmboot -n '__complete_warmboot warmboot handover cost' -l kho-scratch -x -d 'what kho_scratch= would be'
complete -c warmboot -n '__complete_warmboot warmboot handover cost' -l like -r -F -d 'use the machine described by a file that \'warmboot facts\' wrote'
complete -c warmboot -n '__complete_warmboot warmboot handover cost' -l memory -x -d 'the machine\'s RAM, as 512M or 4G'
complete -c warmboot -n '__complete_warmboot warmboot handover cost' -l cpus -x -d 'its processors'
complete -c warmboot -n '__complete_warmboot warmboot handover cost' -l crashkernel -x -d 'memory that its kernel has reserved for a crash kernel, as Linux takes it'
complete -c warmboot -n '__complete_warmboot warmboot handover cost' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot roll' -a start -d 'begin a roll'
complete -c warmboot -n '__complete_warmboot warmboot roll' -a resume -d 'go on with a roll that stopped or was killed'
complete -c warmboot -n '__complete_warmboot warmboot roll' -a status -d 'how a roll stands'
complete -c warmboot -n '__complete_warmboot warmboot roll' -a report -d 'what was done to each machine'
complete -c warmboot -n '__complete_warmboot warmboot roll' -s h -l help -d 'show this help message and exit'

complete -c warmboot -n '__complete_warmboot warmboot roll start' -F
complete -c warmboot -n '__complete_warmboot warmboot roll start' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot roll start' -l initrd -r -F -d 'an initial RAM disk'
complete -c warmboot -n '__complete_warmboot warmboot roll start' -l command-line -x -d 'the new kernel\'s command line, which also replaces an image\'s own'
complete -c warmboot -n '__complete_warmboot warmboot roll start' -l append -x -d 'add to the new kernel\'s command line'
complete -c warmboot -n '__complete_warmboot warmboot roll start' -l call -r -f -a 'auto kexec_load kexec_file_load' -d 'the system call'
complete -c warmboot -n '__complete_warmboot warmboot roll start' -l profile -r -f -a 'linux-7.2 linux-6.18 linux-6.17 linux-6.16 linux-6.15 linux-6.14 linux-6.12 linux-6.11 linux-6.10 linux-6.8 linux-6.6 linux-6.5 linux-6.3 linux-6.1 linux-6.0 linux-5.15 linux-5.10 list' -d 'the release whose rules the model follows'
complete -c warmboot -n '__complete_warmboot warmboot roll start' -s i -l inventory -x -d 'Ansible\'s'
complete -c warmboot -n '__complete_warmboot warmboot roll start' -l limit -x -d 'which of its machines, as Ansible has it'
complete -c warmboot -n '__complete_warmboot warmboot roll start' -l become -d 'become root on the machines, as Ansible is configured to'
complete -c warmboot -n '__complete_warmboot warmboot roll start' -l forks -x -d 'machines at work at once'
complete -c warmboot -n '__complete_warmboot warmboot roll start' -l canary -x -d 'machines that go first'
complete -c warmboot -n '__complete_warmboot warmboot roll start' -l batch -x -d 'machines that go together afterwards'
complete -c warmboot -n '__complete_warmboot warmboot roll start' -l health -x -d 'here'
complete -c warmboot -n '__complete_warmboot warmboot roll start' -l health-there -x -d 'the same, on the machine'
complete -c warmboot -n '__complete_warmboot warmboot roll start' -l health-within -x -d 'seconds in which it must succeed, tried again and again'
complete -c warmboot -n '__complete_warmboot warmboot roll start' -l before -x -d 'here, before a machine is touched'
complete -c warmboot -n '__complete_warmboot warmboot roll start' -l after -x -d 'here, when it is healthy'
complete -c warmboot -n '__complete_warmboot warmboot roll start' -l timeout -x -d 'seconds from the command to jump until the machine answers'
complete -c warmboot -n '__complete_warmboot warmboot roll start' -l fallback -x -d 'here, where it does not answer in time'
complete -c warmboot -n '__complete_warmboot warmboot roll start' -l fallback-timeout -x -d 'seconds after that until it answers'
complete -c warmboot -n '__complete_warmboot warmboot roll start' -l step-timeout -x -d 'seconds for any other step'
complete -c warmboot -n '__complete_warmboot warmboot roll start' -l no-rehearse -d 'do not start the kernel in QEMU first'
complete -c warmboot -n '__complete_warmboot warmboot roll start' -l rehearse-timeout -x -d 'seconds for each boot in QEMU'
complete -c warmboot -n '__complete_warmboot warmboot roll start' -l leave-out -d 'go on without machines that refuse or cannot be reached'
complete -c warmboot -n '__complete_warmboot warmboot roll start' -l again -d 'also machines that run this release already'
complete -c warmboot -n '__complete_warmboot warmboot roll start' -l dry-run -d 'survey, check, rehearse and show the batches'
complete -c warmboot -n '__complete_warmboot warmboot roll start' -l state -r -F -d 'the journal'
complete -c warmboot -n '__complete_warmboot warmboot roll start' -l json -d 'print one JSON object at the end, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot roll resume' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot roll resume' -l retry -x -d 'try one that failed again, or all of them'
complete -c warmboot -n '__complete_warmboot warmboot roll resume' -l leave-out -d 'go on without machines that refuse or cannot be reached'
complete -c warmboot -n '__complete_warmboot warmboot roll resume' -l state -r -F -d 'the journal'
complete -c warmboot -n '__complete_warmboot warmboot roll resume' -l json -d 'print one JSON object at the end, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot roll status' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot roll status' -l state -r -F -d 'the journal'
complete -c warmboot -n '__complete_warmboot warmboot roll status' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot roll report' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot roll report' -l machine -x -d 'only this one'
complete -c warmboot -n '__complete_warmboot warmboot roll report' -l state -r -F -d 'the journal'
complete -c warmboot -n '__complete_warmboot warmboot roll report' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot explain' -F -a 'architecture boot_console buffer_size cap_sys_boot command_line_end command_line_length command_line_memory config_kexec config_kexec_file control_pages crash_entry crash_image_loaded crash_range crash_reservation_failed crash_reservation_missing crash_reservation_small crash_size crash_size_text destination_limit device_left_on digest efi_rsdp file_descriptor file_empty file_flags file_io file_memory file_regular file_size file_type file_writers firmware_memory five_level graphics half_of_memory handler_missing_new handler_missing_old handler_version image_probe image_truncated initrd_broken interrupted iomem_hidden iommu kernel_signature kexec_load_disabled kexec_load_limit kexec_trylock kho_call kho_layout kho_missing_new kho_missing_old kho_off_new kho_off_old kho_page_size kho_version legal_flags lockdown luo_missing_new luo_missing_old luo_off_new luo_off_old luo_version memory_hole memory_layout memory_map message_size newer_processor no_console no_init no_memory_after no_room no_root not_supported nothing_loaded overlap packed_kernel page_alignment page_list page_tables panic processors_stay reserve_mem_version security_kernel_load_data security_kernel_read_file segment_count segment_table segment_wraps signature_crypto signature_damaged signature_missing signature_rejected signature_unknown_key silent slow_purgatory source_buffer source_pages stale_file swap_page sysctl_name sysctl_value vmcoreinfo watchdog wrong_architecture wrong_entry'
complete -c warmboot -n '__complete_warmboot warmboot explain' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot explain' -l list -d 'all rules, each with its errno'
complete -c warmboot -n '__complete_warmboot warmboot explain' -l like -r -F -d 'use the machine described by a file that \'warmboot facts\' wrote'
complete -c warmboot -n '__complete_warmboot warmboot explain' -l no-facts -d 'do not look at this computer'
complete -c warmboot -n '__complete_warmboot warmboot explain' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot record' -F
complete -c warmboot -n '__complete_warmboot warmboot record' -F
complete -c warmboot -n '__complete_warmboot warmboot record' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot record' -l memory -x -d 'the guest\'s RAM, as 512M or 4G'
complete -c warmboot -n '__complete_warmboot warmboot record' -l append -x -d 'add to the guest\'s own command line'
complete -c warmboot -n '__complete_warmboot warmboot record' -l contents -r -f -a '(__fish_complete_directories)' -d 'where files lie, by their SHA-256, that kexec_file_load is given and the trace does not hold'
complete -c warmboot -n '__complete_warmboot warmboot record' -l json -d 'print JSON Lines, as it always does, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot replay' -F
complete -c warmboot -n '__complete_warmboot warmboot replay' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot replay' -l contents -r -f -a '(__fish_complete_directories)' -d 'where files lie, by their SHA-256, that kexec_file_load is given and the trace does not hold'
complete -c warmboot -n '__complete_warmboot warmboot replay' -l profile -r -f -a 'linux-7.2 linux-6.18 linux-6.17 linux-6.16 linux-6.15 linux-6.14 linux-6.12 linux-6.11 linux-6.10 linux-6.8 linux-6.6 linux-6.5 linux-6.3 linux-6.1 linux-6.0 linux-5.15 linux-5.10 list' -d 'the release whose rules the model follows'
complete -c warmboot -n '__complete_warmboot warmboot replay' -l json -d 'print each disagreement, and at the end the counts, as JSON Lines, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot fuzz' -F
complete -c warmboot -n '__complete_warmboot warmboot fuzz' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot fuzz' -l memory -x -d 'the guest\'s RAM, as 512M or 4G'
complete -c warmboot -n '__complete_warmboot warmboot fuzz' -l append -x -d 'add to the guest\'s own command line'
complete -c warmboot -n '__complete_warmboot warmboot fuzz' -l seed -x -d 'the generator\'s seed'
complete -c warmboot -n '__complete_warmboot warmboot fuzz' -l calls -x -d 'number of calls'
complete -c warmboot -n '__complete_warmboot warmboot fuzz' -l out -r -F -d 'keep the trace, or the profile, in this file'
complete -c warmboot -n '__complete_warmboot warmboot fuzz' -l profile -r -f -a 'linux-7.2 linux-6.18 linux-6.17 linux-6.16 linux-6.15 linux-6.14 linux-6.12 linux-6.11 linux-6.10 linux-6.8 linux-6.6 linux-6.5 linux-6.3 linux-6.1 linux-6.0 linux-5.15 linux-5.10 list' -d 'the release whose rules the model follows'
complete -c warmboot -n '__complete_warmboot warmboot fuzz' -l call -r -f -a 'kexec_load kexec_file_load liveupdate' -d 'which calls'
complete -c warmboot -n '__complete_warmboot warmboot fuzz' -l draft-profile -d 'find out which rules the kernel has, by calls that tell them, and then by --calls generated ones of both system calls'
complete -c warmboot -n '__complete_warmboot warmboot fuzz' -l 64-bit-only -d 'do not use the 32-bit entry'
complete -c warmboot -n '__complete_warmboot warmboot fuzz' -l no-shrink -d 'do not search for a smaller form of a disagreement'
complete -c warmboot -n '__complete_warmboot warmboot fuzz' -l json -d 'print each disagreement, and at the end the counts, as JSON Lines, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot witness' -F
complete -c warmboot -n '__complete_warmboot warmboot witness' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot witness' -l layouts -x -d 'normal images'
complete -c warmboot -n '__complete_warmboot warmboot witness' -l crash -x -d 'crash images'
complete -c warmboot -n '__complete_warmboot warmboot witness' -l seed -x -d 'seed of the images'
complete -c warmboot -n '__complete_warmboot warmboot witness' -l first -x -d 'number of the first image of each kind'
complete -c warmboot -n '__complete_warmboot warmboot witness' -l memory -x -d 'the guest\'s RAM, as 512M or 4G'
complete -c warmboot -n '__complete_warmboot warmboot witness' -l profile -r -f -a 'linux-7.2 linux-6.18 linux-6.17 linux-6.16 linux-6.15 linux-6.14 linux-6.12 linux-6.11 linux-6.10 linux-6.8 linux-6.6 linux-6.5 linux-6.3 linux-6.1 linux-6.0 linux-5.15 linux-5.10 list' -d 'the release whose rules the model follows'
complete -c warmboot -n '__complete_warmboot warmboot witness' -l json -d 'print each disagreement, and at the end the counts, as JSON Lines, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot debian' -a kernel -d 'one kernel: print the path of its vmlinuz'
complete -c warmboot -n '__complete_warmboot warmboot debian' -a initrd -d 'the guest root: print the path of its initramfs'
complete -c warmboot -n '__complete_warmboot warmboot debian' -a fetch -d 'all kernels and the guest root: print the path of each'
complete -c warmboot -n '__complete_warmboot warmboot debian' -a build -d 'kernels that hand memory over (KHO, LUO), built here: print the path of each'
complete -c warmboot -n '__complete_warmboot warmboot debian' -s h -l help -d 'show this help message and exit'

complete -c warmboot -n '__complete_warmboot warmboot debian kernel' -f -a '5.10 6.1 6.12 7.2'
complete -c warmboot -n '__complete_warmboot warmboot debian kernel' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot debian kernel' -l cache -r -f -a '(__fish_complete_directories)' -d 'the cache folder'
complete -c warmboot -n '__complete_warmboot warmboot debian kernel' -l refresh -d 'look for newer packages, even if some are there'
complete -c warmboot -n '__complete_warmboot warmboot debian kernel' -l json -d 'print one JSON object at the end, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot debian initrd' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot debian initrd' -l cache -r -f -a '(__fish_complete_directories)' -d 'the cache folder'
complete -c warmboot -n '__complete_warmboot warmboot debian initrd' -l refresh -d 'look for newer packages, even if some are there'
complete -c warmboot -n '__complete_warmboot warmboot debian initrd' -l json -d 'print one JSON object at the end, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot debian fetch' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot debian fetch' -l cache -r -f -a '(__fish_complete_directories)' -d 'the cache folder'
complete -c warmboot -n '__complete_warmboot warmboot debian fetch' -l refresh -d 'look for newer packages, even if some are there'
complete -c warmboot -n '__complete_warmboot warmboot debian fetch' -l json -d 'print one JSON object at the end, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot debian build' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot debian build' -l cache -r -f -a '(__fish_complete_directories)' -d 'the cache folder'
complete -c warmboot -n '__complete_warmboot warmboot debian build' -l refresh -d 'look for newer packages, even if some are there'
complete -c warmboot -n '__complete_warmboot warmboot debian build' -l json -d 'print one JSON object at the end, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot dump' -a save -d 'save a dump, filtered and compressed'
complete -c warmboot -n '__complete_warmboot warmboot dump' -a convert -d 'write a dump in another format'
complete -c warmboot -n '__complete_warmboot warmboot dump' -a why -d 'which rule keeps or drops a page'
complete -c warmboot -n '__complete_warmboot warmboot dump' -a fits -d 'does a tool filter this kernel\'s dumps rightly?'
complete -c warmboot -n '__complete_warmboot warmboot dump' -a info -d 'what crashed, when and why'
complete -c warmboot -n '__complete_warmboot warmboot dump' -a dmesg -d 'the log of the kernel that crashed'
complete -c warmboot -n '__complete_warmboot warmboot dump' -a read -d 'bytes of the memory in a dump'
complete -c warmboot -n '__complete_warmboot warmboot dump' -a tasks -d 'every process and thread'
complete -c warmboot -n '__complete_warmboot warmboot dump' -a bt -d 'call chains of processors and tasks'
complete -c warmboot -n '__complete_warmboot warmboot dump' -a modules -d 'the modules of the kernel'
complete -c warmboot -n '__complete_warmboot warmboot dump' -a devices -d 'the devices, and what shuts them down'
complete -c warmboot -n '__complete_warmboot warmboot dump' -a check -d 'whether a dump is whole and sound'
complete -c warmboot -n '__complete_warmboot warmboot dump' -a diff -d 'which pages differ between two dumps'
complete -c warmboot -n '__complete_warmboot warmboot dump' -a drgn -d 'drgn\'s shell on a dump'
complete -c warmboot -n '__complete_warmboot warmboot dump' -s h -l help -d 'show this help message and exit'

complete -c warmboot -n '__complete_warmboot warmboot dump save' -F
complete -c warmboot -n '__complete_warmboot warmboot dump save' -F
complete -c warmboot -n '__complete_warmboot warmboot dump save' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot dump save' -s d -l level -x -d '0 to 31'
complete -c warmboot -n '__complete_warmboot warmboot dump save' -l format -r -f -a 'kdump elf flattened' -d 'kdump, elf, flattened'
complete -c warmboot -n '__complete_warmboot warmboot dump save' -l codec -r -f -a 'zstd lzo snappy zlib none' -d 'of kdump'
complete -c warmboot -n '__complete_warmboot warmboot dump save' -l split -x -d 'N files of equal size'
complete -c warmboot -n '__complete_warmboot warmboot dump save' -l threads -x -d '(default'
complete -c warmboot -n '__complete_warmboot warmboot dump save' -l force -d 'replace OUT if it is there'
complete -c warmboot -n '__complete_warmboot warmboot dump save' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot dump convert' -F
complete -c warmboot -n '__complete_warmboot warmboot dump convert' -F
complete -c warmboot -n '__complete_warmboot warmboot dump convert' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot dump convert' -s d -l level -x -d '0 to 31'
complete -c warmboot -n '__complete_warmboot warmboot dump convert' -l format -r -f -a 'kdump elf flattened' -d 'kdump, elf, flattened'
complete -c warmboot -n '__complete_warmboot warmboot dump convert' -l codec -r -f -a 'zstd lzo snappy zlib none' -d 'of kdump'
complete -c warmboot -n '__complete_warmboot warmboot dump convert' -l split -x -d 'N files of equal size'
complete -c warmboot -n '__complete_warmboot warmboot dump convert' -l threads -x -d '(default'
complete -c warmboot -n '__complete_warmboot warmboot dump convert' -l force -d 'replace OUT if it is there'
complete -c warmboot -n '__complete_warmboot warmboot dump convert' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot dump why' -F
complete -c warmboot -n '__complete_warmboot warmboot dump why' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot dump why' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot dump fits' -F
complete -c warmboot -n '__complete_warmboot warmboot dump fits' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot dump fits' -l tool -x -d 'such as makedumpfile-1.7.2'
complete -c warmboot -n '__complete_warmboot warmboot dump fits' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot dump info' -F
complete -c warmboot -n '__complete_warmboot warmboot dump info' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot dump info' -l html -r -F -d 'write a page to FILE too'
complete -c warmboot -n '__complete_warmboot warmboot dump info' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot dump dmesg' -F
complete -c warmboot -n '__complete_warmboot warmboot dump dmesg' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot dump dmesg' -l ramoops -d 'what persistent RAM has kept, not the log itself'
complete -c warmboot -n '__complete_warmboot warmboot dump dmesg' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot dump read' -F
complete -c warmboot -n '__complete_warmboot warmboot dump read' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot dump read' -l physical -d 'the address is a physical one'
complete -c warmboot -n '__complete_warmboot warmboot dump read' -l raw -d 'write the bytes as they are'
complete -c warmboot -n '__complete_warmboot warmboot dump read' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot dump tasks' -F
complete -c warmboot -n '__complete_warmboot warmboot dump tasks' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot dump tasks' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot dump bt' -F
complete -c warmboot -n '__complete_warmboot warmboot dump bt' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot dump bt' -l all -d 'of every task'
complete -c warmboot -n '__complete_warmboot warmboot dump bt' -l cpu -x -d 'of this processor'
complete -c warmboot -n '__complete_warmboot warmboot dump bt' -l pid -x -d 'of this task, which may be a thread'
complete -c warmboot -n '__complete_warmboot warmboot dump bt' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot dump modules' -F
complete -c warmboot -n '__complete_warmboot warmboot dump modules' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot dump modules' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot dump devices' -F
complete -c warmboot -n '__complete_warmboot warmboot dump devices' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot dump devices' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot dump check' -F
complete -c warmboot -n '__complete_warmboot warmboot dump check' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot dump check' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot dump diff' -F
complete -c warmboot -n '__complete_warmboot warmboot dump diff' -F
complete -c warmboot -n '__complete_warmboot warmboot dump diff' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot dump diff' -l all -d 'show every range, not the first 40 alone'
complete -c warmboot -n '__complete_warmboot warmboot dump diff' -l json -d 'print one JSON object, on errors too'

complete -c warmboot -n '__complete_warmboot warmboot dump drgn' -F
complete -c warmboot -n '__complete_warmboot warmboot dump drgn' -s h -l help -d 'show this help message and exit'
complete -c warmboot -n '__complete_warmboot warmboot dump drgn' -s s -l symbols -r -F -d 'a vmlinux or module with them'
complete -c warmboot -n '__complete_warmboot warmboot dump drgn' -l reader -r -f -a 'drgn warmboot' -d '(default'
complete -c warmboot -n '__complete_warmboot warmboot dump drgn' -s e -l execute -x -d 'run this Python, with drgn\'s names, and no shell'
