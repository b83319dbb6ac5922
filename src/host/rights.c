/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rights.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Version 3 of the call, since 2.6.26, takes two words of 32 bits for each set. */
static int get(struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	return syscall(SYS_capget, &header, data) < 0 ? -errno : 0;
}

bool rights_has_admin(void)
{
	struct __user_cap_data_struct data[2];

	return get(data) == 0 && (data[0].effective & (1u << CAP_SYS_ADMIN));
}

/* PROC_USER_INIT_INO: fixed since 3.8, and named in uapi headers since 6.18. */
#define INITIAL_USERNS 0xEFFFFFFDu

bool rights_in_initial_userns(void)
{
	struct stat st;

	return stat("/proc/self/ns/user", &st) == 0 && st.st_ino == INITIAL_USERNS;
}

int rights_keep_to_clean(bool unmount)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	uint32_t mask = 1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH | 1u << CAP_FOWNER |
			1u << CAP_KILL | (unmount ? 1u << CAP_SYS_ADMIN : 0);
	struct __user_cap_data_struct data[2];
	int r = get(data);

	if (r < 0)
		return r;
	data[0].permitted &= mask;
	data[0].effective = data[0].permitted;
	data[1].permitted = data[1].effective = 0;
	data[0].inheritable = data[1].inheritable = 0;
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}
