# SPDX-License-Identifier: GPL-2.0-or-later
# What the purgatory says: on a serial port (16550), and in VGA's text memory, each if it was asked for. 64-bit code.
# Needs `flags` with CONSOLE_SERIAL and CONSOLE_VGA, `serial_port` and `serial_divisor`, and in memory that may be
# written `serial_is_set_up` and `vga_column`, both 0.

.set LINE_STATUS, 5
.set TRANSMITTER_EMPTY, 0x20
.set VGA_TEXT, 0xb8000
.set VGA_COLUMNS, 80
.set VGA_ROWS, 25
.set VGA_GREY, 0x0700
.set VGA_LAST_ROW, VGA_TEXT + 2 * VGA_COLUMNS * (VGA_ROWS - 1)

# al: the character to show. Clobbers nothing.
put_char:
	push	rax
	push	rcx
	push	rdx
	push	rsi
	push	rdi
	test	dword ptr flags[rip], CONSOLE_SERIAL
	jz	1f
	call	put_serial
1:	test	dword ptr flags[rip], CONSOLE_VGA
	jz	1f
	call	put_vga
1:	pop	rdi
	pop	rsi
	pop	rdx
	pop	rcx
	pop	rax
	ret

# al: the byte to send. A port that is not there must not hang the boot, so the wait is bounded.
# Clobbers rcx, rdx.
put_serial:
	push	rax
	cmp	byte ptr serial_is_set_up[rip], 0
	jne	1f
	call	set_up_serial
	mov	byte ptr serial_is_set_up[rip], 1
1:	mov	ecx, 100000
	mov	edx, serial_port[rip]
	add	edx, LINE_STATUS
1:	in	al, dx
	test	al, TRANSMITTER_EMPTY
	jnz	2f
	dec	ecx
	jnz	1b
2:	sub	edx, LINE_STATUS
	pop	rax
	out	dx, al
	ret

# One port and what to write to it, from the port on: offset, value.
.macro SERIAL_REGISTER offset value
	lea	edx, [rcx + \offset]
	mov	al, \value
	out	dx, al
.endm

# Eight bits, no parity, one stop bit; no interrupts, no FIFO; DTR and RTS. The rate stays where no divisor is given.
# Clobbers rax, rcx, rdx.
set_up_serial:
	mov	ecx, serial_port[rip]
	SERIAL_REGISTER 3 0x03
	SERIAL_REGISTER 1 0
	SERIAL_REGISTER 2 0
	SERIAL_REGISTER 4 0x03
	cmp	dword ptr serial_divisor[rip], 0
	je	1f
	SERIAL_REGISTER 3 0x83		# the divisor takes the place of registers 0 and 1
	SERIAL_REGISTER 0 serial_divisor[rip]
	SERIAL_REGISTER 1 serial_divisor[rip+1]
	SERIAL_REGISTER 3 0x03
1:	ret

# al: the character. The last row is written to; a new line scrolls. Clobbers rax, rcx, rsi, rdi.
put_vga:
	cmp	al, '\r'
	je	3f
	cmp	al, '\n'
	je	1f
	movzx	eax, al
	or	eax, VGA_GREY
	mov	edi, vga_column[rip]
	mov	[rdi * 2 + VGA_LAST_ROW], ax
	inc	edi
	mov	vga_column[rip], edi
	cmp	edi, VGA_COLUMNS
	jb	3f
1:	mov	edi, VGA_TEXT
	mov	esi, VGA_TEXT + 2 * VGA_COLUMNS
	mov	ecx, VGA_COLUMNS * (VGA_ROWS - 1) / 4
	rep movsq
	mov	ecx, VGA_COLUMNS
	mov	eax, VGA_GREY + ' '
	rep stosw
	mov	dword ptr vga_column[rip], 0
3:	ret

.include "text.inc.S"
