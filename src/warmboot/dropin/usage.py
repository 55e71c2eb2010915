"""What --help and --version print."""

from __future__ import annotations

import sys

from warmboot import __version__

__all__ = ["USAGE", "print_usage", "print_version"]

# The release whose behaviour this is, in the two words that scripts read; then the program that answers.
_VERSION = f"kexec-tools 2.0.32 (warmboot {__version__})\n"

USAGE = """\
Usage: kexec [OPTION]... [KERNEL]

Load a kernel into memory and start it without the firmware. Without an action
the kernel is loaded and the system's `shutdown -r now' is run.

Actions (the last one given counts):
 -l, --load           load KERNEL, to be started by --exec or by a reboot
 -p, --load-panic     load KERNEL as the one that is started when this one panics
 -u, --unload         forget the loaded kernel; after it -p: the crash kernel
 -e, --exec           start the loaded kernel now, without a shutdown
 -f, --force          load KERNEL and start it now
 -S, --status         exit status 1 if a crash kernel (-l: a kernel) is loaded, 0 if not
     --print-ckr-size print how large the crash kernel's reservation is, in bytes
     --load-preserve-context
                      load KERNEL so that it can come back (with --mem-max)
     --load-jump-back-helper
                      prepare for going back to the kernel at --entry
 -h, --help           print this
 -v, --version        print the version

System call:
 -a, --kexec-syscall-auto  kexec_file_load, and kexec_load where that cannot (default)
 -s, --kexec-file-syscall  kexec_file_load only
 -c, --kexec-syscall       kexec_load only

How:
 -t, --type=TYPE      what KERNEL is; else it is told by its content
     --digest=NAME    what the image is checked by when it is started: xxh64, at the
                      speed of memory (default), sha256, or none
     --unpack=PARTS   load unpacked what would unpack itself when it is started: kernel,
                      initrd, or kernel,initrd (kernel: by kexec_load only)
 -i, --no-checks      the same as --digest=none
 -x, --no-ifdown      leave the network's interfaces up
 -y, --no-sync        do not write file systems' data to disk first
     --blackbox=PLACE mark how far it comes, for `warmboot blackbox', in the page that
                      this kernel or ramoops keeps free (page; default where there is one),
                      the one at this physical address, or bytes 0x70 to 0x77 of CMOS (cmos)
     --no-blackbox    do not, and leave the new kernel no time stamps either
     --rescue=TIME    have the machine's watchdog reset it where the new kernel does not
                      report within TIME, such as 5m
     --mem-min=ADDR   nothing is placed below this physical address
     --mem-max=ADDR   nothing is placed above this physical address
     --entry=ADDR     enter here, and not where the image says
     --reuseinitrd    the initrd of this boot (kept by retain_initrd)
     --hotplug        let the kernel keep the crash image right when CPUs or memory
                      come and go
     --no-cma         kexec_file_load: no contiguous memory (Linux 6.17)
     --force-dtb      kexec_file_load: pass on this boot's device tree (Linux 6.18)
     --exec-live-update, --load-live-update
                      Xen only; not supported
 -d, --debug          tell what is done

What is passed to the new kernel, by its type:
multiboot2-x86, multiboot-x86
     --command-line=STRING, --append=STRING
                      the command line
     --reuse-cmdline  the running kernel's command line, and then --append's
     --module="FILE WORDS..."
                      a module with its command line; any number of times
elf-x86_64, elf-x86
     --command-line, --append, --reuse-cmdline as above
     --initrd=FILE, --ramdisk=FILE
                      the initial RAM disk
     --args-linux     parameters as Linux wants them
     --args-elf       parameters as ELF notes (default)
     --args-none      none: jump straight into it
bzImage64, bzImage, uki
     --command-line, --append, --reuse-cmdline, --initrd, --ramdisk as above
     --dtb=FILE       a device tree
     --entry-32bit    enter in 32-bit mode
     --real-mode      enter in real mode (refused)
beoboot-x86
     --real-mode      (refused)
nbi-x86
     nothing

Architecture:
     --serial=PORT         ttyS0, ttyS1 or 0xPORT, for messages between the kernels
     --serial-baud=RATE    its speed, 9600 to 115200
     --console-serial      messages there
     --console-vga         messages on a VGA screen
     --reset-vga           set a VGA card to text mode
     --pass-memmap-cmdline the crash kernel's memory map on its command line
     --noefi               nothing about EFI is passed on
     --reuse-video-type    the running kernel's video type, unchecked

Exit status: 0 done (-S: not loaded); 1 wrong usage, or nothing to work with (-S: loaded);
253 not possible by kexec_file_load (-s); 255 failed.
"""


def print_version() -> None:
    """The version on stdout."""
    sys.stdout.write(_VERSION)


def print_usage() -> None:
    """The version and every option on stdout."""
    sys.stdout.write(_VERSION + USAGE)
