# SPDX-License-Identifier: GPL-2.0-or-later
# The purgatory: what runs between the old kernel and the new one. It checks a SHA-256 over everything else that
# was loaded; where that is right it enters the new kernel as the 64-bit boot protocol asks, where it is not it
# says so on the serial port and stops.
#
# It is position independent. The parameters at PARAMETERS are filled in by placement (purgatory/__init__.py
# holds the same layout); the digest covers neither them nor any other byte of the purgatory.

.intel_syntax noprefix
.code64

.set CR4_OSFXSR, 0x200
.set CR0_CLEAR, 0xc			# TS, EM
.set BOOT_CS, 0x10
.set BOOT_DS, 0x18
.set REGIONS, 16

purgatory_start:
	jmp	begin
	.balign	16, 0

# PARAMETERS, at byte 16
kernel_entry:	.quad	0		# physical address that is jumped to
boot_params:	.quad	0		# physical address, for rsi
sha256_expected: .zero	32
region_count:	.quad	0		# 0: nothing is checked
regions:	.zero	16 * REGIONS	# physical address, bytes (a multiple of 64)
# end of PARAMETERS

begin:
	cli
	cld
	mov	saved_rsp[rip], rsp
	lea	rsp, stack_top[rip]

	cmp	qword ptr region_count[rip], 0
	je	enter_kernel
	mov	rax, cr0
	mov	saved_cr0[rip], rax
	and	eax, ~CR0_CLEAR
	mov	cr0, rax
	mov	rax, cr4
	mov	saved_cr4[rip], rax
	or	eax, CR4_OSFXSR
	mov	cr4, rax

	lea	rdi, sha256_actual[rip]
	call	sha256_start
	lea	rbp, regions[rip]
next_region:
	mov	rsi, [rbp]
	mov	rcx, [rbp + 8]
	add	bytes_checked[rip], rcx
	shr	rcx, 6
	lea	rdi, sha256_actual[rip]
	call	sha256_blocks
	add	rbp, 16
	dec	qword ptr region_count[rip]
	jnz	next_region
	lea	rdi, sha256_actual[rip]
	mov	rdx, bytes_checked[rip]
	call	sha256_finish
	lea	rsi, sha256_actual[rip]
	lea	rdi, sha256_expected[rip]
	call	sha256_compare
	jne	digest_differs

	mov	rax, saved_cr4[rip]
	mov	cr4, rax
	mov	rax, saved_cr0[rip]
	mov	cr0, rax

# The protocol: flat segments with these selectors, interrupts off, rsi at the parameters.
enter_kernel:
	lea	rax, gdt[rip]
	mov	gdt_address[rip], rax
	lgdt	gdt_limit[rip]
	mov	eax, BOOT_DS
	mov	ds, eax
	mov	es, eax
	mov	ss, eax
	mov	fs, eax
	mov	gs, eax
	push	BOOT_CS
	lea	rax, 1f[rip]
	push	rax
	retfq
1:	mov	rsp, saved_rsp[rip]
	xor	eax, eax
	xor	ebx, ebx
	xor	ecx, ecx
	xor	edx, edx
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
	mov	rsi, boot_params[rip]
	jmp	kernel_entry[rip]

digest_differs:
	lea	rsi, text_differs[rip]
	call	put_text
	lea	rbp, sha256_expected[rip]
	call	put_digest
	lea	rsi, text_but_is[rip]
	call	put_text
	lea	rbp, sha256_actual[rip]
	call	put_digest
	lea	rsi, text_stopped[rip]
	call	put_text
1:	cli
	hlt
	jmp	1b

# rbp: eight words.
put_digest:
	mov	r9d, 8
1:	mov	eax, [rbp]
	mov	ecx, 8
	call	put_hex
	add	rbp, 4
	dec	r9d
	jnz	1b
	ret

text_differs:	.asciz	"\r\nwarmboot purgatory: the loaded image is damaged\r\n  SHA-256 should be "
text_but_is:	.asciz	"\r\n  SHA-256 is        "
text_stopped:	.asciz	"\r\n  stopped before the new kernel; reset the machine\r\n"

.include "serial.inc.S"
.include "sha256.inc.S"

# What is written lies in a page of its own: an emulator translates code anew when something beside it is written.
	.balign	4096
gdt:		.quad	0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_limit:	.word	4 * 8 - 1
gdt_address:	.quad	0
	.balign	8
sha256_actual:	.zero	32
bytes_checked:	.quad	0
saved_rsp:	.quad	0
saved_cr0:	.quad	0
saved_cr4:	.quad	0
	.zero	256
stack_top:
