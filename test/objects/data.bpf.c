// Data in every section that becomes a map, with variables of every linkage.
#include "object.h"

struct pair {
	__u8 a;
	__u64 b;
};
const volatile int limit = 7;
const volatile struct pair fixed = {1, 2};
static volatile const char text[] = "read-only text";
int counter = 3;
static volatile int quiet = 4;
__u64 zeroes[5];
static volatile __u32 local_zero;
struct pair table[2] SEC(".data.tables") = {{1, 2}, {3, 4}};
static volatile int only_static SEC(".data.hidden") = 1;
const volatile int other_fixed SEC(".rodata.more") = 9;
int blank SEC(".bss.more");
__attribute__((visibility("hidden"))) int hidden = 5;
float ratio = 1.5f;
_Bool on = 1;

SEC("socket")
int filter(struct __sk_buff *skb) {
	__u32 n = skb->len;
	if (n > (__u32)limit)
		counter++;
	zeroes[n & 3] += table[n & 1].b + fixed.b + (__u64)quiet;
	local_zero += (__u32)only_static + (__u32)other_fixed + (__u32)hidden;
	blank += text[n & 7] + on;
	return (int)n;
}
SEC("version") unsigned _version = 0x60c00;
char _license[] SEC("license") = "Dual BSD/GPL";
