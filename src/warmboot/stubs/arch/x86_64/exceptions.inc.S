# SPDX-License-Identifier: GPL-2.0-or-later
# Exceptions of the processor, while nobody else has an interrupt table: they are written into the black box (record.py
# of the purgatory describes the page), and the includer's `tell_exception` and `stop` follow. 64-bit code.
# Needs BOOT_CS in the GDT that is loaded; `blackbox`, the page's physical address or 0; `fixups`, pairs of 32-bit offsets
# from there, ended by 0: code that may fault, and where it goes on; and in memory that may be written `idt`, 512 bytes,
# `idt_limit` with `idt_address` behind it, `in_exception`, a byte, and `stage_now`, 32 bits.
#
# The table stays loaded when the new kernel is entered, up to the one that the kernel loads: its code selector is one
# that the kernel's first descriptor table has too.

.set VECTORS, 32
.set VECTOR_SIZE, 16			# bytes of code for each
.set NMI, 2
.set WITH_ERROR_CODE, 0x60227d00	# a bit for each vector (Intel SDM, volume 3, 6.3.1 and 6.15)
.set INTERRUPT_GATE, 0x8e00
.set EXTENDED_FEATURES, 0xc0000080	# EFER

.set BOX_SIZE, 4096
.set BOX_STAGE, 0x400
.set BOX_TSC, 0x408
.set BOX_EXCEPTION, 0x4e8		# vector + 1, the stage; then 26 quads and the 16 bytes at rip
.set CACHE_LINE, 64
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
	lea	rcx, fixups[rip]
	mov	rsi, rcx
1:	movsxd	rdx, dword ptr [rsi]
	test	rdx, rdx
	jz	1f
	add	rdx, rcx
	add	rsi, 8
	cmp	rax, rdx
	jne	1b
	movsxd	rdx, dword ptr [rsi - 4]
	add	rdx, rcx
	jmp	2f
1:	cmp	byte ptr in_exception[rip], 0
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
	mov	eax, stage_now[rip]		# what was copied over the page may have taken the mark with it
	call	put_stage
	lea	rdi, [rdx + BOX_EXCEPTION]
	mov	eax, [rbx + FRAME_VECTOR]
	inc	eax
	stosd
	mov	eax, stage_now[rip]
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
	mov	ecx, EXTENDED_FEATURES
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

# eax: a stage. rdx: the page. Clobbers rax, rcx.
put_stage:
	mov	ecx, eax
	not	eax
	shl	rax, 32
	or	rax, rcx
	mov	[rdx + BOX_STAGE], rax		# one store: the mark is there whole, or not
	ret

# rdx: the page. Every mark is flushed from the cache: a reset does not write caches back. Clobbers rcx, rdx.
flush_box:
	mov	ecx, BOX_SIZE / CACHE_LINE
1:	clflush	[rdx]
	add	rdx, CACHE_LINE
	dec	ecx
	jnz	1b
	ret
