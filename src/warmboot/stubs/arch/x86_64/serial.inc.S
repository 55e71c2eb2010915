# SPDX-License-Identifier: GPL-2.0-or-later
# The first serial port (COM1, 16550), polled: 64-bit code, no stack frame of its own.

.set COM1, 0x3f8
.set COM1_LINE_STATUS, COM1 + 5
.set TRANSMITTER_EMPTY, 0x20

# al: the byte to send. A port that is not there must not hang the boot, so the wait is bounded.
# Clobbers nothing.
put_char:
	push	rax
	push	rcx
	push	rdx
	mov	ah, al
	mov	ecx, 100000
	mov	edx, COM1_LINE_STATUS
1:	in	al, dx
	test	al, TRANSMITTER_EMPTY
	jnz	2f
	dec	ecx
	jnz	1b
2:	mov	edx, COM1
	mov	al, ah
	out	dx, al
	pop	rdx
	pop	rcx
	pop	rax
	ret

.include "text.inc.S"
