"""What is on the screen, for the next kernel's struct screen_info (include/uapi/linux/screen_info.h)."""

from __future__ import annotations

import fcntl
import os
import struct

from warmboot.live.files import under
from warmboot.memmap.firmware import FrameBuffer
from warmboot.visible import visible

__all__ = ["NO_SCREEN", "SCREEN_INFO_SIZE", "frame_buffer", "lost_screen", "read_fb", "screen_info"]

SCREEN_INFO_SIZE = 64  # bytes
_VIDEO_TYPE_VGAC, _VIDEO_TYPE_VLFB, _VIDEO_TYPE_EFI = 0x01, 0x23, 0x70
_VIDEO_CAPABILITY_SKIP_QUIRKS, _VIDEO_CAPABILITY_64BIT_BASE = 0x1, 0x2
_ORIG_VIDEO_ISVGA, _CAPABILITIES = 0x0F, 0x36
_TYPES = {b"VESA VGA": _VIDEO_TYPE_VLFB, b"EFI VGA": _VIDEO_TYPE_EFI}  # by the driver's name
# Drivers that leave the mode and the memory as firmware has set them up: what firmware told is still true.
_FIRMWARES_OWN = (b"simpledrm", b"efidrm", b"vesadrm")

_FBIOGET_VSCREENINFO, _FBIOGET_FSCREENINFO = 0x4600, 0x4602
_FIX = struct.Struct("<16sQIIIIHHH2xI")  # fb_fix_screeninfo up to line_length, include/uapi/linux/fb.h
_FIX_SIZE, _VAR_SIZE = 80, 160
_FB_TYPE_PACKED_PIXELS, _FB_VISUAL_TRUECOLOR = 0, 2

NO_SCREEN = struct.pack("<7xB6xBBH46x", 80, 25, 0, 16)  # columns, lines, type, points

Fb = tuple[bytes, bytes]  # struct fb_fix_screeninfo and struct fb_var_screeninfo


def read_fb(root: str = "/") -> Fb | None:
    """What the driver of the first frame buffer tells, or None where there is none."""
    try:
        fd = os.open(under(root, "dev/fb0"), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return (
            fcntl.ioctl(fd, _FBIOGET_FSCREENINFO, bytes(_FIX_SIZE)),
            fcntl.ioctl(fd, _FBIOGET_VSCREENINFO, bytes(_VAR_SIZE)),
        )
    except OSError:
        return None
    finally:
        os.close(fd)


def screen_info(fb: Fb | None, boot_params: bytes, *, reuse_video_type: bool = False) -> bytes:
    """The 64 bytes for the next kernel; empty where those of the running one's `boot_params` are still true.

    So they are without a frame buffer. One whose driver is not firmware's cannot be used by the next kernel, which
    learns then that it has no screen; with `reuse_video_type` it tries, as whatever firmware had set up, where the
    driver tells the frame buffer's address. A screen that the structure has no room for is none.
    """
    if fb is None:
        return b""
    kind = _TYPES.get(_name(fb), 0)
    if not kind and _name(fb).startswith(_FIRMWARES_OWN):
        return b""
    if not kind and reuse_video_type and _address(fb):
        kind = boot_params[_ORIG_VIDEO_ISVGA] if boot_params else _VIDEO_TYPE_VGAC
    if not _can_be_told(fb):
        kind = 0
    info = bytearray(NO_SCREEN)
    info[_ORIG_VIDEO_ISVGA] = kind
    if kind:
        _put_geometry(info, fb, kind)
    if kind and boot_params and boot_params[_ORIG_VIDEO_ISVGA] == kind:
        info[_CAPABILITIES] |= boot_params[_CAPABILITIES] & _VIDEO_CAPABILITY_SKIP_QUIRKS  # EFI's word is final
    return bytes(info)


def lost_screen(fb: Fb | None, info: bytes) -> str | None:
    """What is to be told of a screen that is there, and that `info`, the next kernel's, does not have."""
    if fb is None or not info or info[_ORIG_VIDEO_ISVGA]:
        return None
    name = visible(_name(fb).decode("ascii", "replace"))
    return f"the screen is not handed on: it is the driver {name}'s, and stays dark until its next driver"


def _can_be_told(fb: Fb) -> bool:
    """Whether struct screen_info has room for what the driver tells: 16 bits for each size, 8 for a colour's place."""
    *_, pitch = _FIX.unpack_from(fb[0])
    return max(pitch, *_mode(fb)) < 1 << 16 and max(max(each) for each in _colours(fb)) < 1 << 8


def _put_geometry(info: bytearray, fb: Fb, kind: int) -> None:
    _, address, size, *_, pitch = _FIX.unpack_from(fb[0])
    width, height, depth = _mode(fb)
    lfb_size = size if kind == _VIDEO_TYPE_EFI else -(-size // 0x10000)  # EFI's in bytes, VESA's in 64 KiB
    struct.pack_into("<HHHII", info, 0x12, width, height, depth, address & 0xFFFF_FFFF, lfb_size)
    struct.pack_into("<H", info, 0x24, pitch)
    if depth > 8:
        for number, (position, bits) in enumerate(_colours(fb)):
            struct.pack_into("<BB", info, 0x26 + 2 * number, bits, position)
    struct.pack_into("<H", info, 0x32, min(-(-size // 4096), 0xFFFF))  # of the interface that VESA no longer uses
    if address >> 32:
        struct.pack_into("<II", info, 0x36, _VIDEO_CAPABILITY_64BIT_BASE, address >> 32)


def frame_buffer(fb: Fb | None) -> FrameBuffer | None:
    """The frame buffer as a multiboot kernel can be told of it: linear, in true colour; None where it is not."""
    if fb is None:
        return None
    _, address, size, kind, _, visual, _, _, _, pitch = _FIX.unpack_from(fb[0])
    if not address or not size or (kind, visual) != (_FB_TYPE_PACKED_PIXELS, _FB_VISUAL_TRUECOLOR):
        return None
    red, green, blue, _ = _colours(fb)
    return FrameBuffer(address, pitch, *_mode(fb), red, green, blue)


def _address(fb: Fb) -> int:
    """Physical; drivers of the DRM subsystem tell 0 (drm_leak_fbdev_smem)."""
    return int(_FIX.unpack_from(fb[0])[1])


def _name(fb: Fb) -> bytes:
    return fb[0][:16].partition(b"\0")[0]


def _mode(fb: Fb) -> tuple[int, int, int]:
    """Width, height, bits of a pixel."""
    width, height, *_, depth = struct.unpack_from("<7I", fb[1])
    return width, height, depth


def _colours(fb: Fb) -> list[tuple[int, int]]:
    """Position and bits of red, green, blue and transparency."""
    return [struct.unpack_from("<II", fb[1], 32 + 12 * number) for number in range(4)]
