/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-room.h"

#include <assert.h>

void room_init(struct room *room, uint64_t limit) no_lock_analysis
{
	mutex_init(&room->lock);
	pthread_cond_init(&room->changed, NULL);
	room->limit = limit;
	room->taken = 0;
	room->next_ticket = room->next_served = 0;
}

void room_release(struct room *room)
{
	pthread_cond_destroy(&room->changed);
	mutex_destroy(&room->lock);
}

static bool has_room_locked(const struct room *room, uint64_t size) requires_lock(room->lock)
{
	return room->taken == 0 || (size <= room->limit && room->taken <= room->limit - size);
}

void room_take(struct room *room, uint64_t size)
{
	uint64_t ticket;

	mutex_lock(&room->lock);
	ticket = room->next_ticket++;
	while (ticket != room->next_served || !has_room_locked(room, size))
		mutex_wait(&room->lock, &room->changed);
	room->next_served++;
	room->taken += size;
	/* There may be room for the next one, too. */
	pthread_cond_broadcast(&room->changed);
	mutex_unlock(&room->lock);
}

void room_give(struct room *room, uint64_t size)
{
	mutex_lock(&room->lock);
	room->taken -= size;
	pthread_cond_broadcast(&room->changed);
	mutex_unlock(&room->lock);
}

bool room_share_covers(const struct room_share *share, uint64_t size)
{
	return size <= ROOM_UNCOUNTED_MAX || size <= share->taken;
}

void room_share_take(struct room_share *share, uint64_t size)
{
	assert(share->taken == 0);
	if (size <= ROOM_UNCOUNTED_MAX)
		return;
	room_take(share->room, size);
	share->taken = size;
}

void room_share_shrink(struct room_share *share, uint64_t size)
{
	uint64_t wanted = size <= ROOM_UNCOUNTED_MAX ? 0 : size;

	if (wanted >= share->taken)
		return;
	room_give(share->room, share->taken - wanted);
	share->taken = wanted;
}

void room_share_end(struct room_share *share)
{
	room_share_shrink(share, 0);
}
