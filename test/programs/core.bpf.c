/* Global data in every section, configuration and kernel symbols, CO-RE questions, subprograms and a callback. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
extern int LINUX_KERNEL_VERSION __kconfig;
extern enum libbpf_tristate CONFIG_BPF_SYSCALL __kconfig __weak;
extern _Bool CONFIG_NOT_THERE_AT_ALL __kconfig __weak;
extern const void no_such_symbol_anywhere __ksym __weak;
extern int no_such_function(int x) __ksym __weak;
const volatile int ro_int = 42;
const volatile u32 ro_two SEC(".rodata.two") = 99;
int data_int = 7;
char greeting[16] SEC(".data.mine") = "hello";
u64 bss_counts[4];
static u64 summed;
struct answers {
	u64 version, config, no_config, no_symbol, no_function, field, no_field, type_size, field_size, type, no_type, value, no_value;
} answers;
struct task_struct___no {
	int not_there_field;
} __attribute__((preserve_access_index));
enum bpf_map_type___x { BPF_MAP_TYPE_HASH___x = 1, BPF_MAP_TYPE_NOPE___x = 77 };
struct no_such_type {
	int x;
};

__noinline static u64 local(u64 x) {
	return x * 3 + bss_counts[1];
}
__noinline u64 global(u64 x) {
	return x ? x + ro_int + ro_two : 0;
}
static long add(u32 i, void *c) {
	summed += i;
	return 0;
}
SEC("tp/syscalls/sys_enter_getppid")
int count(struct trace_event_raw_sys_enter *ctx) {
	answers.version = LINUX_KERNEL_VERSION >= 0x50000;
	answers.config = CONFIG_BPF_SYSCALL;
	answers.no_config = CONFIG_NOT_THERE_AT_ALL;
	answers.no_symbol = &no_such_symbol_anywhere != 0;
	answers.no_function = no_such_function != 0;
	if (no_such_function)
		no_such_function(3);
	answers.field = bpf_core_field_exists(struct trace_event_raw_sys_enter, args);
	answers.no_field = bpf_core_field_exists(((struct task_struct___no *)0)->not_there_field);
	answers.type_size = bpf_core_type_size(struct trace_event_raw_sys_enter);
	answers.field_size = bpf_core_field_size(struct trace_event_raw_sys_enter, args);
	answers.type = bpf_core_type_exists(struct pt_regs);
	answers.no_type = bpf_core_type_exists(struct no_such_type);
	answers.value = bpf_core_enum_value(enum bpf_map_type___x, BPF_MAP_TYPE_HASH___x);
	answers.no_value = bpf_core_enum_value_exists(enum bpf_map_type___x, BPF_MAP_TYPE_NOPE___x);
	bss_counts[0]++;
	bss_counts[1] += 2;
	bss_counts[2] = local(bss_counts[0]);
	bss_counts[3] = global(bss_counts[0]);
	data_int++;
	greeting[0] = 'H';
	bpf_loop(4, add, 0, 0);
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
