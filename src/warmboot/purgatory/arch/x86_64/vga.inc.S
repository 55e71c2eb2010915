# SPDX-License-Identifier: GPL-2.0-or-later
# A VGA adapter back in text mode 3, 80 columns by 25 rows, by its registers; the values are those of the IBM VGA
# (Technical Reference, mode 3+). What fonts lie in its memory stays. 64-bit code.

.set VGA_ATTRIBUTE, 0x3c0
.set VGA_MISCELLANEOUS, 0x3c2
.set VGA_SEQUENCER, 0x3c4
.set VGA_GRAPHICS, 0x3ce
.set VGA_CRTC, 0x3d4
.set VGA_STATUS, 0x3da
.set VGA_CRTC_UNLOCKED, 0x0e11		# register 0x11 without its bit 7, which protects 0 to 7
.set VGA_SHOW, 0x20			# gives the palette back to the display

# `count` registers behind an index register at `port`, with the bytes at rsi.
.macro VGA_INDEXED port count
	mov	edx, \port
	xor	eax, eax
1:	mov	ah, [rsi]
	out	dx, ax
	inc	rsi
	inc	eax
	cmp	al, \count
	jb	1b
.endm

# Clobbers rax, rcx, rdx, rsi, rdi.
reset_vga:
	mov	edx, VGA_STATUS			# the attribute controller expects an index next
	in	al, dx
	xor	eax, eax
	mov	edx, VGA_ATTRIBUTE		# nothing is shown meanwhile
	out	dx, al
	mov	edx, VGA_MISCELLANEOUS
	mov	al, 0x67
	out	dx, al
	lea	rsi, vga_sequencer[rip]
	VGA_INDEXED VGA_SEQUENCER 5
	mov	eax, 0x0300			# out of its reset
	out	dx, ax
	mov	edx, VGA_CRTC
	mov	eax, VGA_CRTC_UNLOCKED
	out	dx, ax
	VGA_INDEXED VGA_CRTC 25
	VGA_INDEXED VGA_GRAPHICS 9
	mov	edx, VGA_STATUS
	in	al, dx
	mov	edx, VGA_ATTRIBUTE
	xor	ecx, ecx
1:	mov	al, cl
	out	dx, al
	mov	al, [rsi]
	out	dx, al
	inc	rsi
	inc	ecx
	cmp	ecx, 21
	jb	1b
	mov	al, VGA_SHOW
	out	dx, al
	mov	edi, VGA_TEXT
	mov	ecx, VGA_COLUMNS * VGA_ROWS
	mov	eax, VGA_GREY + ' '
	rep stosw
	ret

vga_sequencer:	.byte	0x01, 0x00, 0x03, 0x00, 0x02
vga_crtc:	.byte	0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00
	.byte	0x00, 0x00, 0x00, 0x9c, 0x0e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff
vga_graphics:	.byte	0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x00, 0xff
vga_attribute:	.byte	0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a
	.byte	0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x0c, 0x00, 0x0f, 0x08, 0x00
