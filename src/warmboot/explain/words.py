"""An errno's words where they are not those of the GNU C library in English: musl's, and common translations.

Programs that are linked statically, as installers are, often have musl's. kexec-tools does not translate; shells that
write to sysfs and tools that wrap kexec do.
"""

from __future__ import annotations

import errno

__all__ = ["WORDS"]

_MUSL = {
    "address not available": errno.EADDRNOTAVAIL,
    "resource busy": errno.EBUSY,
    "out of memory": errno.ENOMEM,
    "i/o error": errno.EIO,
    "not supported": errno.EOPNOTSUPP,
    "message too large": errno.EMSGSIZE,
}
_GERMAN = {
    "die operation ist nicht erlaubt": errno.EPERM,
    "das argument ist ung\u00fcltig": errno.EINVAL,
    "keine berechtigung": errno.EACCES,
    "nicht gen\u00fcgend hauptspeicher verf\u00fcgbar": errno.ENOMEM,
    "das ger\u00e4t oder die ressource ist belegt": errno.EBUSY,
    "die angeforderte funktion ist nicht implementiert": errno.ENOSYS,
    "die angeforderte adresse kann nicht zugewiesen werden": errno.EADDRNOTAVAIL,
    "fehler im format der programmdatei": errno.ENOEXEC,
}
_CHINESE = {
    "\u4e0d\u5141\u8bb8\u7684\u64cd\u4f5c": errno.EPERM,
    "\u65e0\u6548\u7684\u53c2\u6570": errno.EINVAL,
    "\u6743\u9650\u4e0d\u591f": errno.EACCES,
    "\u65e0\u6cd5\u5206\u914d\u5185\u5b58": errno.ENOMEM,
    "\u8bbe\u5907\u6216\u8d44\u6e90\u5fd9": errno.EBUSY,
    "\u51fd\u6570\u672a\u5b9e\u73b0": errno.ENOSYS,
    "\u65e0\u6cd5\u6307\u5b9a\u88ab\u8bf7\u6c42\u7684\u5730\u5740": errno.EADDRNOTAVAIL,
    "\u53ef\u6267\u884c\u6587\u4ef6\u683c\u5f0f\u9519\u8bef": errno.ENOEXEC,
}
WORDS = {**_MUSL, **_GERMAN, **_CHINESE}
