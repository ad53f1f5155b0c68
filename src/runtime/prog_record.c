/* A program as the store keeps it, and its tag.
 *
 *     struct record_prog | insns | func_info | line_info | license\0 | ids: maps and BTFs (u32)
 *
 * Sizes in a record are checked before anything is read: see the essay of store.c. */
#include "runtime/prog.h"
#include <errno.h>

/* Where the parts of a record stand. */
struct layout {
	u64 insns, func_info, line_info, license, ids, end;
};
static struct layout layout_of(const struct record_prog *r) {
	struct layout l;
	l.insns = offsetof(struct record, prog) + sizeof *r;
	l.func_info = l.insns + (u64)r->insns_n * sizeof(struct bpf_insn);
	l.line_info = l.func_info + round_up((u64)r->func_info_n * r->func_info_size, 8);
	l.license = l.line_info + round_up((u64)r->line_info_n * r->line_info_size, 8);
	l.ids = l.license + round_up(r->license_size, 8);
	l.end = l.ids + (u64)r->ids_n * sizeof(u32);
	return l;
}
u64 prog_record_ids(const struct record_prog *r) {
	return layout_of(r).ids;
}

struct record *prog_record(const struct object_prog *p, u32 *size) {
	const char *license = p->license;
	struct record_prog h = {
		.type = p->p.type,
		.attach_type = p->p.attach_type,
		.flags = p->flags,
		.attach_btf_id = p->attach_btf_id,
		.insns_n = p->insns_n,
		.func_info_n = p->func_info ? p->func_info_n : 0,
		.func_info_size = p->func_info_size,
		.line_info_n = p->line_info ? p->line_info_n : 0,
		.line_info_size = p->line_info_size,
		.license_size = strlen(license) + 1,
		.ids_n = p->held.n,
		.maps_n = p->p.maps_n,
		.btf_id = p->btf ? p->btf->o.id : 0,
		.lacks = p->lacks,
	};
	memcpy(h.name, p->p.name, sizeof h.name);
	memcpy(h.tag, p->tag, sizeof h.tag);
	struct layout l = layout_of(&h);
	if (l.end > INT32_MAX)
		return NULL;
	u8 *at = calloc(1, MAX(l.end, (u64)sizeof(struct record)));
	if (!at)
		return NULL;
	struct record *r = (struct record *)at;
	r->prog = h;
	memcpy(at + l.insns, p->insns, (u64)p->insns_n * sizeof *p->insns);
	if (h.func_info_n)
		memcpy(at + l.func_info, p->func_info, (u64)h.func_info_n * h.func_info_size);
	if (h.line_info_n)
		memcpy(at + l.line_info, p->line_info, (u64)h.line_info_n * h.line_info_size);
	memcpy(at + l.license, license, h.license_size);
	for (u32 i = 0; i < p->held.n; i++)
		memcpy(at + l.ids + i * sizeof(u32), &p->held.at[i]->id, sizeof(u32));
	*size = (u32)MAX(l.end, (u64)sizeof(struct record));
	return r;
}

static void *copy(const void *from, u64 bytes) {
	void *p = malloc(bytes);
	return p ? memcpy(p, from, bytes) : NULL;
}
int prog_read_record(struct load *l, const struct record *r) {
	const struct record_prog *h = &r->prog;
	struct object_prog *p = l->p;
	if (r->head.size < sizeof *r || !h->insns_n || h->insns_n > BPF_COMPLEXITY_LIMIT_INSNS ||
		h->func_info_n > BPF_COMPLEXITY_LIMIT_INSNS || h->line_info_n > BPF_COMPLEXITY_LIMIT_INSNS ||
		h->func_info_size > 252 || h->line_info_size > 252 || !h->license_size || h->license_size > sizeof l->license ||
		h->ids_n > 1u << 20)
		return -EIO;
	if ((h->func_info_n || h->line_info_n) && !h->btf_id)
		return -EIO;
	if ((h->func_info_n && h->func_info_size < 8) || (h->line_info_n && h->line_info_size < 8))
		return -EIO;
	struct layout at = layout_of(h);
	const u8 *from = (const u8 *)r;
	if (at.end > r->head.size || from[at.license + h->license_size - 1])
		return -EIO;
	p->p.type = h->type, p->p.attach_type = h->attach_type, p->flags = h->flags, p->attach_btf_id = h->attach_btf_id;
	p->insns_n = h->insns_n, p->lacks = h->lacks;
	p->func_info_n = h->func_info_n, p->func_info_size = h->func_info_size;
	p->line_info_n = h->line_info_n, p->line_info_size = h->line_info_size;
	memcpy(p->p.name, h->name, sizeof h->name);
	p->p.name[sizeof h->name - 1] = 0;
	memcpy(p->tag, h->tag, sizeof h->tag);
	memcpy(l->license, from + at.license, h->license_size);
	p->insns = copy(from + at.insns, (u64)h->insns_n * sizeof *p->insns);
	if (h->func_info_n)
		p->func_info = copy(from + at.func_info, (u64)h->func_info_n * h->func_info_size);
	if (h->line_info_n)
		p->line_info = copy(from + at.line_info, (u64)h->line_info_n * h->line_info_size);
	l->ids = (const u32 *)(from + at.ids), l->ids_n = h->ids_n;
	return p->insns && !p->func_info == !h->func_info_n && !p->line_info == !h->line_info_n ? 0 : -ENOMEM;
}

/* == The tag == */

/* SHA-256 (FIPS 180-4): what Linux 6.18 takes the tag from. */
static const u32 sha_k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};
static u32 rotate(u32 x, u32 n) {
	return x >> n | x << (32 - n);
}
static void sha_block(u32 h[8], const u8 *at) {
	u32 w[64], s[8];
	for (u32 i = 0; i < 16; i++)
		w[i] = (u32)at[i * 4] << 24 | at[i * 4 + 1] << 16 | at[i * 4 + 2] << 8 | at[i * 4 + 3];
	for (u32 i = 16; i < 64; i++)
		w[i] = w[i - 16] + (rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3) + w[i - 7] +
			   (rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10);
	memcpy(s, h, sizeof s);
	for (u32 i = 0; i < 64; i++) {
		u32 t1 = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) +
				 sha_k[i] + w[i];
		u32 t2 =
			(rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
		memmove(s + 1, s, 7 * sizeof *s);
		s[4] += t1, s[0] = t1 + t2;
	}
	for (u32 i = 0; i < 8; i++)
		h[i] += s[i];
}

/* The program's identity over descriptors: references to maps count as 0. */
void prog_tag(const struct bpf_insn *insns, u32 n, u8 tag[8]) {
	u32 h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
	u8 block[128] = {0};
	u32 fill = 0;
	for (u32 i = 0; i < n; i++) {
		struct bpf_insn insn = insns[i];
		bool map =
			insn_is_ldimm64(&insn) && (insn.src_reg == BPF_PSEUDO_MAP_FD || insn.src_reg == BPF_PSEUDO_MAP_VALUE);
		const struct bpf_insn *before = i ? &insns[i - 1] : NULL;
		bool second = before && insn_is_ldimm64(before) && !insn.code &&
					  (before->src_reg == BPF_PSEUDO_MAP_FD || before->src_reg == BPF_PSEUDO_MAP_VALUE);
		if (map || second)
			insn.imm = 0;
		memcpy(block + fill, &insn, sizeof insn);
		if ((fill += sizeof insn) == 64)
			sha_block(h, block), fill = 0;
	}
	u64 bits = (u64)n * sizeof *insns * 8;
	u32 end = fill < 56 ? 64 : 128;
	memset(block + fill, 0, sizeof block - fill);
	block[fill] = 0x80;
	for (u32 i = 0; i < 8; i++)
		block[end - 1 - i] = bits >> (8 * i);
	sha_block(h, block);
	if (end == 128)
		sha_block(h, block + 64);
	for (u32 i = 0; i < 8; i++)
		tag[i] = h[i / 4] >> (24 - 8 * (i % 4));
}
