# SPDX-License-Identifier: GPL-2.0-or-later
#
# The EFI stub: what runs between EFI firmware and the loaded image.
#
# To firmware it is an EFI application (PE32+), to QEMU, which hands it on, a bzImage. It takes room at a
# fixed address below 1 MiB, ends firmware's boot services with the memory map in that room, gives what
# firmware keeps its virtual addresses, as a running Linux has done long before a kexec, goes to page
# tables of its own there, and parks. The mailbox says where EFI's system table and the map are;
# everything else of firmware is found in memory from there.
#
# The second page of the file is the one that is copied to the room.

	.intel_syntax noprefix
	.text

	.equ	ROOM, 0x20000			# physical, see EFI_ROOM in efi.py
	.equ	ROOM_PAGES, 0x1b
	.equ	MAP, 0xb000			# in the room
	.equ	MAP_SIZE, 0x10000

	# UEFI specification 2.10, chapters 4 and 7
	.equ	SYSTAB_RUNTIME_SERVICES, 88
	.equ	SET_VIRTUAL_ADDRESS_MAP, 56
	.equ	DESCRIPTOR_PHYSICAL, 8
	.equ	DESCRIPTOR_VIRTUAL, 16
	.equ	DESCRIPTOR_PAGES, 24
	.equ	DESCRIPTOR_ATTRIBUTE, 32
	.equ	EFI_MEMORY_RUNTIME, 63		# the bit's number
	.equ	SYSTAB_BOOT_SERVICES, 96
	.equ	ALLOCATE_PAGES, 40
	.equ	GET_MEMORY_MAP, 56
	.equ	EXIT_BOOT_SERVICES, 232
	.equ	ALLOCATE_ADDRESS, 2
	.equ	EFI_RESERVED_MEMORY_TYPE, 0
	.equ	TRIES, 8
	# Documentation/arch/x86/x86_64/mm.rst: where Linux maps EFI, downwards; here as there a range lies in
	# its 2 MiB page where it does physically, so that large pages can map it
	.equ	EFI_VA_START, -0x100000000

file:
	.ascii	"MZ"
	.org	0x3c
	.long	pe - file
pe:
	.ascii	"PE\0\0"
	.word	0x8664				# IMAGE_FILE_MACHINE_AMD64
	.word	1				# sections
	.long	0, 0, 0
	.word	sections - optional
	.word	0x0206				# executable, no line numbers, no debug information
optional:
	.word	0x20b				# PE32+
	.byte	0, 0
	.long	start_end - start, 0, 0
	.long	efi_entry - file
	.long	start - file
	.quad	0				# image base: it runs anywhere
	.long	0x1000, 0x200			# alignments, in memory and in the file
	.word	0, 0, 0, 0, 0, 0
	.long	0
	.long	start_end - file, start - file	# sizes of image and headers
	.long	0
	.word	10, 0				# IMAGE_SUBSYSTEM_EFI_APPLICATION
	.quad	0, 0, 0, 0
	.long	0, 6
	.quad	0, 0, 0, 0, 0, 0		# no directories; without relocations it would not be moved
sections:
	.ascii	".text\0\0\0"
	.long	start_end - start, start - file, start_end - start, start - file
	.long	0, 0, 0
	.long	0xe0000020			# code, to be executed, read and written

	# What QEMU looks at of a bzImage: setup_sects, the mark, the magic number, protocol 2.6
	.org	0x1f1
	.byte	7
	.org	0x1fe
	.word	0xaa55
	.org	0x202
	.ascii	"HdrS"
	.word	0x0206
	.org	0x211
	.byte	1				# loaded high

	.org	0x1000
start:
	.long	0

	.include "mailbox.inc.S"

	.code64
efi_entry:
	sub	rsp, 72				# 32 bytes for who is called, its fifth argument, our four values
	cld
	mov	r12, rcx			# the image's handle
	mov	r13, rdx			# the system table
	mov	r14, [rdx + SYSTAB_BOOT_SERVICES]

	mov	ecx, ALLOCATE_ADDRESS
	mov	edx, EFI_RESERVED_MEMORY_TYPE
	mov	r8d, ROOM_PAGES
	mov	qword ptr [rsp + 40], ROOM
	lea	r9, [rsp + 40]
	call	[r14 + ALLOCATE_PAGES]
	test	rax, rax
	jnz	unfit

	lea	rsi, [rip + start]
	mov	edi, ROOM
	mov	ecx, 4096 / 8
	rep	movsq

	mov	ebx, TRIES			# what ends may itself allocate, and then wants a new map
1:	dec	ebx
	js	unfit
	mov	qword ptr [rsp + 40], MAP_SIZE
	lea	rcx, [rsp + 40]
	mov	edx, ROOM + MAP
	lea	r8, [rsp + 48]			# the map's key
	lea	r9, [rsp + 56]			# the size of a descriptor
	lea	rax, [rsp + 64]			# the version of a descriptor
	mov	qword ptr [rsp + 64], 0
	mov	[rsp + 32], rax
	call	[r14 + GET_MEMORY_MAP]
	test	rax, rax
	jnz	unfit
	mov	rcx, r12
	mov	rdx, [rsp + 48]
	call	[r14 + EXIT_BOOT_SERVICES]
	test	rax, rax
	jnz	1b

	mov	ebx, ROOM + MAP
	mov	rsi, [rsp + 40]
	add	rsi, rbx
	mov	rdi, EFI_VA_START
1:	cmp	rbx, rsi
	jae	3f
	bt	qword ptr [rbx + DESCRIPTOR_ATTRIBUTE], EFI_MEMORY_RUNTIME
	jnc	2f
	mov	rax, [rbx + DESCRIPTOR_PAGES]
	shl	rax, 12
	sub	rdi, rax
	mov	rax, rdi
	sub	rax, [rbx + DESCRIPTOR_PHYSICAL]
	and	eax, 0x1fffff
	sub	rdi, rax
	mov	[rbx + DESCRIPTOR_VIRTUAL], rdi
2:	add	rbx, [rsp + 56]
	jmp	1b
3:	mov	rax, [r13 + SYSTAB_RUNTIME_SERVICES]
	mov	rcx, [rsp + 40]
	mov	rdx, [rsp + 56]
	mov	r8, [rsp + 64]
	mov	r9d, ROOM + MAP
	call	[rax + SET_VIRTUAL_ADDRESS_MAP]
	test	rax, rax
	jnz	unfit

	cli
	mov	al, 0xff			# as boot loaders leave the interrupt controllers (8259)
	out	PIC2_DATA, al
	out	PIC1_DATA, al

	mov	ebp, ROOM
	mov	[rbp + (m_systab - start)], r13
	lea	rax, [rbp + MAP]
	mov	[rbp + (m_map - start)], rax
	mov	rax, [rsp + 40]
	mov	[rbp + (m_map_size - start)], rax
	mov	rax, [rsp + 56]
	mov	[rbp + (m_descriptor - start)], rax
	mov	rax, [rsp + 64]
	mov	[rbp + (m_version - start)], rax

	lea	edi, [ebp + PML4]
	xor	eax, eax
	mov	ecx, 4096 / 8
	rep	stosq				# leaves rdi at PDPT
	lea	edx, [ebp + PML4]
	lea	eax, [ebp + PDPT + 3]		# present, writable
	mov	ecx, PDPTS
1:	mov	[rdx], rax
	add	edx, 8
	add	eax, 4096
	dec	ecx
	jnz	1b
	mov	eax, 0x83			# present, writable, 1 GiB page
	mov	ecx, PDPTS * 512
	mov	edx, 1 << 30
1:	mov	[rdi], rax
	add	rdi, 8
	add	rax, rdx
	dec	ecx
	jnz	1b

	lea	rax, [rbp + (gdt - start)]
	mov	[rbp + (gdtr - start) + 2], rax
	lgdt	[rbp + (gdtr - start)]
	lea	rax, [rbp + PML4]
	mov	cr3, rax
	lea	rsp, [rbp + STACK_TOP]
	push	BOOT_CS
	lea	rax, [rbp + (park - start)]
	push	rax
	retfq

# No way on: the other side sees it, if it is the room that we have.
unfit:
	mov	dword ptr [ROOM + (m_ready - start)], 0xffffffff
1:	hlt
	jmp	1b

	.include "park.inc.S"

	.org	0x2000
start_end:
