/* A library that is mapped later, with a site of its own. */
#include "target.h"
#include <dlfcn.h>

int main(int argc, char **argv) {
	char path[4096];
	snprintf(path, sizeof path, "%s.so", argv[0]);
	void *lib = dlopen(path, RTLD_NOW);
	if (!lib) {
		report("bad dlopen %s\n", dlerror());
		return 1;
	}
	long (*call)(long n) = (long (*)(long))dlsym(lib, "library_calls");
	call(1000);
	report_count(SYS_getppid, 1000);
	dlclose(lib);
	lib = dlopen(path, RTLD_NOW); /* again, perhaps at another address */
	call = (long (*)(long))dlsym(lib, "library_calls");
	call(500);
	report_count(SYS_getsid, 500);
	(void)argc;
	return 0;
}
