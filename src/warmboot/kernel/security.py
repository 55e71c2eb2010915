"""Who may load: the caller's rights, and the hooks of security modules, IMA and lockdown."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from warmboot.kernel.ima import appraises_kexec

if TYPE_CHECKING:
    from warmboot.memmap import Facts

__all__ = ["Caller", "Ima", "Lockdown", "LockdownMode", "Security", "SecurityHook"]


@dataclass(frozen=True, slots=True)
class Caller:
    """The task that makes a system call."""

    cap_sys_boot: bool = True
    # Whether a signal that kills the task is pending. Linux looks before each page that it allocates and then
    # fails as if memory had run out (kimage_alloc_pages): ENOMEM, not EINTR, which kexec_load never returns.
    fatal_signal_pending: Callable[[], bool] = field(default=lambda: False)


class LockdownMode(StrEnum):
    """security/lockdown: each mode forbids what the one before it does, and more."""

    NONE = "none"
    INTEGRITY = "integrity"
    CONFIDENTIALITY = "confidentiality"


_NONE = LockdownMode.NONE  # looked up once: members of enums are slow

# A hook of security_kernel_load_data(LOADING_KEXEC_IMAGE): 0 to allow, or a positive errno.
SecurityHook = Callable[[Caller], int]


@dataclass(slots=True)
class Lockdown:
    """security_locked_down(LOCKDOWN_KEXEC): kexec of an unsigned image is forbidden from integrity mode on."""

    mode: LockdownMode = LockdownMode.NONE

    def locked_down_kexec(self) -> int:
        """0 where loading is allowed, else EPERM."""
        return 0 if self.mode is _NONE else errno.EPERM


@dataclass(frozen=True, slots=True)
class Ima:
    """IMA's hook (ima_load_data): it cannot appraise an image that has no file, and refuses it where it must."""

    appraise_kexec: bool = False  # a policy rule func=KEXEC_KERNEL_CHECK with appraise, enforced
    secure_boot: bool = False  # with CONFIG_KEXEC_SIG

    def __call__(self, caller: Caller) -> int:
        return errno.EACCES if self.appraise_kexec or self.secure_boot else 0


@dataclass(slots=True)
class Security:
    """All that stands between a capable caller and kexec_load.

    `sig_enforce` is the variable of kernel/kexec_file.c: kexec_file_load refuses what is not signed.
    """

    lockdown: Lockdown = field(default_factory=Lockdown)
    hooks: list[SecurityHook] = field(default_factory=list)
    sig_enforce: bool = False

    @classmethod
    def of(cls, facts: Facts) -> Security:
        """What the facts tell of it."""
        lockdown = Lockdown(LockdownMode(facts.lockdown_mode))
        config = facts.kernel_config
        if config is None:
            # Under lockdown it is not known whether signatures are forced besides.
            return cls(lockdown, sig_enforce=bool(facts.signatures_required) and lockdown.mode is _NONE)
        secure_boot = facts.secure_boot is True and config.get("CONFIG_KEXEC_SIG") == "y"
        forced = config.get("CONFIG_KEXEC_SIG_FORCE") == "y"
        forced |= secure_boot and config.get("CONFIG_IMA_ARCH_POLICY") == "y"  # arch_get_ima_policy
        # Who asks for IMA whether Secure Boot is on: the architecture, for all (7.x), or a part of IMA's.
        knows = ("CONFIG_HAVE_ARCH_GET_SECUREBOOT", "CONFIG_IMA_SECURE_AND_OR_TRUSTED_BOOT")
        ima = config.get("CONFIG_IMA") == "y" and any(config.get(each) == "y" for each in knows)
        hook = Ima(appraises_kexec(facts), secure_boot and ima)
        hooks: list[SecurityHook] = [hook] if hook.appraise_kexec or hook.secure_boot else []
        return cls(lockdown, hooks, forced)

    def kernel_load_data(self, caller: Caller) -> int:
        """The first hook's refusal as a positive errno, or 0."""
        for hook in self.hooks:
            number = hook(caller)
            if number:
                return number
        return 0
