/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the doctor looks at. Each probe tries the thing itself, and leaves nothing behind. */
#pragma once

enum finding_state { FINDING_OK, FINDING_WARN, FINDING_FAIL };

struct finding {
	enum finding_state state;
	char text[400];	  /* what was found */
	char remedy[400]; /* what to do about it; "" when nothing */
};

struct probe {
	const char *name;
	void (*look)(struct finding *finding);
};

/* Ended by a NULL name. */
extern const struct probe doctor_probes[];

/* Of the machine's settings, and of engines' files. */
void look_at_userns(struct finding *finding);
void look_at_ranges(struct finding *finding);
void look_at_selinux(struct finding *finding);
void look_at_fusermount(struct finding *finding);
void look_at_podman(struct finding *finding);
void look_at_crio(struct finding *finding);
void look_at_docker(struct finding *finding);
void look_at_containerd(struct finding *finding);

/* Of workspaces. */
void look_at_policy(struct finding *finding);
void look_at_workspaces(struct finding *finding);
void look_at_mounts(struct finding *finding);
