#include "probe.h"
long do_engine_start(const struct step *s) { (void)s; return refuse(ENOSYS); }
long do_http(const struct step *s) { (void)s; return refuse(ENOSYS); }
long do_grpc(const struct step *s) { (void)s; return refuse(ENOSYS); }
int http_delete(const struct slot *at, const char *id) { (void)at; (void)id; return -1; }
int grpc_delete_namespace(const struct slot *at, const char *name) { (void)at; (void)name; return -1; }
