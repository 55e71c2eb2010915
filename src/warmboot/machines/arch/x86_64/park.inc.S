# SPDX-License-Identifier: GPL-2.0-or-later
#
# The parked boot processor, in 64-bit mode on the stub's own tables: it says in the mailbox that it is
# ready, waits until whoever shares the memory has filled in the mailbox and says go, and loads it all.

	.code64
park:
	mov	eax, BOOT_DS
	mov	ds, eax
	mov	es, eax
	mov	ss, eax
	mov	fs, eax
	mov	gs, eax
	lidt	[rip + idtr]
	lea	rsp, [rip + start + STACK_TOP]	# upper halves do not survive the mode switch

	mov	dword ptr [rip + m_ready], READY
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
