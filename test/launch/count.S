/* The programs that the driver attaches, as machine code: they count calls by (process, number) in an array value
 *
 *     256 x { u64 pid; u64 count[512] }        a hash of process numbers
 *
 * One entry point for each kind of context. The two fields that need an address are named by labels; see launch.c. */
	.section .rodata
	.globl count_start, count_tracepoint, count_raw, count_regs, count_helper, count_map, count_end
count_start:
count_tracepoint:			/* 8(ctx) is the number */
	push %rbx
	mov 8(%rdi), %rbx
	jmp 1f
count_raw:				/* (ctx) points to the registers */
	push %rbx
	mov (%rdi), %rbx
	mov 120(%rbx), %rbx
	jmp 1f
count_regs:				/* ctx->di points to them */
	push %rbx
	mov 112(%rdi), %rbx
	mov 120(%rbx), %rbx
1:	mov %rsi, %r9
	.byte 0x48, 0xb8		/* movabs $helper_get_current_pid_tgid, %rax */
count_helper:
	.quad 0
	call *%rax
	shr $32, %rax
	.byte 0x48, 0xb9		/* movabs $value, %rcx */
count_map:
	.quad 0
	cmp $511, %rbx
	ja 9f
	imul $0x9e3779b1, %eax, %r8d
	shr $24, %r8d
2:	imul $4104, %r8, %r10
	add %rcx, %r10
	mov (%r10), %r11
	cmp %rax, %r11
	je 4f
	test %r11, %r11
	jnz 3f
	mov %rax, %rdx
	xor %eax, %eax
	lock cmpxchg %rdx, (%r10)
	mov %rdx, %rax
	jmp 2b
3:	inc %r8b
	jmp 2b
4:	lock incq 8(%r10, %rbx, 8)
9:	xor %eax, %eax
	pop %rbx
	ret
count_end:
	.section .note.GNU-stack, "", @progbits
