/* The tracepoint back end: one program where system calls return, and three for the life of processes.
 *
 * A call is looked at when it returns. Then the kernel has resolved its paths and descriptors, the outcome is known, and
 * a call that a seccomp filter refused is seen too (the filter runs before the tracepoint of entry). Strings are read
 * from the process's memory at that time: a second thread may have changed them. What is judged is the kernel's object
 * where the call succeeded, the string only where it failed or where the kernel keeps none. */
#include "looks.h"
#include "quota.h"
#include "rings.h"
#include "subject.h"

#define TS_COMPAT 2
#define SOCKETCALL 102           /* of the 32-bit table, as the numbers below that it is unpacked to */
#define IPC 117                  /* the same for what shmat(2) and its like do */
#define SHMAT 397
#define PF_KTHREAD 0x00200000
#define SECCOMP_MODE_FILTER 2
#define O_ACCMODE 3
#define GIVEN 128                /* bytes of a given path that are looked at for dots */
#define ENOENT 2
#define EINTR 4
#define EAGAIN 11
#define ENOTDIR 20
#define S_IFDIR 0040000
#define S_IFREG 0100000
#define MAGIC_OVERLAY 0x794c7630
#define O_CREAT 0100
#define O_TRUNC 01000

/* Whether the patterns want the path at the start of the text. */
apart int matching(u32 bit)
{
    struct scratch *s = scratch_of(SCRATCH_CALL);
    if (!s)
        return 0;
    u32 length = s->record.call.object.path, *found;
    if (length > TEXT)
        return 0;
    __builtin_memset(&s->head_key, 0, sizeof(s->head_key));
    __builtin_memset(&s->tail_key, 0, sizeof(s->tail_key));
    u32 kept = length < HEAD ? length : HEAD;
    /* The compiler knows the bound and drops the test; the verifier of Linux 6.1 needs to see it. */
    __asm__ volatile("" : "+r"(kept));
    if (kept > HEAD)
        return 0;
    read_kernel(s->head_key.text, kept, s->text);
    s->head_key.bits = HEAD * 8;
    found = map_lookup(&path_heads, &s->head_key);
    if (found && (*found & bit))
        return 1;
    for (u32 i = 0; i < TAIL; i++) {
        if (i >= length)
            break;
        s->tail_key.text[i] = s->text[(length - 1 - i) & (TEXT - 1)];
    }
    s->tail_key.bits = TAIL * 8;
    found = map_lookup(&path_tails, &s->tail_key);
    return found && (*found & bit);
}

/* What a path depends on, without spelling it: the name below its parent, on a mount, seen from a root. */
inline_ void recognise(struct task_struct *task, struct file *file, struct known *to, u32 access)
{
    struct path at = {};
    struct fs_struct *fs = task->fs;
    struct inode *inode = NULL;
    unsigned long number = 0;
    read_kernel(&at, sizeof(at), &file->f_path);
    to->dentry = (u64)at.dentry;
    to->mnt = (u64)at.mnt;
    to->root = fs ? (u64)fs->root.dentry : 0;
    fetch(to->parent, at.dentry->d_parent);
    fetch(to->name, at.dentry->d_name.hash_len);
    fetch(inode, at.dentry->d_inode);
    fetch(number, inode->i_ino);
    to->inode = number;
    to->stamp = (u64)generation << 8 | access | 0x80;
}

/* Whether the path that a call was given has two dots in a row; one too long to tell counts as if it had. */
apart int climbing(u64 pointer)
{
    struct scratch *s = scratch_of(SCRATCH_CALL);
    if (!s)
        return 0;
    u64 *words = (u64 *)s->head_key.text;
    __builtin_memset(&s->head_key, 0, sizeof(s->head_key));
    long got = read_user_text(s->head_key.text, GIVEN, (void *)pointer);
    if (got >= GIVEN)
        return 1;
    for (u32 i = 0; i < GIVEN / 8; i++) {
        u64 differs = words[i] ^ 0x2e2e2e2e2e2e2e2eULL;
        /* Is there a dot in these eight bytes at all? */
        if (!((differs - 0x0101010101010101ULL) & ~differs & 0x8080808080808080ULL))
            continue;
        for (u32 j = i * 8; j < i * 8 + 8; j++)
            if (s->head_key.text[j] == '.' && s->head_key.text[(j + 1) & (GIVEN - 1)] == '.')
                return 1;
    }
    return 0;
}

inline_ struct mark mark_of(struct task_struct *task, u32 kind)
{
    struct fs_struct *fs = task->fs;
    struct mark mark = {.kind = kind};
    if (fs)
        mark.top = (u64)fs->root.mnt->mnt_root;
    return mark;
}

/* A sandbox (gVisor) is a program of the runtime that acts for what runs inside it. It is set up once it has put a
 * seccomp filter on itself; from then on what it does to the host's files is what the container asked for. */
inline_ struct mark *mark_sandbox(struct task_struct *task)
{
    struct mm_struct *mm = task->mm;
    struct file *exe = NULL;
    struct inode *inode = NULL;
    struct super_block *sb = NULL;
    struct program program = {};
    unsigned long number = 0;
    u32 *kind;
    struct mark mark;
    if (task->seccomp.mode != SECCOMP_MODE_FILTER || !mm)
        return NULL;
    exe = mm->exe_file;
    fetch(inode, exe->f_inode);
    fetch(number, inode->i_ino);
    fetch(sb, inode->i_sb);
    program.inode = number;
    fetch(program.device, sb->s_dev);
    kind = map_lookup(&runtimes, &program);
    if (!kind || *kind != RUNTIME_SANDBOX)
        return NULL;
    mark = mark_of(task, RUNTIME_SANDBOX);
    return task_storage(&marks, task, &mark, 1);
}

/* Say who called, and send the record. A function of its own, so that the verifier looks at it once. */
apart int send_call(u32 ring, u64 text)
{
    struct scratch *s = scratch_of(SCRATCH_CALL);
    struct task_struct *task = current_task();
    if (!s)
        return 0;
    struct call *call = &s->record.call;
    struct mark *marked = task_storage(&marks, task, NULL, 0);
    describe(task, &call->subject);
    call->subject.cgroup = current_cgroup();
    if (marked) {
        u32 failed = call->result < 0;
        call->subject.flags |= SUBJECT_CONTAINED;
        if (ring == RING_CRITICAL) {
            u64 records = spends(marked->top, call->number, failed), share = failed ? SHARE_FAILED : SHARE;
            if (records == share)
                call->subject.flags |= SUBJECT_FLOODS;
            else if (records > share)
                ring = RING_BULK;
        }
        if (marked->untold) {
            call->subject.flags |= SUBJECT_UNTOLD;
            marked->untold = 0;
        }
    }
    emit(&call->head, ring, KIND_CALL, &s->record, sizeof(s->record) + bounded(text), 1);
    return 0;
}

SEC("tp_btf/sys_exit")
int call_returned(u64 *context)
{
    struct pt_regs *registers = (void *)context[0];
    s64 result = context[1];
    u32 number = registers->orig_ax;
    struct task_struct *task = current_task();
    u32 compat = 0;

    u32 given[6] = {}, unpacked = 0;
    if (task->thread_info.status & TS_COMPAT) {
        compat = 1;
        number &= COMPAT - 1;
        if (number == SOCKETCALL) {
            /* One old call for all of a socket's: which one, and where its arguments lie. */
            u32 which = registers->bx & 31;
            number = which == 1 ? 359 : which == 2 ? 361 : which == 3 ? 362 : which == 4 ? 363 : which == 5 ? 364 :
                     which == 11 ? 369 : which == 12 ? 371 : which == 16 ? 370 : which == 17 ? 372 : which == 18 ? 364 :
                     SOCKETCALL;
            read_user(given, sizeof(given), (void *)(u64)(u32)registers->cx);
            unpacked = number != SOCKETCALL;
        } else if (number == IPC && (registers->bx & 0xffff) == 21) {
            number = SHMAT;
            given[0] = registers->cx;
            unpacked = 1;
        }
        number += COMPAT;
    } else if (number >= COMPAT) {
        number &= COMPAT - 1;    /* the x32 table: the same numbers with a bit set */
    }
    struct interest *wanted = map_lookup(&interests, &number);
    if (wanted && wanted->moves && result >= 0)
        generation++;
    if (!wanted || !(wanted->host_read | wanted->host_write | wanted->contained_read | wanted->contained_write))
        return 0;
    if (wanted->twice && !result)
        return 0;
    struct mark *marked = task_storage(&marks, task, NULL, 0);
    if (!marked && (wanted->sandbox | wanted->host_read | wanted->host_write))
        marked = mark_sandbox(task);
    u32 contained = marked != NULL;
    if (marked && marked->kind == RUNTIME_SANDBOX && !wanted->sandbox)
        return 0;
    u32 reads = contained ? wanted->contained_read : wanted->host_read;
    u32 writes = contained ? wanted->contained_write : wanted->host_write;
    if (!(reads | writes) || (u32)task->tgid == host_is.sensor)
        return 0;
    u32 how = wanted->how, hosts_network = 0;
    struct nsproxy *spaces = task->nsproxy;
    if (spaces)
        hosts_network = spaces->net_ns->ns.inum == host_is.net;
    if (!hosts_network && (how == WRITES || how == WRITES_PARTS))
        return 0;
    struct scratch *s = scratch_of(SCRATCH_CALL);
    if (!s)
        return 0;
    struct call *call = &s->record.call;
    s->walk.home = marked ? marked->top : 0;
    if (unpacked) {
        for (u32 i = 0; i < 6; i++)
            call->arguments[i] = given[i];
    } else if (compat) {
        call->arguments[0] = (u32)registers->bx;
        call->arguments[1] = (u32)registers->cx;
        call->arguments[2] = (u32)registers->dx;
        call->arguments[3] = (u32)registers->si;
        call->arguments[4] = (u32)registers->di;
        call->arguments[5] = (u32)registers->bp;
    } else {
        call->arguments[0] = registers->di;
        call->arguments[1] = registers->si;
        call->arguments[2] = registers->dx;
        call->arguments[3] = registers->r10;
        call->arguments[4] = registers->r8;
        call->arguments[5] = registers->r9;
    }
    if (how == LIMITS && (!(u32)call->arguments[0] || !call->arguments[2]))
        return 0;
    /* How the file is opened, where the call says it. */
    u32 write = 1;
    if (wanted->mode != NOTHING) {
        u64 opens[2] = {};
        if (wanted->mode >= 8) {
            /* openat2 has four arguments; flags and mode are kept in the last places */
            read_user(opens, sizeof(opens), (void *)argument(call->arguments, wanted->mode - 8));
            call->arguments[5] = opens[0];
            call->arguments[4] = opens[1];
        } else {
            opens[0] = argument(call->arguments, wanted->mode);
        }
        write = (opens[0] & O_ACCMODE) || (opens[0] & (O_CREAT | O_TRUNC));
    }
    u32 want = write ? writes : reads;
    u32 ring = contained ? wanted->contained_ring : wanted->host_ring;
    u32 told = !!(want & WANT_ALL);
    if (result < 0) {
        u32 absent = result == -ENOENT || result == -ENOTDIR || result == -EINTR || result == -EAGAIN;
        u32 asked = want & (absent ? WANT_ABSENT : WANT_REFUSED);
        told = !!asked;
        if (!asked && !(want & (WANT_CLIMBING | WANT_SPEAKING)))
            return 0;
        if (!asked && (want & WANT_CLIMBING) && !climbing(argument(call->arguments, wanted->strings[0])))
            return 0;
        if (asked == WANT_REFUSED)
            ring = RING_CRITICAL;
    } else if (!(want & (WANT_MATCHING | WANT_FOREIGN | WANT_ALL | WANT_CLIMBING | WANT_SPEAKING))) {
        return 0;
    }
    if (wanted->values != NOTHING) {
        /* Such an argument is an int: the kernel drops what is above. */
        struct value value = {.argument = (u32)argument(call->arguments, wanted->values), .number = number};
        if (!map_lookup(&values, &value))
            return 0;
    }

    __builtin_memset(&call->object, 0, sizeof(call->object));
    call->base = call->second = call->data = 0;
    call->cookie = 0;
    __builtin_memset(call->strings, 0, sizeof(call->strings));
    struct file *file = NULL;
    if (wanted->file == RESULT)
        file = file_of(task, result);
    else if (wanted->file == PLACED_GROUP)
        file = group_of(task, call->arguments[0], call->arguments[1]);
    else if (wanted->file == PLACED_NAMED)
        file = result < 0 ? NULL : file_of(task, descriptor_in(argument(call->arguments, wanted->strings[0])));
    else if (wanted->file < RESULT)
        file = file_of(task, (s32)argument(call->arguments, wanted->file));
    struct fs_struct *fs = task->fs;
    s->mnt = s->dentry = 0;
    if (result >= 0 && fs && wanted->file == PLACED_DIRECTORY) {
        s->mnt = (u64)fs->pwd.mnt;
        s->dentry = (u64)fs->pwd.dentry;
    } else if (result >= 0 && fs && wanted->file == PLACED_ROOT) {
        s->mnt = (u64)fs->root.mnt;
        s->dentry = (u64)fs->root.dentry;
    }
    struct sock *sk = file && wanted->mode == NOTHING ? sock_of(file) : NULL;
    u32 spoke = 0;
    s->sock = (u64)sk;
    if (want & WANT_SPEAKING) {
        spoke = speaks(how, compat, hosts_network);
        if (spoke)
            ring = RING_CRITICAL;
        else if (!told)
            return 0;
    }
    struct known *known = NULL, now = {};
    u32 climbs = 0;
    if (result >= 0 && (want & WANT_CLIMBING) && !(want & WANT_ALL))
        climbs = climbing(argument(call->arguments, wanted->strings[0]));
    if (file && result >= 0 && wanted->mode != NOTHING && !climbs && !(want & WANT_ALL)) {
        recognise(task, file, &now, contained << 1 | write);
        u32 slot = (u32)(now.dentry >> 6 ^ now.name ^ now.mnt >> 7) & (KNOWN - 1);
        known = map_lookup(&boring, &slot);
        if (known && known->dentry == now.dentry && known->mnt == now.mnt && known->root == now.root &&
            known->parent == now.parent && known->name == now.name && known->inode == now.inode &&
            known->stamp == now.stamp)
            return 0;
    }
    s->file = (u64)file;
    s->result = result;
    s->number = number;
    s->compat = compat;
    s->spoke = spoke;
    s->end = 0;
    look_at_object();
    if (result >= 0 && (call->object.flags & OBJECT_FILE)) {
        u32 bit = (contained ? 4 : 1) << (write ? 1 : 0);
        u32 kind = call->object.mode & S_IFMT;
        u32 usual = kind == S_IFREG || kind == S_IFDIR;
        u32 foreign = (want & WANT_FOREIGN) && !(usual && (call->object.flags & OBJECT_OWN_ROOT));
        if (foreign && usual && now.stamp && !(call->object.flags & OBJECT_CUT)) {
            /* Read back from memory, an address is a number that the verifier lets be mixed. */
            s->now = now;
            __asm__ volatile("" ::: "memory");
            call->cookie = cookie_of(&s->now);
            if (map_lookup(&dull, &call->cookie))
                foreign = 0;
        }
        u32 matched = (want & WANT_MATCHING) && ((call->object.flags & OBJECT_CUT) || matching(bit));
        /* A rule wants it: then nobody may call it dull. */
        if (matched)
            call->cookie = 0;
        if (foreign || matched)
            ring = RING_CRITICAL;
        else if (!(want & WANT_ALL) && !climbs) {
            if (known && !(call->object.flags & OBJECT_CUT))
                *known = now;
            return 0;
        }
    }
    begin_at(0);
    begin_at(1);
    collect_strings();
    collect_data();
    call->result = result;
    call->number = number;
    call->compat = compat;
    call->head.text = s->end;
    send_call(ring, bounded(s->end));
    return 0;
}

/* A thread that the kernel made for a ring has no mark of its own; it acts for its process. */
inline_ struct mark *mark_of_group(struct task_struct *task)
{
    struct mark *marked = task_storage(&marks, task, NULL, 0);
    if (marked)
        return marked;
    marked = task_storage(&marks, task->group_leader, NULL, 0);
    if (!marked)
        return NULL;
    struct mark mark = {.kind = marked->kind, .top = marked->top};
    return task_storage(&marks, task, &mark, 1);
}

inline_ int handed_over(u64 request)
{
    struct task_struct *task = current_task();
    struct mark *marked = mark_of_group(task);
    struct scratch *s = scratch_of(SCRATCH_CALL);
    struct file *file = NULL;
    if (!marked || marked->kind == RUNTIME_SANDBOX || !s)
        return 0;
    /* Read back from memory, an address is a number that a function may be given. */
    s->request = request;
    request = s->request;
    u32 number = read_request(request);
    struct interest *wanted = number ? map_lookup(&interests, &number) : NULL;
    if (!wanted)
        return 0;
    struct call *call = &s->record.call;
    u32 write = number != CALL_OPENAT || (call->arguments[2] & (ACCMODE | CREATES));
    u32 want = write ? wanted->contained_write : wanted->contained_read;
    if (!(want & (WANT_MATCHING | WANT_FOREIGN | WANT_ALL | WANT_REFUSED)))
        return 0;
    __builtin_memset(&call->object, 0, sizeof(call->object));
    __builtin_memset(call->strings, 0, sizeof(call->strings));
    call->base = call->second = call->data = 0;
    call->cookie = 0;
    s->walk.home = marked->top;
    s->number = number;
    s->compat = s->spoke = s->end = 0;
    s->mnt = s->dentry = s->file = s->sock = 0;
    s->result = 0;
    if (number == CALL_CONNECT) {
        fetch(file, ((struct io_kiocb *)request)->file);
        s->file = (u64)file;
        if (file)
            s->sock = (u64)sock_of(file);
        look_at_object();
    }
    begin_at(0);
    begin_at(1);
    collect_name(0, s->names[0]);
    collect_name(1, s->names[1]);
    if (number == CALL_CONNECT)
        collect_data();
    call->result = 0;
    call->number = number;
    call->compat = HANDED_OVER;
    call->head.text = s->end;
    send_call(RING_CRITICAL, bounded(s->end));
    return 0;
}

SEC("tp_btf/io_uring_submit_req")
int ring_handed(u64 *context)
{
    return handed_over(context[0]);
}

/* The same on kernels before 6.3. */
SEC("tp_btf/io_uring_submit_sqe")
int ring_handed_before(u64 *context)
{
    return handed_over(context[0]);
}

SEC("tp_btf/sched_process_fork")
int forked(u64 *context)
{
    struct task_struct *parent = (void *)context[0], *child = (void *)context[1];
    struct mark *marked = task_storage(&marks, parent, NULL, 0);
    u64 records = 0;
    if (marked) {
        struct mark mark = {.kind = marked->kind, .top = marked->top};
        if (child->pid == child->tgid) {
            records = spends(mark.top, FORKS, 0);
            mark.untold = records > SHARE;
        }
        task_storage(&marks, child, &mark, 1);
        if (mark.untold)
            return 0;
    }
    if (child->pid != child->tgid || !host_is.ready)
        return 0;
    struct scratch *s = scratch_of(SCRATCH_FORK);
    if (!s)
        return 0;
    struct fork *fork = &s->record.fork;
    describe(child, &fork->subject);
    fork->subject.cgroup = current_cgroup();
    if (marked)
        fork->subject.flags |= SUBJECT_CONTAINED;
    if (records == SHARE)
        fork->subject.flags |= SUBJECT_FLOODS;
    fork->by = parent->tgid;
    fork->by_thread = parent->pid;
    fork->clone_flags = 0;
    fork->head.text = 0;
    emit(&fork->head, RING_LIFE, KIND_FORK, fork, sizeof(*fork), 0);
    return 0;
}

inline_ u32 copy_area(struct scratch *s, unsigned long from, unsigned long to, u32 at, u32 most, u16 *length)
{
    u64 size = to - from;
    *length = 0;
    if (!from || to <= from)
        return at;
    if (size > most)
        size = most;
    if (at >= TEXT - 2048)
        return at;
    if (!read_user(&s->text[at & 2047], size & 1023, (void *)from)) {
        *length = size & 1023;
        at += size & 1023;
    }
    return at;
}

inline_ u32 sandbox(struct subject *who)
{
    struct program program = {.inode = who->exe_inode, .device = who->exe_device};
    u32 *kind = map_lookup(&runtimes, &program);
    return kind && *kind == RUNTIME_SANDBOX;
}

SEC("tp_btf/sched_process_exec")
int executed(u64 *context)
{
    struct task_struct *task = (void *)context[0];
    struct linux_binprm *program = (void *)context[2];
    struct scratch *s;
    u32 at = 0;
    if (!host_is.ready)
        return 0;
    s = scratch_of(SCRATCH_EXEC);
    if (!s)
        return 0;
    struct exec *exec = &s->record.exec;
    struct object *object = &exec->object;
    describe(task, &exec->subject);
    exec->subject.cgroup = current_cgroup();
    /* A runtime's own program, re-executed while it sets a container up, does not make its task a part of it: that
     * happens below the host's root. Below another root its libraries are the container's, whatever its inode is. */
    struct mark *marked = task_storage(&marks, task, NULL, 0);
    u32 separate = exec->subject.flags & SUBJECT_SEPARATE, runtime = exec->subject.flags & SUBJECT_RUNTIME;
    if (!marked && separate && (!runtime || (exec->subject.flags & SUBJECT_ROOT))) {
        struct mark mark = mark_of(task, runtime && sandbox(&exec->subject) ? RUNTIME_SANDBOX : RUNTIME_SETS_UP);
        if (mark.kind != RUNTIME_SANDBOX)
            marked = task_storage(&marks, task, &mark, 1);
    }
    if (marked)
        exec->subject.flags |= SUBJECT_CONTAINED;
    if (marked && marked->untold) {
        exec->subject.flags |= SUBJECT_UNTOLD;
        marked->untold = 0;
    }
    s->walk.home = marked ? marked->top : 0;
    exec->runtime = !!(exec->subject.flags & SUBJECT_RUNTIME);
    __builtin_memset(object, 0, sizeof(*object));
    at = describe_file(s, SCRATCH_EXEC, task, program->file, object, at);
    exec->directory = 0;
    struct fs_struct *fs = task->fs;
    if (fs && at < 1024) {
        struct object directory = {};
        describe_path(s, SCRATCH_EXEC, task, fs->pwd.mnt, fs->pwd.dentry, NULL, &directory, at, 0);
        at += directory.path;
        exec->directory = directory.path;
    }
    struct mm_struct *mm = task->mm;
    exec->arguments = exec->environment = 0;
    if (mm && at < 2048) {
        at = copy_area(s, mm->arg_start, mm->arg_end, at, 1000, &exec->arguments);
        if (at < 2048)
            at = copy_area(s, mm->env_start, mm->env_end, at, 500, &exec->environment);
    }
    struct signal_struct *signal = task->signal;
    exec->session = exec->group_leader = exec->terminal = 0;
    if (signal) {
        struct tty_struct *tty = signal->tty;
        innermost(signal->pids[PIDTYPE_SID], &exec->session, NULL);
        innermost(signal->pids[PIDTYPE_PGID], &exec->group_leader, NULL);
        if (tty) {
            s32 major = 0, minor = 0, index = 0;
            struct tty_driver *driver = NULL;
            fetch(driver, tty->driver);
            fetch(index, tty->index);
            if (driver) {
                fetch(major, driver->major);
                fetch(minor, driver->minor_start);
            }
            exec->terminal = major << 20 | ((minor + index) & 0xfffff);
        }
    }
    exec->head.text = at;
    /* What an engine sets up, what a container runs, and what the kernel or somebody on the host starts of it. */
    u32 urgent = marked || exec->subject.flags & (SUBJECT_SEPARATE | SUBJECT_RUNTIME) ||
                 (task->real_parent->flags & PF_KTHREAD) || object->magic == MAGIC_OVERLAY;
    if (urgent)
        exec->subject.flags |= SUBJECT_URGENT;
    emit(&exec->head, RING_LIFE, KIND_EXEC, &s->record, sizeof(s->record) + bounded(at), urgent);
    return 0;
}

SEC("tp_btf/sched_process_exit")
int ended(u64 *context)
{
    struct task_struct *task = (void *)context[0];
    if (task->pid != task->tgid || !host_is.ready)
        return 0;
    struct mark *marked = task_storage(&marks, task, NULL, 0);
    if (marked && marked->untold)
        return 0;
    struct scratch *s = scratch_of(SCRATCH_EXIT);
    if (!s)
        return 0;
    struct ended *ended = &s->record.ended;
    describe(task, &ended->subject);
    ended->subject.cgroup = 0;
    ended->code = task->exit_code;
    ended->unused = 0;
    ended->head.text = 0;
    emit(&ended->head, RING_LIFE, KIND_EXIT, ended, sizeof(*ended), 0);
    return 0;
}

inline_ int grouped(struct cgroup *group, const char *path, u32 gone)
{
    struct scratch *s = scratch_of(SCRATCH_GROUP);
    if (!s || !host_is.ready)
        return 0;
    struct grouped *record = &s->record.grouped;
    record->id = group->kn->id;
    record->hierarchy = group->root->hierarchy_id;
    record->gone = gone;
    record->head.text = 0;
    long got = read_kernel_text(s->text, 1024, path);
    if (got > 1)
        record->head.text = (got - 1) & 1023;
    emit(&record->head, RING_LIFE, KIND_GROUPED, &s->record, sizeof(s->record) + bounded(record->head.text & 1023), 1);
    return 0;
}

SEC("tp_btf/cgroup_mkdir")
int group_made(u64 *context)
{
    return grouped((struct cgroup *)context[0], (const char *)context[1], 0);
}

SEC("tp_btf/cgroup_rmdir")
int group_removed(u64 *context)
{
    return grouped((struct cgroup *)context[0], (const char *)context[1], 1);
}

/* Run twice at the start: learn the host's own namespaces, then mark the tasks that are in containers already.
 *
 * The host's namespaces are those of kthreadd, the parent of the kernel's own threads: nobody can move it. Its root
 * directory may still be that of the initial ramdisk, so user space tells which one is the host's. */
SEC("iter/task")
int take_stock(struct bpf_iter__task *context)
{
    struct task_struct *task = context->task;
    struct subject who = {};
    if (!task)
        return 0;
    describe(task, &who);
    if (task->pid == 2 && (task->flags & PF_KTHREAD)) {
        host_is.mnt = who.mnt;
        host_is.pid = who.pidns;
        host_is.user = who.userns;
        host_is.net = who.net;
        host_is.ipc = who.ipc;
        host_is.uts = who.uts;
        host_is.cgroup = who.cgroupns;
    } else if (host_is.ready && (who.flags & SUBJECT_SEPARATE) &&
               (!(who.flags & SUBJECT_RUNTIME) || ((who.flags & SUBJECT_ROOT) && !sandbox(&who)))) {
        struct mark mark = mark_of(task, RUNTIME_SETS_UP);
        task_storage(&marks, task, &mark, 1);
    }
    return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
