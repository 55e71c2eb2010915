"""What each errno of kexec's calls means, where the model has nothing to say of it: a sentence, and what would help."""

from __future__ import annotations

import errno

__all__ = ["plainly"]


def plainly(number: int, strerror: str) -> tuple[str, str]:
    """The meaning, and what would help; empty where only the kernel's log can."""
    found = _PLAIN.get(number)
    if found is not None:
        return found
    # What is none of kexec's own comes from what it asks: file systems when it reads, and security modules.
    return f"{strerror or 'the kernel refused'}: told by the file system of the files, or by a security module", ""


_SIGNED = (
    "use a kernel signed by a key that the running kernel trusts (/proc/keys: .builtin_trusted_keys, "
    ".secondary_trusted_keys, .platform), loaded by -s"
)
_PLAIN = {
    errno.EPERM: (
        "not root, or loading is switched off (kernel.kexec_load_disabled, kernel.kexec_load_limit_*), or the kernel "
        "is locked down, as with Secure Boot, and takes signed kernels by kexec_file_load only",
        "run it as root (CAP_SYS_BOOT); see sysctl kernel.kexec_load_disabled, which stays 1 until a reboot",
    ),
    errno.EACCES: ("a security module or IMA forbids an image that it cannot appraise", _SIGNED),
    errno.EBUSY: ("another load, unload or kexec is under way", "do it again when that has ended"),
    errno.ENOSYS: (
        "the running kernel has no such call: it was built without CONFIG_KEXEC (or CONFIG_KEXEC_FILE)",
        "run another kernel; distributions' own have both",
    ),
    errno.ENOMEM: ("the kernel has not enough free memory for the image", "free memory, or use a smaller initrd"),
    errno.EADDRNOTAVAIL: (
        "the image does not fit where it should go; a crash kernel must lie in its reservation",
        "use a smaller initrd, or a larger machine; for a crash kernel a larger crashkernel=",
    ),
    errno.EINVAL: (
        "the kernel does not take these flags or this image, or nothing is loaded",
        "leave out options that are newer than the running kernel; see dmesg",
    ),
    errno.ENOEXEC: ("the kernel knows no image of this kind", "use -c, which needs no help from the kernel"),
    errno.EOPNOTSUPP: ("the kernel does not support this image or its signature", "use -c"),
    errno.ENOENT: ("something that the call needs is missing", ""),
    errno.EFAULT: (
        "a part of the image could not be read while it was copied",
        "do it again; the file may have changed",
    ),
    errno.EBADF: ("a file is not open for reading", "open the kernel and the initrd for reading"),
    errno.ETXTBSY: (
        "a file is open for writing somewhere, and the kernel reads none that may change meanwhile",
        "wait until nobody writes to it ('fuser -v FILE' tells who does), or copy it; or use -c",
    ),
    errno.EFBIG: (
        "a file is larger than kexec_file_load reads: 4 GiB since Linux 6.0, 2 GiB before",
        "use a smaller file, or -c, which has no such limit",
    ),
    errno.EIO: (
        "a file could not be read to its end: it was cut meanwhile, or its disk has a fault",
        "do it again when nothing writes to it; see dmesg",
    ),
    errno.EINTR: ("a signal came while a file was read", "do it again"),
    errno.ESTALE: (
        "a file on another computer is gone or was replaced",
        "do it again, or copy the file to this computer",
    ),
    errno.EKEYREJECTED: ("the kernel's signature is not one that the running kernel trusts", _SIGNED),
    errno.ENOKEY: ("the key of the kernel's signature is not known to the running kernel", _SIGNED),
    errno.ENODATA: ("the kernel file is not signed, and the running kernel wants that", _SIGNED),
    errno.EBADMSG: ("the kernel's signature is damaged", _SIGNED),
    errno.ENOPKG: ("the running kernel lacks what it takes to check the signature", _SIGNED),
    errno.ELIBBAD: ("the file's signature part is damaged", _SIGNED),
    errno.EMSGSIZE: ("the command line, or the signature, is too long", "use a shorter one"),
}
