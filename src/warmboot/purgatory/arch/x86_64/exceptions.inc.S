# SPDX-License-Identifier: GPL-2.0-or-later
# Exceptions of the processor, while nobody else has an interrupt table: they are written into the black box, told, and
# the machine stops, or is reset. 64-bit code.
# Needs BOOT_CS in the GDT that is loaded; and in memory that may be written `idt`, 512 bytes, `idt_limit` with
# `idt_address` behind it, and `in_exception`, 0.
#
# The table stays loaded when the new kernel is entered, up to the one that the kernel loads: its code selector is one
# that the kernel's first descriptor table has too.

.set VECTORS, 32
.set VECTOR_SIZE, 16			# bytes of code for each
.set NMI, 2
.set WITH_ERROR_CODE, 0x60227d00	# a bit for each vector (Intel SDM, volume 3, 6.3.1 and 6.15)
.set INTERRUPT_GATE, 0x8e00

.set BOX_EXCEPTION, 0x4e8		# vector + 1, the stage; then 26 quads and the 16 bytes at rip
.set GENERAL_REGISTERS, 15
.set FRAME_VECTOR, 8 * GENERAL_REGISTERS
.set FRAME_ERROR_CODE, FRAME_VECTOR + 8
.set FRAME_RIP, FRAME_VECTOR + 16	# rip, cs, rflags, rsp, ss

# Clobbers rax, rcx, rsi, rdi.
load_idt:
	mov	byte ptr in_exception[rip], 0
	lea	rdi, idt[rip]
	lea	rsi, vectors[rip]
	mov	ecx, VECTORS
1:	mov	rax, rsi
	mov	[rdi], ax
	mov	dword ptr [rdi + 2], BOOT_CS + (INTERRUPT_GATE << 16)
	shr	rax, 16
	mov	[rdi + 6], ax
	shr	rax, 16
	mov	[rdi + 8], rax
	add	rdi, 16
	add	rsi, VECTOR_SIZE
	dec	ecx
	jnz	1b
	lea	rax, idt[rip]
	mov	idt_address[rip], rax
	lidt	idt_limit[rip]
	ret

# Each pushes an error code where the processor does not, and its number.
	.balign	VECTOR_SIZE
vectors:
.set vector, 0
.rept VECTORS
.ifeq (WITH_ERROR_CODE >> vector) & 1
	push	0
.endif
	.byte	0x6a, vector			# push
	jmp	exception
	.balign	VECTOR_SIZE
.set vector, vector + 1
.endr

exception:
	cmp	qword ptr [rsp], NMI		# nobody is left whom it concerns
	jne	1f
	add	rsp, 16
	iretq
1:
.irp register, r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax
	push	\register
.endr
	cld
	mov	rbx, rsp
	mov	rax, [rbx + FRAME_RIP]
	lea	rcx, probe_box[rip]		# two instructions may fault
	lea	rdx, no_box[rip]
	cmp	rax, rcx
	je	2f
	lea	rcx, peek[rip]
	lea	rdx, peeked[rip]
	cmp	rax, rcx
	je	2f
	cmp	byte ptr in_exception[rip], 0
	jne	stop
	mov	byte ptr in_exception[rip], 1
	call	mark_exception
	call	tell_exception
	jmp	stop
2:	mov	[rbx + FRAME_RIP], rdx
.irp register, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
	pop	\register
.endr
	add	rsp, 16
	iretq

# rbx: the frame. Clobbers rax, rcx, rdx, rsi, rdi.
mark_exception:
	mov	rdx, blackbox[rip]
	test	rdx, rdx
	jz	1f
	lea	rdi, [rdx + BOX_EXCEPTION]
	mov	eax, [rbx + FRAME_VECTOR]
	inc	eax
	stosd
	mov	eax, [rdx + BOX_STAGE]
	stosd
	lea	rsi, [rbx + FRAME_ERROR_CODE]
	mov	ecx, 6				# and rip, cs, rflags, rsp, ss
	rep movsq
	mov	rax, cr0
	stosq
	mov	rax, cr2
	stosq
	mov	rax, cr3
	stosq
	mov	rax, cr4
	stosq
	mov	r8, rdx
	mov	ecx, EFER
	rdmsr
	shl	rdx, 32
	or	rax, rdx
	stosq
	mov	rsi, rbx
	mov	ecx, GENERAL_REGISTERS
	rep movsq
	mov	rdx, r8
	mov	rsi, [rbx + FRAME_RIP]
	mov	ecx, 16
peek:	rep movsb
peeked:	jmp	flush_box
1:	ret

# rbx: the frame. Clobbers rax, rcx, rsi, r8.
tell_exception:
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
