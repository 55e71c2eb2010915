# SPDX-License-Identifier: GPL-2.0-or-later
#
# The PVH stub: what runs between the firmware and the loaded image.
#
# QEMU's firmware enters it by the PVH protocol (32-bit protected mode, no paging, ebx = the physical
# address of hvm_start_info). It goes to 64-bit mode with all memory identity mapped, says that it is
# ready in the mailbox, and waits until whoever shares the memory has filled in the mailbox and says go.
#
# The code is flat and finds its own address. It must be loaded at a page boundary; it uses the ROOM
# bytes from there on:
#
#	0x0000	this code, its mailbox, at will a payload right behind it (one page in all)
#	0x1000	PML4
#	0x2000	PDPTs, one for each 512 GiB
#	0xa000	stack, growing down from 0xb000
#
# The mailbox, from offset 16, is little-endian; `warmboot.machines.arch.x86_64.pvh` is its other reader:
#
#	16	u32	ready: 1 = waiting, 0xffffffff = the processor lacks 1 GiB pages or 64-bit mode
#	20	u32	go: written last by the other side, any nonzero value
#	24	u64	rsdp: the physical address of the firmware's RSDP
#	32	u64	rsdp_copy: the physical address where a copy of the RSDP shall be, 0 = none
#	40	u64 x22	rip cr3 rsp rax rbx rcx rdx rsi rdi rbp r8..r15 rflags cr0 cr4 efer
#
# cr3 is ignored: the jump is made on the stub's own tables, which map everything, so what is jumped to
# must lie in identity mapped memory and load its own cr3. That is what relocation code does anyway.

	.intel_syntax noprefix
	.text

	.equ	PML4, 0x1000
	.equ	PDPT, 0x2000
	.equ	PDPTS, 8			# x 512 GiB = 4 TiB
	.equ	STACK_TOP, 0xb000

	.equ	COM1, 0x3f8
	.equ	COM1_LSR, COM1 + 5
	.equ	PCI_ADDRESS, 0xcf8
	.equ	PCI_DATA, 0xcfc
	.equ	MSR_EFER, 0xc0000080
	.equ	PIC1_DATA, 0x21
	.equ	PIC2_DATA, 0xa1

	# __BOOT_CS and __BOOT_DS: the selectors that Linux's 64-bit boot protocol asks for
	.equ	BOOT_CS, 0x10
	.equ	BOOT_DS, 0x18

	.code32
start:
	jmp	entry

	.org	16
m_ready:	.long 0
m_go:		.long 0
m_rsdp:		.quad 0
m_rsdp_copy:	.quad 0
m_rip:		.quad 0
m_cr3:		.quad 0
m_rsp:		.quad 0
m_rax:		.quad 0
m_rbx:		.quad 0
m_rcx:		.quad 0
m_rdx:		.quad 0
m_rsi:		.quad 0
m_rdi:		.quad 0
m_rbp:		.quad 0
m_r8:		.quad 0
m_r9:		.quad 0
m_r10:		.quad 0
m_r11:		.quad 0
m_r12:		.quad 0
m_r13:		.quad 0
m_r14:		.quad 0
m_r15:		.quad 0
m_rflags:	.quad 0
m_cr0:		.quad 0
m_cr4:		.quad 0
m_efer:		.quad 0

	.balign	8
gdt:
	.quad	0
	.quad	0
	.quad	0x00af9b000000ffff		# BOOT_CS: 64-bit code
	.quad	0x00cf93000000ffff		# BOOT_DS: flat data
gdt_end:
gdtr:
	.word	gdt_end - gdt - 1
	.quad	0				# base: written below, when it is known
idtr:
	.word	0				# no entries: an exception is a triple fault, which
	.quad	0				# the machine reports, instead of a jump to nowhere

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
	lea	eax, [ebp + (long_mode - start)]
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

	.code64
long_mode:
	mov	eax, BOOT_DS
	mov	ds, eax
	mov	es, eax
	mov	ss, eax
	mov	fs, eax
	mov	gs, eax
	lidt	[rip + idtr]
	lea	rsp, [rip + start + STACK_TOP]	# upper halves do not survive the mode switch

	mov	dword ptr [rip + m_ready], 1
1:	pause
	cmp	dword ptr [rip + m_go], 0
	je	1b

	mov	rdi, [rip + m_rsdp_copy]
	test	rdi, rdi
	jz	enter

	# 0xc0000..0xfffff is where a PC has its RSDP, and where the firmware has made its memory read-only
	# before it went. The host bridge (i440FX, PAM0..PAM6 = configuration bytes 0x59..0x5f) opens it
	# for the copy and is then set back.
	mov	ecx, 0x80000058
	call	pci_read
	mov	r8d, eax
	or	eax, 0x33333000
	call	pci_write
	mov	ecx, 0x8000005c
	call	pci_read
	mov	r9d, eax
	or	eax, 0x33333333
	call	pci_write

	mov	rsi, [rip + m_rsdp]
	mov	ecx, 20				# ACPI 1.0
	cmp	byte ptr [rsi + 15], 0		# revision
	je	1f
	mov	ecx, 36				# ACPI 2.0 and later
1:	rep	movsb

	mov	ecx, 0x80000058
	mov	eax, r8d
	call	pci_write
	mov	ecx, 0x8000005c
	mov	eax, r9d
	call	pci_write

enter:
	mov	ecx, MSR_EFER
	mov	eax, [rip + m_efer]
	mov	edx, [rip + m_efer + 4]
	wrmsr
	mov	rax, [rip + m_cr0]		# before cr4: CR4.CET asks for CR0.WP
	mov	cr0, rax
	mov	rax, [rip + m_cr4]
	mov	cr4, rax
	push	[rip + m_rflags]
	popfq
	# From here on only mov, which leaves the flags alone.
	mov	rax, [rip + m_rax]
	mov	rbx, [rip + m_rbx]
	mov	rcx, [rip + m_rcx]
	mov	rdx, [rip + m_rdx]
	mov	rsi, [rip + m_rsi]
	mov	rdi, [rip + m_rdi]
	mov	rbp, [rip + m_rbp]
	mov	r8, [rip + m_r8]
	mov	r9, [rip + m_r9]
	mov	r10, [rip + m_r10]
	mov	r11, [rip + m_r11]
	mov	r12, [rip + m_r12]
	mov	r13, [rip + m_r13]
	mov	r14, [rip + m_r14]
	mov	r15, [rip + m_r15]
	mov	rsp, [rip + m_rsp]
	jmp	qword ptr [rip + m_rip]

# PCI configuration, by ports: ecx = address, eax = value; edx is clobbered
pci_read:
	call	pci_select
	in	eax, dx
	ret
pci_write:
	call	pci_select
	out	dx, eax
	ret
pci_select:
	mov	edx, PCI_ADDRESS
	xchg	eax, ecx
	out	dx, eax
	xchg	eax, ecx
	mov	edx, PCI_DATA
	ret
