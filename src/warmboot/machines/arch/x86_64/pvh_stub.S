# SPDX-License-Identifier: GPL-2.0-or-later
#
# The PVH stub: what runs between legacy firmware and the loaded image.
#
# QEMU's firmware enters it by the PVH protocol (32-bit protected mode, no paging, ebx = the physical
# address of hvm_start_info). It goes to 64-bit mode with all memory identity mapped, and parks there.
#
# The code is flat and finds its own address. It must be loaded at a page boundary.

	.intel_syntax noprefix
	.text

	.code32
start:
	jmp	entry

	.include "mailbox.inc.S"

entry:
	cli
	cld
	# PVH promises no stack, and without one there is no asking where we are. The first word of the
	# start info is its magic number, writable and of no more use: a stack of one word.
	lea	esp, [ebx + 4]
	call	here
here:
	pop	ebp
	lea	ebp, [ebp - (here - start)]	# ebp = our physical address
	lea	esp, [ebp + STACK_TOP]

	# Firmware leaves the interrupt controllers (8259) with its timer ticking. A kernel that starts
	# another has masked them, and so do boot loaders.
	mov	al, 0xff
	out	PIC2_DATA, al
	out	PIC1_DATA, al

	mov	eax, [ebx + 32]			# hvm_start_info.rsdp_paddr
	mov	edx, [ebx + 36]
	mov	[ebp + (m_rsdp - start)], eax
	mov	[ebp + (m_rsdp - start) + 4], edx

	mov	eax, 0x80000000
	cpuid
	cmp	eax, 0x80000001
	jb	unfit
	mov	eax, 0x80000001
	cpuid
	not	edx
	test	edx, (1 << 29) | (1 << 26)	# LM, PDPE1GB
	jnz	unfit

	lea	edi, [ebp + PML4]
	xor	eax, eax
	mov	ecx, 4096 / 4
	rep	stosd				# leaves edi at PDPT

	lea	edx, [ebp + PML4]
	lea	eax, [ebp + PDPT + 3]		# present, writable
	mov	ecx, PDPTS
1:	mov	[edx], eax
	add	edx, 8
	add	eax, 4096
	dec	ecx
	jnz	1b

	mov	eax, 0x83			# present, writable, 1 GiB page
	xor	edx, edx
	mov	ecx, PDPTS * 512
1:	mov	[edi], eax
	mov	[edi + 4], edx
	add	edi, 8
	add	eax, 1 << 30
	adc	edx, 0
	dec	ecx
	jnz	1b

	lea	eax, [ebp + (gdt - start)]
	mov	[ebp + (gdtr - start) + 2], eax
	lgdt	[ebp + (gdtr - start)]

	lea	eax, [ebp + PML4]
	mov	cr3, eax
	mov	eax, cr4
	or	eax, 1 << 5			# PAE
	mov	cr4, eax
	mov	ecx, MSR_EFER
	rdmsr
	or	eax, 1 << 8			# LME
	wrmsr
	mov	eax, cr0
	or	eax, 0x80000001			# PG, PE
	mov	cr0, eax
	push	BOOT_CS
	lea	eax, [ebp + (park - start)]
	push	eax
	retf

# No way on. Say so where a person looks, and in the mailbox where the other side looks.
unfit:
	lea	esi, [ebp + (unfit_message - start)]
1:	lodsb
	test	al, al
	jz	3f
	mov	ah, al
	mov	dx, COM1_LSR
2:	in	al, dx
	test	al, 0x20			# room in the transmitter
	jz	2b
	mov	dx, COM1
	mov	al, ah
	out	dx, al
	jmp	1b
3:	mov	dword ptr [ebp + (m_ready - start)], 0xffffffff
4:	hlt
	jmp	4b
unfit_message:
	.asciz	"warmboot: this processor lacks 64-bit mode or 1 GiB pages\r\n"

	.include "park.inc.S"
