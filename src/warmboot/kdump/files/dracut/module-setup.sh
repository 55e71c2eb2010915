#!/bin/bash
# A module of dracut.modules(7): what saves the dump, in an initrd that is a capture kernel's.

check() {
    return 255 # only where it is asked for
}

depends() {
    echo base udev-rules
}

install() {
    "$KDUMP_WARMBOOT" kdump pack --config "$KDUMP_CONFIG" "$initdir" || dfatal "warmboot kdump pack failed"
    inst_hook cmdline 10 "$moddir/cmdline.sh"
    inst_hook pre-mount 10 "$moddir/pre-mount.sh"
}
