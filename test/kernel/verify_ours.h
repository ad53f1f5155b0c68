/* skep's verifier behind an interface without either side's headers, for the comparison with the kernel. */
#ifndef SKEP_TEST_VERIFY_OURS_H
#define SKEP_TEST_VERIFY_OURS_H

struct ours_map {
	int fd;
	unsigned id, type, key_size, value_size, max_entries, flags, value_type_id;
	char name[16];
	int frozen;
	const void *btf; /* blob, or NULL */
	unsigned btf_size;
	struct ours_map *inner;
};
struct ours_prog {
	const void *insns;
	unsigned insns_n, type, attach_type, flags, attach_btf_id;
	const char *license;
	const void *btf;
	unsigned btf_size;
	const void *func_info, *line_info;
	unsigned func_info_n, func_info_size, line_info_n, line_info_size;
	struct ours_map *maps;
	unsigned maps_n;
	const int *fd_array;
	unsigned log_level;
	int kernel_types;
	/* Reads from the first value of a map. */
	int (*read_value)(int fd, unsigned off, void *to, unsigned size, unsigned value_size);
};
struct ours_result {
	int error;
	unsigned code; /* SK0xxx */
	char message[512], sentence[512];
	unsigned long long processed, states, ns;
};
void ours_verify(const struct ours_prog *p, char *log, unsigned log_size, struct ours_result *out);
#endif
