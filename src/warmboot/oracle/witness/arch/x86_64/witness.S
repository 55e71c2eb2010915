# SPDX-License-Identifier: GPL-2.0-or-later
# The witness: an image of our own that reports, over the serial port, what it finds when a kernel jumps to it: every
# register, what the page tables map, and the SHA-256 of every destination range. Then it halts.
#
# It is entered at its first byte and needs nothing but that its own memory is mapped to itself: its stack and all that
# it writes lie in the page behind its code, SCRATCH, which is the end of its segment and zero at entry. That this page
# was zero is seen before it is written, without a register or a flag that would be lost. TABLE, at byte 16, is filled in
# by whoever loads it; the first range is the witness's own code, as the first digest is what changes it.

.intel_syntax noprefix
.code64

.set PAGE_SIZE, 4096
.set REGIONS, 16
.set SCRATCH, 0x8000			# from the start of the image; the code must end before it
.set CR4_OSFXSR, 0x200
.set CR4_LA57_BIT, 12
.set EFER, 0xc0000080
.set PRESENT, 1
.set RIGHTS, 6				# RW, USER: given only where every level gives them
.set NX_BIT, 63
.set NX, 8				# as reported: set where any level sets it
.set LARGE, 0x80

start_of_image:
	jmp	begin
	.org	16

# TABLE
region_count:	.quad	0
regions:	.zero	16 * REGIONS	# physical address, bytes (a multiple of 64)
# end of TABLE

.include "serial.inc.S"
.include "sha256.inc.S"
.include "report.inc.S"

begin:
	mov	dr0, rcx
	mov	dr1, rsi
	lea	rsi, scratch[rip]
	mov	ecx, PAGE_SIZE / 8
	pxor	mm0, mm0
1:	por	mm0, [rsi]
	lea	rsi, [rsi + 8]
	loop	1b
	mov	rcx, dr0
	mov	rsi, dr1
	SAVE_GENERAL registers
	movq	found_in_scratch[rip], mm0
	lea	rsp, stack_top[rip]
	pushfq
	pop	control_registers[rip + 40]
	cli
	cld
	emms
	lea	rax, start_of_image[rip]
	mov	control_registers[rip], rax
	mov	rax, cr0
	mov	control_registers[rip + 8], rax
	mov	rax, cr3
	mov	control_registers[rip + 16], rax
	mov	rax, cr4
	mov	control_registers[rip + 24], rax
	or	eax, CR4_OSFXSR
	mov	cr4, rax
	mov	ecx, EFER
	rdmsr
	mov	control_registers[rip + 32], eax
	mov	control_registers[rip + 36], edx
.set saved_at, 0
.irp register, cs, ds, es, fs, gs, ss
	mov	eax, \register
	mov	segment_registers[rip + saved_at], rax
.set saved_at, saved_at + 8
.endr
	sub	rsp, 16
	sgdt	[rsp]
	movzx	eax, word ptr [rsp]
	mov	table_limits[rip], rax
	sidt	[rsp]
	movzx	eax, word ptr [rsp]
	mov	table_limits[rip + 8], rax
	add	rsp, 16

	lea	rsi, text_hello[rip]
	call	put_text
	lea	rbx, register_names[rip]
	lea	rbp, registers[rip]
	mov	r12d, 31
	call	put_registers

	mov	rdi, control_registers[rip + 16]
	xor	esi, esi
	mov	ecx, 39
	bt	dword ptr control_registers[rip + 24], CR4_LA57_BIT
	jnc	1f
	mov	ecx, 48
1:	mov	edx, RIGHTS
	call	walk_table
	call	put_run

	lea	rsi, text_stack[rip]		# behind the mapping: where the stack is not in it, this is the last word
	call	put_text
	mov	rax, registers[rip + 56]
	mov	rax, [rax]
	mov	ecx, 16
	call	put_hex

	lea	rbp, regions[rip]
	mov	rax, region_count[rip]
	mov	remaining[rip], rax
1:	cmp	qword ptr remaining[rip], 0
	je	2f
	call	put_range_digest
	add	rbp, 16
	dec	qword ptr remaining[rip]
	jmp	1b

2:	lea	rsi, text_end[rip]
	call	put_text
halted:	hlt
	jmp	halted

# A page table and all below it: rdi = its physical address (with an entry's flags), rsi = the first virtual address
# that it maps, ecx = log2 of the bytes that each of its entries maps, edx = the rights of the levels above.
# A table that lies in a destination is none any more, and is told as lost. So may be those of the old address of the
# relocation code, which Linux takes from anywhere; those of the identity mapping never.
# Clobbers rax, rcx, rdx, rsi, rdi, r8.
walk_table:
	push	rbx
	push	rbp
	push	r12
	push	r13
	push	r14
	mov	rbx, address_mask[rip]
	and	rbx, rdi
	mov	rbp, rsi
	mov	r12d, ecx
	mov	r13d, edx
	lea	rdx, scratch[rip]
	cmp	rbx, rdx
	je	5f
	lea	rax, regions[rip]
	mov	rcx, region_count[rip]
1:	mov	rdx, rbx
	sub	rdx, [rax]
	cmp	rdx, [rax + 8]
	jb	5f
	add	rax, 16
	loop	1b
	xor	r14d, r14d			# the entry's number
1:	mov	rdi, [rbx + 8 * r14]
	test	dil, PRESENT
	jz	4f
	mov	edx, edi
	and	edx, RIGHTS
	or	edx, NX
	and	edx, r13d
	bt	rdi, NX_BIT
	jnc	2f
	or	edx, NX
2:	mov	ecx, r12d
	mov	rsi, r14
	shl	rsi, cl
	add	rsi, rbp
	cmp	ecx, 12
	je	3f
	sub	ecx, 9
	test	dil, LARGE
	jnz	3f
	call	walk_table
	jmp	4f
3:	mov	ecx, r12d
	mov	eax, 1
	shl	rax, cl
	and	rdi, address_mask[rip]
	lea	rcx, [rax - 1]
	not	rcx
	and	rdi, rcx			# bit 12 of a large page's entry is no address
	call	add_page
4:	inc	r14d
	cmp	r14d, 512
	jb	1b
	jmp	6f
5:	call	put_run
	mov	qword ptr run_size[rip], 0
	lea	rsi, text_lost[rip]
	call	put_text
	mov	rax, rbp
	mov	ecx, 16
	call	put_hex
6:	pop	r14
	pop	r13
	pop	r12
	pop	rbp
	pop	rbx
	ret

# rsi: a virtual address, rdi: the physical one that it is mapped to, rax: bytes, edx: rights. They are counted to the
# run that they go on with, or begin a new one. Clobbers rax, rcx, r8.
add_page:
	mov	rcx, run_virtual[rip]
	add	rcx, run_size[rip]
	cmp	rcx, rsi
	jne	1f
	mov	rcx, run_physical[rip]
	add	rcx, run_size[rip]
	cmp	rcx, rdi
	jne	1f
	cmp	run_rights[rip], rdx
	jne	1f
	add	run_size[rip], rax
	ret
1:	push	rax
	push	rsi
	call	put_run
	pop	rsi
	pop	rax
	mov	run_virtual[rip], rsi
	mov	run_physical[rip], rdi
	mov	run_size[rip], rax
	mov	run_rights[rip], rdx
	ret

# The run that has been counted, if there is one. Clobbers rax, rcx, rsi, r8.
put_run:
	cmp	qword ptr run_size[rip], 0
	je	1f
	push	rdx
	mov	rax, run_virtual[rip]
	mov	rdx, run_size[rip]
	lea	rsi, text_map[rip]
	call	put_text
	call	put_bounds
	mov	al, ' '
	call	put_char
	mov	rax, run_physical[rip]
	mov	ecx, 16
	call	put_hex
	mov	al, ' '
	call	put_char
	mov	rax, run_rights[rip]
	mov	ecx, 1
	call	put_hex
	pop	rdx
1:	ret

text_hello:	.asciz	"\nwitness: entered"
text_map:	.asciz	"\nmap "
text_lost:	.asciz	"\nlost "
text_stack:	.asciz	"\nstack "
text_range:	.asciz	"\nrange "
text_end:	.asciz	"\nwitness: end\n"
register_names:
.irp name, "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"
	.asciz	"\n\name "
.endr
.irp name, "rip", "cr0", "cr3", "cr4", "efer", "rflags", "cs", "ds", "es", "fs", "gs", "ss", "gdt_limit", "idt_limit", "scratch"
	.asciz	"\n\name "
.endr

	.balign	8
address_mask:
	.quad	0x000ffffffffff000

.set scratch, start_of_image + SCRATCH
.set registers, scratch
.set control_registers, registers + 8 * 16	# rip, cr0, cr3, cr4, efer, rflags
.set segment_registers, control_registers + 8 * 6
.set table_limits, segment_registers + 8 * 6
.set found_in_scratch, table_limits + 8 * 2
.set digest, found_in_scratch + 8
.set remaining, digest + 32
.set run_virtual, remaining + 8
.set run_physical, run_virtual + 8
.set run_size, run_physical + 8
.set run_rights, run_size + 8
.set stack_top, scratch + PAGE_SIZE
