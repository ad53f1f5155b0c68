/* The sixteen programs by which engines are compared, and an empty one. Each is u64 f(u8 *mem, u64 len) over a 2 KiB
 * buffer filled by a fixed-seed xorshift (bench/jit.c prepares it): no helpers, no maps, loops that the kernel's verifier
 * finishes. Compile with -DP_name; -DFN(n)=… names the function. */
#include "programs.h"
#ifdef P_empty
ENTRY(empty) {
    return 0;
}
#endif
#ifdef P_alu /* arithmetic mix, 500 iterations, long dependency chain */
ENTRY(alu) {
    u64 a = m[0] + 1, b = 0x9E3779B97F4A7C15ull;
    u32 c = 7;
    for (u32 i = 0; i < 500; i++) {
        a ^= a << 13;
        a ^= a >> 7;
        a ^= a << 17;
        b += a * 3;
        c = c * 1664525u + 1013904223u + (u32)(b >> 32);
        b ^= c;
    }
    return a + b + c;
}
#endif
#ifdef P_log2 /* bit-by-bit log2 of 64 words */
AI u32 l2(u32 v) {
    u32 r, s;
    r = (v > 0xFFFF) << 4;
    v >>= r;
    s = (v > 0xFF) << 3;
    v >>= s;
    r |= s;
    s = (v > 0xF) << 2;
    v >>= s;
    r |= s;
    s = (v > 0x3) << 1;
    v >>= s;
    r |= s;
    r |= (v >> 1);
    return r;
}
ENTRY(log2) {
    u64 t = 0;
    u32 *w = (u32 *)m;
    for (u32 i = 0; i < 64; i++)
        t += l2(w[i]) * (i + 1);
    return t;
}
#endif
#ifdef P_prime /* trial division: 64-bit modulo by variable */
ENTRY(prime) {
    u64 c = 0;
    for (u64 i = 3 + (m[0] & 0); i < 120; i += 2) {
        u64 ok = 1;
        for (u64 j = 3; j * j <= i; j += 2)
            if (i % j == 0) {
                ok = 0;
                break;
            }
        c += ok;
    }
    return c;
}
#endif
#ifdef P_sieve /* byte sieve of 512 in memory */
ENTRY(sieve) {
    u8 *s = m;
    for (u32 i = 0; i < 512; i++)
        s[i] = 1;
    u32 c = 0;
    for (u32 i = 2; i < 512; i++) {
        if (s[i]) {
            c++;
            for (u32 j = i + i; j < 512; j += i)
                s[j] = 0;
        }
    }
    return c;
}
#endif
#ifdef P_copy /* masked byte copy of 512 bytes */
ENTRY(copy) {
    u8 *d = m + 1024;
    u8 k = m[2047];
    for (u32 i = 0; i < 512; i++)
        d[i] = m[i] ^ k;
    return d[17] + d[511];
}
#endif
#ifdef P_strcmp /* byte compare with early exit, 256 equal bytes */
ENTRY(strcmp) {
    u8 *a = m + 1024, *b = m + 1280;
    u32 i;
    for (i = 0; i < 256; i++) {
        if (a[i] != b[i])
            return (u64)(s64)(a[i] - b[i]);
        if (!a[i])
            break;
    }
    return i;
}
#endif
#ifdef P_csum /* internet checksum of 1024 bytes */
ENTRY(csum) {
    u16 *w = (u16 *)m;
    u32 s = 0;
    for (u32 i = 0; i < 512; i++)
        s += w[i];
    s = (s & 0xffff) + (s >> 16);
    s = (s & 0xffff) + (s >> 16);
    return (u16)~s;
}
#endif
#ifdef P_switch /* 16-way dispatch on 256 bytes */
ENTRY(switch) {
    u64 a = 1, b = 2;
    for (u32 i = 0; i < 256; i++) {
        switch (m[1024 + i] & 15) {
        case 0:
            a += b;
            break;
        case 1:
            b ^= a;
            break;
        case 2:
            a -= 3;
            break;
        case 3:
            b += a >> 3;
            break;
        case 4:
            a ^= 0x55;
            break;
        case 5:
            a = (a << 1) | (a >> 63);
            break;
        case 6:
            b *= 5;
            break;
        case 7:
            a += i;
            break;
        case 8:
            b -= i;
            break;
        case 9:
            a &= ~1ull;
            break;
        case 10:
            b |= 2;
            break;
        case 11:
            a ^= b >> 7;
            break;
        case 12:
            b += 17;
            break;
        case 13:
            a = b - a;
            break;
        case 14:
            b = ~b;
            break;
        default:
            a *= 3;
        }
    }
    return a ^ b;
}
#endif
#ifdef P_fnv /* FNV-1a over 64 bytes, x4 */
ENTRY(fnv) {
    u64 t = 0;
    for (u32 r = 0; r < 4; r++) {
        u64 h = 0xcbf29ce484222325ull;
        for (u32 i = 0; i < 64; i++) {
            h ^= m[r * 64 + i];
            h *= 0x100000001b3ull;
        }
        t ^= h;
    }
    return t;
}
#endif
#ifdef P_jhash /* jhash2-like over 64B, x8 */
#define ROL(x, k) (((x) << (k)) | ((x) >> (32 - (k))))
#define MIX(a, b, c)                                                                                                   \
    {                                                                                                                  \
        a -= c;                                                                                                        \
        a ^= ROL(c, 4);                                                                                                \
        c += b;                                                                                                        \
        b -= a;                                                                                                        \
        b ^= ROL(a, 6);                                                                                                \
        a += c;                                                                                                        \
        c -= b;                                                                                                        \
        c ^= ROL(b, 8);                                                                                                \
        b += a;                                                                                                        \
        a -= c;                                                                                                        \
        a ^= ROL(c, 16);                                                                                               \
        c += b;                                                                                                        \
        b -= a;                                                                                                        \
        b ^= ROL(a, 19);                                                                                               \
        a += c;                                                                                                        \
        c -= b;                                                                                                        \
        c ^= ROL(b, 4);                                                                                                \
        b += a;                                                                                                        \
    }
#define FIN(a, b, c)                                                                                                   \
    {                                                                                                                  \
        c ^= b;                                                                                                        \
        c -= ROL(b, 14);                                                                                               \
        a ^= c;                                                                                                        \
        a -= ROL(c, 11);                                                                                               \
        b ^= a;                                                                                                        \
        b -= ROL(a, 25);                                                                                               \
        c ^= b;                                                                                                        \
        c -= ROL(b, 16);                                                                                               \
        a ^= c;                                                                                                        \
        a -= ROL(c, 4);                                                                                                \
        b ^= a;                                                                                                        \
        b -= ROL(a, 14);                                                                                               \
        c ^= b;                                                                                                        \
        c -= ROL(b, 24);                                                                                               \
    }
ENTRY(jhash) {
    u32 t = 0;
    for (u32 r = 0; r < 8; r++) {
        u32 *k = (u32 *)(m + r * 64);
        u32 a = 0xdeadbeef + 64 + t, b = a, c = a;
        for (u32 i = 0; i < 15; i += 3) {
            a += k[i];
            b += k[i + 1];
            c += k[i + 2];
            MIX(a, b, c)
        }
        a += k[15];
        FIN(a, b, c) t ^= c;
    }
    return t;
}
#endif
#ifdef P_sip /* siphash-2-4 over 64 bytes x16: 64-bit rotates */
#define R64(x, k) (((x) << (k)) | ((x) >> (64 - (k))))
#define SR                                                                                                             \
    {                                                                                                                  \
        v0 += v1;                                                                                                      \
        v1 = R64(v1, 13);                                                                                              \
        v1 ^= v0;                                                                                                      \
        v0 = R64(v0, 32);                                                                                              \
        v2 += v3;                                                                                                      \
        v3 = R64(v3, 16);                                                                                              \
        v3 ^= v2;                                                                                                      \
        v0 += v3;                                                                                                      \
        v3 = R64(v3, 21);                                                                                              \
        v3 ^= v0;                                                                                                      \
        v2 += v1;                                                                                                      \
        v1 = R64(v1, 17);                                                                                              \
        v1 ^= v2;                                                                                                      \
        v2 = R64(v2, 32);                                                                                              \
    }
AI u64 sip1(u64 *k) {
    u64 v0 = 0x736f6d6570736575ull ^ k[0], v1 = 0x646f72616e646f6dull ^ k[1], v2 = 0x6c7967656e657261ull ^ k[0],
        v3 = 0x7465646279746573ull ^ k[1];
    for (u32 i = 0; i < 8; i++) {
        u64 w = k[2 + i];
        v3 ^= w;
        SR SR v0 ^= w;
    }
    v2 ^= 0xff;
    SR SR SR SR return v0 ^ v1 ^ v2 ^ v3;
}
ENTRY(sip) {
    u64 t = 0;
    for (u32 r = 0; r < 16; r++)
        t ^= sip1((u64 *)(m + r * 16));
    return t;
}
#endif
#ifdef P_parse /* eth/vlan/ipv4/tcp|udp header parse of 16 frames, explicit bounds checks */
AI u16 be16(u16 x) {
    return __builtin_bswap16(x);
}
AI u32 one(u8 *p, u8 *end) {
    if (p + 14 > end)
        return 1;
    u16 pr = *(u16 *)(p + 12);
    u8 *q = p + 14;
    if (pr == be16(0x8100)) {
        if (q + 4 > end)
            return 2;
        pr = *(u16 *)(q + 2);
        q += 4;
    }
    if (pr != be16(0x0800))
        return 3;
    if (q + 20 > end)
        return 4;
    if ((q[0] >> 4) != 4)
        return 5;
    u32 ihl = (q[0] & 15) * 4;
    if (ihl != 20)
        return 6;
    u32 sa = *(u32 *)(q + 12), da = *(u32 *)(q + 16);
    u8 proto = q[9];
    u16 tl = be16(*(u16 *)(q + 2));
    if (tl < 20)
        return 7;
    q += 20;
    if (q + 8 > end)
        return 8;
    u16 sp = be16(*(u16 *)q), dp = be16(*(u16 *)(q + 2));
    if (proto == 6) {
        if (q + 20 > end)
            return 9;
        return sa ^ da ^ ((u32)sp << 16 | dp) ^ (q[13] & 0x12) ^ __builtin_bswap32(*(u32 *)(q + 4));
    }
    if (proto == 17)
        return sa + da + sp * 31 + dp + tl;
    return 10;
}
ENTRY(parse) {
    u8 *end = m + len;
    u32 t = 0;
    for (u32 k = 0; k < 4; k++)
        for (u32 i = 0; i < 16; i++)
            t = t * 31 + one(m + i * 64, end);
    return t;
}
#endif
#ifdef P_divc /* decimal digit sums of 32 words: division by constant */
ENTRY(divc) {
    u32 *w = (u32 *)m;
    u64 t = 0;
    for (u32 i = 0; i < 32; i++) {
        u32 v = w[i];
        for (u32 d = 0; d < 10; d++) {
            t += (v % 10) * (i + 1);
            v /= 10;
        }
    }
    return t;
}
#endif
#ifdef P_bits /* popcount + byte swap + reverse of 64 u64 */
ENTRY(bits) {
    u64 *w = (u64 *)m;
    u64 t = 0;
    for (u32 i = 0; i < 64; i++) {
        u64 x = __builtin_bswap64(w[i]);
        u64 y = x;
        y = y - ((y >> 1) & 0x5555555555555555ull);
        y = (y & 0x3333333333333333ull) + ((y >> 2) & 0x3333333333333333ull);
        y = (y + (y >> 4)) & 0x0f0f0f0f0f0f0f0full;
        y = (y * 0x0101010101010101ull) >> 56;
        t += y ^ (x >> 32) ^ (u32)x;
        t = (t << 7) | (t >> 57);
    }
    return t;
}
#endif
#ifdef P_bsearch /* 32 lookups in a sorted table of 256 u32 */
ENTRY(bsearch) {
    u32 *t = (u32 *)m;
    u32 *q = (u32 *)(m + 1024);
    u64 r = 0;
    for (u32 i = 0; i < 8; i++) {
        u32 k = q[i];
        u32 base = 0;
        for (u32 s = 32; s; s >>= 1) {
            u32 x = t[(base + s) & 63];
            if (x <= k)
                base += s;
        }
        r = r * 3 + (base & 63);
    }
    return r;
}
#endif
#ifdef P_spill /* 16 live accumulators in a loop: register pressure */
ENTRY(spill) {
    u64 *w = (u64 *)m;
    u64 a0 = 1, a1 = 2, a2 = 3, a3 = 4, a4 = 5, a5 = 6, a6 = 7, a7 = 8, a8 = 9, a9 = 10, aa = 11, ab = 12;
    for (u32 i = 0; i < 64; i++) {
        u64 x = w[i];
        a0 += x;
        a1 ^= a0;
        a2 += a1 >> 3;
        a3 ^= a2 << 5;
        a4 += a3;
        a5 ^= a4 >> 9;
        a6 += a5;
        a7 ^= a6 << 2;
        a8 += a7;
        a9 ^= a8 >> 11;
        aa += a9;
        ab ^= aa + a0;
    }
    return a0 ^ a1 ^ a2 ^ a3 ^ a4 ^ a5 ^ a6 ^ a7 ^ a8 ^ a9 ^ aa ^ ab;
}
#endif
