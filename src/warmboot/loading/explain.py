"""Why the running kernel refused: the errno, the rule that the model finds broken on this computer, what would help."""

from __future__ import annotations

import errno

from warmboot.errors import WarmbootError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.uapi import KexecFileRequest, LoadRequest

__all__ = ["explain_load"]

_CAP_SYS_BOOT = 1 << 22


def explain_load(error: OSError, request: LoadRequest | KexecFileRequest | None = None) -> list[str]:
    """Lines for a person, without an end of line; at least two, the last of which begins with "try: " where
    something helps.

    `error` is what the call said: live.calls.LiveError, whose `call` names it. `request` is what was to be loaded;
    None for other calls. The model is asked with this computer's facts; it copies nothing.
    """
    number = error.errno or 0
    lines = [f"{getattr(error, 'call', 'the call')} said {errno.errorcode.get(number, number)}"]
    if number == errno.EPERM and not _may_boot():
        return [*lines, "the caller is not allowed to load or start kernels (CAP_SYS_BOOT)", "try: run it as root"]
    if request is not None and number != errno.ENOSYS:
        told = _ask_the_model(request, number)
        if told:
            return lines + told
    return lines + _PLAIN.get(number, ["this errno is not one that kexec is known to give", "try: dmesg"])


def _may_boot() -> bool:
    """Whether this process has CAP_SYS_BOOT; yes, where nobody tells."""
    from warmboot.live.files import text  # noqa: PLC0415 - only a refusal needs it

    for line in (text("/proc/self/status") or "").split("\n"):
        name, _, value = line.partition(":")
        if name == "CapEff":
            return bool(int(value, 16) & _CAP_SYS_BOOT)
    return True


def _ask_the_model(request: LoadRequest | KexecFileRequest, number: int) -> list[str]:
    """What the model says, if it refuses too, and with the same errno."""
    # ENOSYS is explained without the model.
    from warmboot.kernel import KexecError  # noqa: PLC0415
    from warmboot.kernel.permit import permit  # noqa: PLC0415
    from warmboot.live.facts import read_facts  # noqa: PLC0415
    from warmboot.machines.machine import Machine  # noqa: PLC0415

    try:
        with Machine(read_facts()) as machine:
            permit(machine.kernel, request)
            if number == errno.EPERM and machine.kernel.security.lockdown.locked_down_kexec():
                # What the model cannot know: which keys the kernel trusts.
                return ["the kernel is locked down, and trusts no key that the file is signed with", _SIGNED]
    except KexecError as refusal:
        if refusal.errno != number:
            return []
        told = refusal.told(getattr(request, "segments", ()))
        return [f"{told} (rule {refusal.rule.name}, {refusal.rule.source})", f"try: {refusal.hint}"]
    except WarmbootError:
        return []
    return []


_NOT_ROOT = "try: run it as root (CAP_SYS_BOOT); see sysctl kernel.kexec_load_disabled, which stays 1 until a reboot"
_SIGNED = (
    "try: a kernel signed by a key that the running kernel trusts (/proc/keys: .builtin_trusted_keys, "
    ".secondary_trusted_keys, .platform), loaded by -s"
)
_PLAIN = {
    errno.EPERM: [
        "not root, or loading is switched off (kernel.kexec_load_disabled, kernel.kexec_load_limit_*), or the kernel "
        "is locked down, as with Secure Boot, and takes signed kernels by kexec_file_load only",
        _NOT_ROOT,
    ],
    errno.EACCES: ["a security module or IMA forbids an image that it cannot appraise", _SIGNED],
    errno.EBUSY: ["another load, unload or kexec is under way", "try: again, when it has ended"],
    errno.ENOSYS: [
        "the running kernel has no such call: it was built without CONFIG_KEXEC (or CONFIG_KEXEC_FILE)",
        "try: another kernel; distributions' own have both",
    ],
    errno.ENOMEM: ["the kernel has not enough free memory for the image", "try: free memory, or a smaller initrd"],
    errno.EADDRNOTAVAIL: [
        "the image does not fit where it should go; a crash kernel must lie in its reservation",
        "try: a smaller initrd, a larger machine; for a crash kernel a larger crashkernel=",
    ],
    errno.EINVAL: [
        "the kernel does not take these flags or this image, or nothing is loaded",
        "try: without options that are newer than the running kernel; see dmesg",
    ],
    errno.ENOEXEC: ["the kernel knows no image of this kind", "try: -c, which needs no help from the kernel"],
    errno.EOPNOTSUPP: ["the kernel does not support this image or its signature", "try: -c"],
    errno.ENOENT: ["something that the call needs is missing", "try: dmesg"],
    errno.EFAULT: [
        "a part of the image could not be read while it was copied",
        "try: again; the file may have changed",
    ],
    errno.EKEYREJECTED: ["the kernel's signature is not one that the running kernel trusts", _SIGNED],
    errno.ENOKEY: ["the key of the kernel's signature is not known to the running kernel", _SIGNED],
    errno.ENODATA: ["the kernel file is not signed, and the running kernel wants that", _SIGNED],
    errno.EBADMSG: ["the kernel's signature is damaged", _SIGNED],
    errno.ENOPKG: ["the running kernel lacks what it takes to check the signature", _SIGNED],
    errno.ELIBBAD: ["the file's signature part is damaged", _SIGNED],
    errno.EMSGSIZE: ["the command line, or the signature, is too long", "try: a shorter one"],
}
