/* What a JIT makes of the counting program (array lookup by system call number, plain add), and of one that asks for the
 * current process first. */
	.section .rodata
	.globl bench_count, bench_count_map, bench_count_end, bench_pid, bench_pid_helper, bench_pid_map, bench_pid_end
bench_count:
	mov 8(%rdi), %eax
	cmp $512, %eax
	jae 1f
	.byte 0x48, 0xb9
bench_count_map:
	.quad 0
	and $511, %eax
	incq (%rcx, %rax, 8)
1:	xor %eax, %eax
	ret
bench_count_end:
bench_pid:
	push %rbx
	mov 8(%rdi), %ebx
	mov %rsi, %r9
	.byte 0x48, 0xb8
bench_pid_helper:
	.quad 0
	call *%rax
	cmp $512, %ebx
	jae 1f
	.byte 0x48, 0xb9
bench_pid_map:
	.quad 0
	and $511, %ebx
	incq (%rcx, %rbx, 8)
1:	xor %eax, %eax
	pop %rbx
	ret
bench_pid_end:
	.section .note.GNU-stack, "", @progbits
