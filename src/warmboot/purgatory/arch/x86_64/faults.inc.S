# SPDX-License-Identifier: GPL-2.0-or-later
# What the purgatory does at the processor's exceptions, and wherever it must not go on: it says so, and stops or resets.
# 64-bit code. Needs exceptions.inc.S and what that needs.

# A box that the page tables do not have is no reason to stop; the rest are places that may fault and be gone on from.
fixups:
	.long	probe_box - fixups, no_box - fixups
	.long	peek - fixups, peeked - fixups
	.long	0

# rbx: the frame. Clobbers rax, rcx, rdx, rsi, r8.
tell_exception:
	mov	al, [rbx + FRAME_VECTOR]
	inc	al
	mov	cmos_marks[rip + CMOS_VECTOR], al
	call	put_cmos
	or	dword ptr flags[rip], CONSOLE_SERIAL
	mov	byte ptr serial_is_set_up[rip], 0	# another kernel may have used it
	lea	rsi, text_exception[rip]
	mov	rax, [rbx + FRAME_VECTOR]
	mov	r9d, 2
	call	put_named
	mov	rax, [rbx + FRAME_ERROR_CODE]
	mov	r9d, 16
	call	put_named
	mov	rax, [rbx + FRAME_RIP]
	call	put_named
	mov	rax, cr2
	call	put_named
	jmp	put_end

# rsi: a text, behind which it is on return. rax: a number, told after it in r9d digits. Clobbers rax, rcx, r8.
put_named:
	push	rax
	call	put_text
	pop	rax
	mov	ecx, r9d
	jmp	put_hex

# What the user is to know when nothing more comes. Clobbers rax, rsi.
put_end:
	lea	rsi, text_resets[rip]
	test	dword ptr flags[rip], RESET_ON_FAULT
	jnz	put_text
	lea	rsi, text_stopped[rip]
	jmp	put_text

stop:
	cli
	test	dword ptr flags[rip], RESET_ON_FAULT
	jz	1f
	call	reset
1:	hlt
	jmp	1b

# A warm reset, as memory shall keep what it has: the chipset's register, else the keyboard controller's line, else a
# fault with no table to find its handler in. Clobbers rax, rdx.
reset:
	mov	edx, RESET_CONTROL
	in	al, dx
	and	al, ~RESET_BITS
	or	al, RESET_SYSTEM
	out	dx, al
	out	0x80, al			# some time, as Linux gives it
	or	al, RESET_BITS
	out	dx, al
	mov	al, PULSE_RESET
	out	KEYBOARD_COMMAND, al
	lidt	no_table[rip]
	int3

no_table:	.zero	10
text_exception:	.asciz	"\r\nwarmboot: the processor's exception 0x"
		.asciz	", error code "
		.asciz	"\r\n  at "
		.asciz	", address "
text_resets:	.asciz	"\r\n  resetting the machine\r\n"
