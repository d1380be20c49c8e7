/* What keeps one container's flood from costing others their records: verdicts that user space gave back, and a share of
 * the critical ring for each container and call. */
#ifndef HOLDFAST_QUOTA_H
#define HOLDFAST_QUOTA_H

#include "maps.h"

/* Opens of files outside the root mount that no technique cares about: user space has judged one, and nothing that it
 * looked at can change without another key. Falco's rules are not asked; what they want is told by pattern. */
struct {
    map_number(type, 9);         /* least recently used hash */
    map_number(max_entries, 16384);
    map_type(key, u64);
    map_type(value, u32);
} dull SEC(".maps");

inline_ u64 mixed(u64 sum, u64 value)
{
    sum = (sum ^ value) * 0x9e3779b97f4a7c15ULL;
    return sum ^ sum >> 29;
}

inline_ u64 cookie_of(struct known *known)
{
    u64 sum = mixed(known->dentry, known->mnt);
    sum = mixed(sum, known->root);
    sum = mixed(sum, known->parent);
    sum = mixed(sum, known->name);
    sum = mixed(sum, known->inode);
    sum = mixed(sum, known->stamp);
    return sum ? sum : 1;
}

/* Critical records of one call that one container may cause in a second. What is beyond goes the way of bulk records.
 * Most calls that fail are alerts, and those cost more. Of processes as many may be told; one that is not is told when it
 * starts a program or does something that is, and its end only if it was. */
#define SHARE 1000
#define SHARE_FAILED 250
#define FORKS (CALLS - 1)        /* in place of a system call's number */
#define SECOND 1000000000ULL
struct spender { u64 top; u32 number; u32 failed; };
struct spent { u64 second; u64 records; };
struct {
    map_number(type, 9);         /* least recently used hash */
    map_number(max_entries, 8192);
    map_type(key, struct spender);
    map_type(value, struct spent);
} spending SEC(".maps");

/* How many records this container has caused with this call in this second, this one included. */
inline_ u64 spends(u64 top, u32 number, u32 failed)
{
    struct spender who = {.top = top, .number = number, .failed = failed};
    struct spent *spent = map_lookup(&spending, &who);
    u64 second = boot_ns() / SECOND;
    if (!spent) {
        struct spent first = {.second = second, .records = 1};
        map_update(&spending, &who, &first, 0);
        return 1;
    }
    if (spent->second != second) {
        spent->second = second;
        spent->records = 0;
    }
    /* Two processors may count at once; a record more or less decides nothing. */
    return ++spent->records;
}

#endif
