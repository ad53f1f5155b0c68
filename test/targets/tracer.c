/* Traces a child of its own, as a debugger does. */
#include "target.h"
#include <sys/ptrace.h>
#include <sys/wait.h>

int main(void) {
	int status, stops = 0;
	pid_t child = fork();
	if (!child) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		execl("/bin/true", "true", (char *)NULL);
		_exit(127);
	}
	while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
		stops++;
		ptrace(PTRACE_CONT, child, 0, 0);
	}
	CHECK(stops == 1);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return 0;
}
