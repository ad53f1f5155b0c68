/* The running kernel's own count of system calls by (process, number), where bpf() is allowed. */
#ifndef SKEP_TEST_ORACLE_H
#define SKEP_TEST_ORACLE_H
int oracle_start(void);  /* loads the program: 0, or -1: not here */
int oracle_attach(void); /* a descriptor that holds the attachment, or -1 */
unsigned long oracle_count(unsigned pid, unsigned nr);
void oracle_clear(void);
#endif
