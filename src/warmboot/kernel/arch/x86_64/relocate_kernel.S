# SPDX-License-Identifier: GPL-2.0-or-later
# The relocation code: machine_kexec copies it into the control code page and enters it there. It walks the
# page list of a kimage, brings every source page to its destination, and jumps to the image's start.
#
# It is position independent, runs from one page, and its stack is the end of that page: the last 1024 bytes
# are its own, the old kernel's stack pointer may be just below them.
# At entry: interrupts off, rdi = the list's head (a kimage_entry_t), rsi = physical address of the identity page
# tables, rdx = the image's start, rcx = physical address of the swap page, r8 bit 0 = preserve_context, bit 1 = the
# image finds the segments' descriptor table loaded (else only what was loaded from it), bit 2 = its stack is empty (else
# it has a word of zeros), bit 3 = r9 is the physical address of the black box. The two stages of this code are marked
# in that, and exceptions; then both descriptor tables stay loaded.
# All addresses are physical and identity mapped before and after cr3 is loaded.
# With preserve_context pages are exchanged, the image is called, and what it returns in rax is returned
# here, after the pages have been exchanged back.

.intel_syntax noprefix
.code64

.set PAGE_SIZE, 4096
.set IND_DESTINATION, 0
.set IND_INDIRECTION, 1
.set IND_DONE, 2
.set IND_SOURCE, 3
.set FLAG_PRESERVE_CONTEXT, 1
.set FLAG_LEAVE_GDT, 2
.set FLAG_EMPTY_STACK, 4
.set FLAG_BOX, 8
.set KERNEL_CS, 0x10
.set BOOT_CS, KERNEL_CS
.set STAGE_RELOCATING, 3
.set STAGE_RELOCATED, 4
.set KERNEL_DS, 0x18
.set CR0_PE_PG, 0x80000001
.set CR0_CLEAR, 0x5000c			# AM, WP, TS, EM
.set CR4_PAE, 0x20
.set CR4_LA57, 0x1000

# From rsi to rdi, 4096 bytes. Plain moves, in line: a repeated string instruction is several times slower under
# emulation, and so is every write to a page that holds code, such as a call's to the stack here.
.macro COPY_PAGE
	mov	ecx, PAGE_SIZE / 64
9:
.irp offset, 0, 32
	mov	r8, [rsi + \offset]
	mov	r9, [rsi + \offset + 8]
	mov	r10, [rsi + \offset + 16]
	mov	r11, [rsi + \offset + 24]
	mov	[rdi + \offset], r8
	mov	[rdi + \offset + 8], r9
	mov	[rdi + \offset + 16], r10
	mov	[rdi + \offset + 24], r11
.endr
	add	rsi, 64
	add	rdi, 64
	dec	ecx
	jnz	9b
.endm

relocate_kernel:
	jmp	1f
	.balign	16, 0
returned:				# at byte 16: where a preserve_context image's return to the old kernel ends
	hlt
	jmp	returned
1:	push	rbx
	push	rbp
	push	r12
	push	r13
	push	r14
	push	r15
	pushfq
	mov	saved_rsp[rip], rsp
	mov	rax, cr3
	mov	saved_cr3[rip], rax
	mov	rax, cr0
	mov	saved_cr0[rip], rax
	mov	rax, cr4
	mov	saved_cr4[rip], rax
	mov	saved_head[rip], rdi
	mov	saved_swap[rip], rcx
	mov	saved_flags[rip], r8
	mov	blackbox[rip], r9
	sgdt	saved_gdtr[rip]
	sidt	saved_idtr[rip]

	push	0				# zero flags: interrupts off, direction up
	popfq
	mov	cr3, rsi
	lea	rsp, relocate_kernel[rip + PAGE_SIZE]
	test	byte ptr saved_flags[rip], FLAG_EMPTY_STACK
	jnz	1f
	push	0				# where a kernel would return to
1:	push	rdx				# the start, for the final ret

	lea	rax, gdt[rip]
	mov	gdtr[rip + 2], rax
	lgdt	gdtr[rip]
	lidt	no_table[rip]
	mov	eax, KERNEL_DS
.irp register, ds, es, ss, fs, gs
	mov	\register, eax
.endr
	lea	rax, 1f[rip]
	push	KERNEL_CS
	push	rax
	retfq
1:
	mov	rax, cr4			# 5-level paging cannot be left from here, all else is reset
	and	eax, CR4_LA57
	or	eax, CR4_PAE
	mov	cr4, rax
	mov	rax, cr0			# after cr4: WP cannot be cleared while CET is on
	and	eax, ~CR0_CLEAR
	or	eax, CR0_PE_PG
	mov	cr0, rax

	test	byte ptr saved_flags[rip], FLAG_BOX
	jz	1f
	call	load_idt
	mov	eax, STAGE_RELOCATING
	call	mark
1:	mov	rdi, saved_head[rip]
	call	walk_page_list
	mov	rax, cr3			# forget what was cached of the old contents
	mov	cr3, rax

	test	byte ptr saved_flags[rip], FLAG_BOX
	jz	1f
	mov	eax, STAGE_RELOCATED
	call	mark
	test	byte ptr saved_flags[rip], FLAG_PRESERVE_CONTEXT
	jz	2f
1:
	test	byte ptr saved_flags[rip], FLAG_PRESERVE_CONTEXT
	jnz	call_and_return
	test	byte ptr saved_flags[rip], FLAG_LEAVE_GDT
	jnz	1f
	lgdt	no_table[rip]
1:
2:	xor	eax, eax
	xor	ebx, ebx
	xor	ecx, ecx
	xor	edx, edx
	xor	esi, esi
	xor	edi, edi
	xor	ebp, ebp
	xor	r8d, r8d
	xor	r9d, r9d
	xor	r10d, r10d
	xor	r11d, r11d
	xor	r12d, r12d
	xor	r13d, r13d
	xor	r14d, r14d
	xor	r15d, r15d
	ret

call_and_return:
	pop	rdx
	call	rdx
	lea	rsp, relocate_kernel[rip + PAGE_SIZE]
	push	rax
	mov	rdi, saved_head[rip]
	call	walk_page_list
	pop	rax
	mov	rdx, saved_cr0[rip]
	mov	cr0, rdx
	mov	rdx, saved_cr4[rip]
	mov	cr4, rdx
	mov	rdx, saved_cr3[rip]
	mov	cr3, rdx
	lgdt	saved_gdtr[rip]
	lidt	saved_idtr[rip]
	mov	rsp, saved_rsp[rip]
	popfq
	pop	r15
	pop	r14
	pop	r13
	pop	r12
	pop	rbp
	pop	rbx
	ret

# rdi: the head. rbp walks the list, rbx is the destination.
walk_page_list:
	mov	rax, rdi
	xor	ebx, ebx
	jmp	2f
1:	mov	rax, [rbp]
	add	rbp, 8
2:	mov	rsi, rax
	and	rsi, -PAGE_SIZE
	bt	eax, IND_SOURCE
	jc	3f
	bt	eax, IND_DESTINATION
	cmovc	rbx, rsi
	jc	1b
	bt	eax, IND_INDIRECTION
	cmovc	rbp, rsi
	jc	1b
	ret					# IND_DONE

3:	mov	rdi, rbx
	add	rbx, PAGE_SIZE
	cmp	rsi, rdi			# already in its final place
	je	1b
	test	byte ptr saved_flags[rip], FLAG_PRESERVE_CONTEXT
	jnz	4f
	COPY_PAGE				# no call: the stack is in the page of this code, see COPY_PAGE
	jmp	1b
4:	mov	r12, rsi			# exchange through the swap page
	mov	r13, rdi
	mov	rsi, r13
	mov	rdi, saved_swap[rip]
	call	copy_page
	mov	rsi, r12
	mov	rdi, r13
	call	copy_page
	mov	rsi, saved_swap[rip]
	mov	rdi, r12
	call	copy_page
	jmp	1b

copy_page:
	COPY_PAGE
	ret

# eax: the stage that begins. Clobbers rax, rcx, rdx.
mark:
	mov	stage_now[rip], eax
	mov	ecx, eax
	rdtsc
	shl	rdx, 32
	or	rax, rdx
	mov	rdx, blackbox[rip]
	mov	[rdx + rcx * 8 + BOX_TSC], rax
	mov	eax, ecx
	call	put_stage
	jmp	flush_box

# rbx: the frame. Clobbers rax, rcx, rsi, r8.
tell_exception:
	lea	rsi, text_exception[rip]
	call	put_text
	mov	rax, [rbx + FRAME_VECTOR]
	mov	ecx, 2
	call	put_hex
	lea	rsi, text_relocation[rip]
	jmp	put_text

stop:	cli
	hlt
	jmp	stop

fixups:	.long	peek - fixups, peeked - fixups
	.long	0

text_exception:	.asciz	"\r\nwarmboot: the processor's exception 0x"
text_relocation: .asciz	", while pages were brought to their places\r\n"

.include "serial.inc.S"
.include "exceptions.inc.S"

	.balign	8
saved_rsp:	.quad	0
saved_cr3:	.quad	0
saved_cr0:	.quad	0
saved_cr4:	.quad	0
saved_head:	.quad	0
saved_swap:	.quad	0
saved_flags:	.quad	0
blackbox:	.quad	0
stage_now:	.long	0
in_exception:	.byte	0
		.balign	8
idt:		.zero	16 * VECTORS
idt_limit:	.word	16 * VECTORS - 1
idt_address:	.quad	0
saved_gdtr:	.zero	10
saved_idtr:	.zero	10
gdtr:	.word	gdt_end - gdt - 1
	.quad	0
no_table:
	.zero	10
	.balign	8
gdt:	.quad	0
	.quad	0x00cf9b000000ffff		# 32-bit code; as the others, marked as accessed: nothing is written here
	.quad	0x00af9b000000ffff		# KERNEL_CS
	.quad	0x00cf93000000ffff		# KERNEL_DS
gdt_end:
