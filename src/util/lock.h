/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mutexes and read-write locks that clang's -Wthread-safety understands: mark a
 * function `requires_lock(lock)`, and a build with clang stops at a call without
 * it. gcc sees plain pthread locks.
 */
#pragma once

#include <pthread.h>

#if defined(__clang__)
#define thread_attribute(x) __attribute__((x))
#else
#define thread_attribute(x)
#endif

/*
 * For the reader only: in C, clang finds a member by its name here only since version 20 and
 * behind an experimental flag. What it checks are the functions below.
 */
#define guarded_by(lock)

#define requires_lock(...)   thread_attribute(requires_capability(__VA_ARGS__))
#define requires_shared(...) thread_attribute(requires_shared_capability(__VA_ARGS__))
#define acquires(...)	     thread_attribute(acquire_capability(__VA_ARGS__))
#define acquires_shared(...) thread_attribute(acquire_shared_capability(__VA_ARGS__))
#define releases(...)	     thread_attribute(release_capability(__VA_ARGS__))
#define releases_shared(...) thread_attribute(release_shared_capability(__VA_ARGS__))
#define no_lock_analysis     thread_attribute(no_thread_safety_analysis)

struct thread_attribute(capability("mutex")) mutex
{
	pthread_mutex_t native;
};

struct thread_attribute(capability("rwlock")) rwlock
{
	pthread_rwlock_t native;
};

static inline void mutex_init(struct mutex *lock)
{
	pthread_mutex_init(&lock->native, NULL);
}

static inline void mutex_destroy(struct mutex *lock)
{
	pthread_mutex_destroy(&lock->native);
}

static inline void mutex_lock(struct mutex *lock) acquires(*lock) no_lock_analysis
{
	pthread_mutex_lock(&lock->native);
}

static inline void mutex_unlock(struct mutex *lock) releases(*lock) no_lock_analysis
{
	pthread_mutex_unlock(&lock->native);
}

/* Waits with the lock given up meanwhile; it is held again at return. */
static inline void mutex_wait(struct mutex *lock, pthread_cond_t *cond) requires_lock(*lock)
{
	pthread_cond_wait(cond, &lock->native);
}

static inline void rwlock_init(struct rwlock *lock)
{
	pthread_rwlock_init(&lock->native, NULL);
}

static inline void rwlock_destroy(struct rwlock *lock)
{
	pthread_rwlock_destroy(&lock->native);
}

static inline void rwlock_lock_shared(struct rwlock *lock) acquires_shared(*lock) no_lock_analysis
{
	pthread_rwlock_rdlock(&lock->native);
}

static inline void rwlock_lock(struct rwlock *lock) acquires(*lock) no_lock_analysis
{
	pthread_rwlock_wrlock(&lock->native);
}

static inline void rwlock_unlock_shared(struct rwlock *lock) releases_shared(*lock) no_lock_analysis
{
	pthread_rwlock_unlock(&lock->native);
}

static inline void rwlock_unlock(struct rwlock *lock) releases(*lock) no_lock_analysis
{
	pthread_rwlock_unlock(&lock->native);
}
