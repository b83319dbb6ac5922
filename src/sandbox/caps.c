/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Capabilities by the bare system calls: this is all that is needed of them, and
 * a library for it would be one more thing inside the sandbox.
 */
#include "sandbox/steps.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(capability) (UINT64_C(1) << (capability))

/* The capabilities of a file server, and why each. All within its user namespace. */
static const uint64_t kept = BIT(CAP_CHOWN) |	     /* owners of what others create */
			     BIT(CAP_DAC_OVERRIDE) | /* files of any owner and mode */
			     BIT(CAP_FOWNER) |	     /* modes and times of them */
			     BIT(CAP_FSETID) |	     /* keeps the setgid bit over chmod */
			     BIT(CAP_MKNOD) |	     /* whiteouts and device nodes */
			     BIT(CAP_SETFCAP);	     /* security.capability, copied up */

static int get_permitted(uint64_t *ret)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	*ret = (uint64_t)data[1].permitted << 32 | data[0].permitted;
	return 0;
}

static int set_capabilities(uint64_t mask)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
		{.effective = (uint32_t)mask, .permitted = (uint32_t)mask},
		{.effective = (uint32_t)(mask >> 32), .permitted = (uint32_t)(mask >> 32)},
	};

	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

/*
 * The bounding set matters at an execve(2) only, which no_new_privs and seccomp
 * forbid anyhow. A plain user has no CAP_SETPCAP and cannot empty it.
 */
static int drop_bounding(uint64_t permitted)
{
	if (!(permitted & BIT(CAP_SETPCAP)))
		return 0;
	for (int capability = 0; capability < 64; capability++) {
		int r = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);

		if (r < 0 && errno == EINVAL) /* past the last that the kernel knows */
			return 0;
		if (r > 0 && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
			return -errno;
	}
	return 0;
}

/* A kernel before 4.3 has no ambient set: nothing to clear. */
static int drop_ambient(void)
{
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return -errno;
	return 0;
}

static int keep(uint64_t wanted, struct error *err)
{
	uint64_t permitted = 0;
	int r = get_permitted(&permitted);

	if (!r)
		r = drop_bounding(permitted);
	if (!r)
		r = drop_ambient();
	if (!r)
		r = set_capabilities(permitted & wanted);
	if (r)
		return error_set_errno(err, -r, EXIT_STATUS_MACHINE, "cannot drop capabilities");
	return 0;
}

int sandbox_drop_capabilities(bool keep_sys_admin, struct error *err)
{
	return keep(kept | (keep_sys_admin ? BIT(CAP_SYS_ADMIN) : 0), err);
}

int sandbox_keep_registering(struct error *err)
{
	return keep(BIT(CAP_SYS_ADMIN) | BIT(CAP_FSETID), err);
}
