# SPDX-License-Identifier: GPL-2.0-or-later
#
# The mailbox of a parked boot processor, from offset 16 of the page at `start` on, little-endian;
# `warmboot.machines.arch.x86_64.mailbox` is its other reader:
#
#	16	u32	ready: READY = waiting, 0xffffffff = the processor or the firmware does not suit
#	20	u32	go: written last by the other side, any nonzero value
#	24	u64	rsdp: the physical address of the firmware's RSDP, where the stub is told it
#	32	u64	rsdp_copy: the physical address where a copy of the RSDP shall be, 0 = none
#	40	u64 x22	rip cr3 rsp rax rbx rcx rdx rsi rdi rbp r8..r15 rflags cr0 cr4 efer
#	216	u64 x5	of EFI firmware: its system table; its memory map, the map's size, the size and the
#			version of a descriptor
#
# cr3 is ignored: the jump is made on the stub's own tables, which map everything, so what is jumped to
# must lie in identity mapped memory and load its own cr3. That is what relocation code does anyway.
#
# Of the room from `start` on, the stubs use:
#
#	0x0000	code and mailbox, at will a payload after them (one page in all)
#	0x1000	PML4
#	0x2000	PDPTs, one for each 512 GiB
#	0xa000	stack, growing down from 0xb000

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
	.equ	READY, 0xb007ed		# no firmware leaves this there by chance

	# __BOOT_CS and __BOOT_DS: the selectors that Linux's 64-bit boot protocol asks for
	.equ	BOOT_CS, 0x10
	.equ	BOOT_DS, 0x18

	.balign	16
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
m_systab:	.quad 0
m_map:		.quad 0
m_map_size:	.quad 0
m_descriptor:	.quad 0
m_version:	.quad 0

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
